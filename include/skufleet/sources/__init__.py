"""Between foreign data and the landing: what a retailer's systems would drop there, from real or simulated data.

Nothing downstream knows this package: ``ingest`` reads the landing by the catalogue file alone.
What does not belong here: reading the landing, cleaning, the history table (``lake``).
"""
