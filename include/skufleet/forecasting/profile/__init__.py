"""The mathematics of the profile model: what a SKU sells as level x calendar profile x store ratios x price.

``design`` lays out the calendar's columns, ``solving`` fits them, ``terms`` holds the parts that are fitted one after
another (levels, store ratios, price, the year before), ``fitting`` puts them together, ``pooling`` fits a department.
What does not belong here: the candidate and its artifact (``candidates.profile``), prediction (``scoring``).
"""
