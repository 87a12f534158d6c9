"""Retrain one demand model per SKU, for a whole retail catalogue, every day.

Data travels one way: landing -> history -> chunk -> model -> registry -> release -> forecasts -> report.
"""

VERSION = "0.1.0"
"""Of the code; a part of every model's fingerprint."""
