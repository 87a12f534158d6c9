"""Settings from the environment, and catalogue files: frozen models that refuse what they do not know.

A catalogue is one YAML file in ``include/catalogues/``. It says where a retailer's data lands, how its columns are
called, and how its models are trained and promoted. Nothing else in the code knows a retailer.
What does not belong here: reading data, clients, clocks.
"""

from include.skufleet.config.base import Model
from include.skufleet.config.candidates import CandidateSettings
from include.skufleet.config.catalogue import (
    BASELINE,
    Backtest,
    Budget,
    CandidateName,
    Catalogue,
    Fleet,
    Gate,
    Intervals,
    Metric,
    Release,
    Validation,
)
from include.skufleet.config.files import CATALOGUES_FOLDER, catalogue_files, find_catalogue, load_catalogue
from include.skufleet.config.landing import (
    Attributes,
    Calendar,
    Flag,
    Landing,
    PriceColumns,
    Prices,
    Sales,
    SalesColumns,
    TableFormat,
    Window,
)
from include.skufleet.config.notify import Notify
from include.skufleet.config.settings import Settings, read_settings

__all__ = [
    "BASELINE",
    "CATALOGUES_FOLDER",
    "Attributes",
    "Backtest",
    "Budget",
    "Calendar",
    "CandidateName",
    "CandidateSettings",
    "Catalogue",
    "Flag",
    "Fleet",
    "Gate",
    "Intervals",
    "Landing",
    "Metric",
    "Model",
    "Notify",
    "PriceColumns",
    "Prices",
    "Release",
    "Sales",
    "SalesColumns",
    "Settings",
    "TableFormat",
    "Validation",
    "Window",
    "catalogue_files",
    "find_catalogue",
    "load_catalogue",
    "read_settings",
]
