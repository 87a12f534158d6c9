"""What serves a SKU that is too young to be trained and has a department to borrow from.

What does not belong here: deciding that it is too young, SKUs without a department (``naive.fallback``).
"""

from __future__ import annotations

from include.skufleet.config import CandidateSettings
from include.skufleet.forecasting.candidates.contract import Fitted
from include.skufleet.forecasting.candidates.profile import ProfileModel
from include.skufleet.forecasting.panel import Panel

# A few days say next to nothing of weekdays and events: with the penalties as they are for years of data, or half of
# the department's effects, forecasts of SKUs up to 50 days old were worse on each of the three catalogues.
RIDGE = 100.0
SHARE = 1.0


def fit_newcomer(panel: Panel, settings: CandidateSettings) -> Fitted:
    """The SKU's own level from its few periods, and the calendar's effects of its department.

    Args:
        panel: with a prior, and sales.
        settings: the catalogue's.
    """
    given = {**dict(settings.profile), "ridge": RIDGE * settings.profile.ridge, "pooling": SHARE}
    return ProfileModel(**given).fit(panel)
