"""Forecasting, pure: panels, candidates, metrics, backtest and selection.

Everything here is a function of its arguments: no clock, environment, network, files or Airflow, and no retailer's
words. ``panel`` turns long frames into one panel per SKU, ``candidates`` fits them, ``scoring`` is the only code that
predicts (and travels with every model), ``evaluation`` offers the two calls that the fleet makes per SKU.
What does not belong here: reading data, registering models, deciding promotions.
"""
