"""The hyperparameter search of a catalogue: configurations of its file tried on a sample of SKUs, rung by rung.

A trial trains as a retraining does (``fleet.train``) up to the windows that it is scored on, registers nothing and
changes nothing; the winner is a proposal. Pure parts: ``space`` (what is tried), ``sample`` (on which SKUs), ``judge``
(who goes on, and by how much), ``proposal``. What does not belong here: models, metrics of one SKU (``forecasting``).
"""
