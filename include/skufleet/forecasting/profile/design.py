"""The columns of the profile's regression: what the calendar says of each period, common to all regions or of one.

A region is a set of stores for which every flag is the same: the regression sees the regions' totals, a handful of
rows per period instead of one per store. What does not belong here: units, fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from include.skufleet.forecasting.calendar import Ints
from include.skufleet.forecasting.levels import season_positions
from include.skufleet.forecasting.panel import Bools, Dates, Floats, Panel
from include.skufleet.forecasting.scoring import is_weekend, month_waves

MOST_REGIONS = 8
LONGEST_SEASON = 31
REGIONAL_WAVES = {"D": 4, "W": 2}

# Pseudo-units, times the dispersion, with which each group of coefficients is held at its prior value.
RIDGE: Mapping[str, float] = {
    "season": 2.0,
    "month": 60.0,
    "flag": 2.0,
    "weekend": 2.0,
    "event": 100.0,
    "regional_flag": 10.0,
    "regional_month": 120.0,
}

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """T periods in R regions; the linear predictor of region r is ``common @ b + regional[r] @ c``, plus events.

    Attributes:
        keys: (group, name) of each coefficient: first the common columns', then the regional, then the events'.
        ridge: one value per coefficient.
        common: (T, p).
        regional: R matrices (T, q).
        events: (n, e), the rows of ``event_rows`` only, for an event is rare.
        event_rows: (n,) periods with any event.
        regions: (S,) region of each store.
    """

    keys: tuple[Key, ...]
    ridge: Floats
    common: Floats
    regional: tuple[Floats, ...]
    events: Floats
    event_rows: Ints
    regions: Ints

    def predict(self, coefficients: Floats) -> Floats:
        """The linear predictor of each region, (R, T)."""
        p, q = self.common.shape[1], self.regional[0].shape[1]
        shared = self.common @ coefficients[:p]
        shared[self.event_rows] += self.events @ coefficients[p + q :]
        return np.stack([shared + columns @ coefficients[p : p + q] for columns in self.regional])


def make_design(panel: Panel, first: int = 0) -> Design:
    """The columns for the panel's periods from ``first`` on.

    Days have weekday, month, flags and flags at the weekend, and events; weeks have the month, flags and events. A
    season of another length gets columns of its own up to 31 positions. Regions beyond one also get flags and the
    month's waves of their own. An event that does not occur in these periods has no column.
    """
    dates = panel.dates[first:]
    regions, flags = group_stores(panel, first)
    columns: dict[Key, Floats] = {}
    season = 7 if panel.frequency == "D" else panel.season_length
    for length in dict.fromkeys((season, panel.season_length)):
        if 1 < length <= LONGEST_SEASON:
            positions = season_positions(dates, panel.frequency, length)
            for position in range(length):
                columns["season", f"{length}:{position}"] = (positions == position) * 1.0
    waves = month_waves(dates, panel.frequency)
    columns |= {("month", str(number)): waves[:, number] for number in range(waves.shape[1])}
    regional = _regional_columns(panel, dates, regions, flags, waves)
    indicators = panel.indicators[:, first : panel.dates.size]
    happened: Bools = np.asarray(indicators.any(axis=1))
    rows = np.flatnonzero(indicators.any(axis=0))
    seen = [("event", name) for name, once in zip(panel.events, happened, strict=True) if once]
    keys = [*columns, *regional[0], *seen]
    return Design(
        keys=tuple(keys),
        ridge=np.array([RIDGE[group] for group, _ in keys]),
        common=np.stack(list(columns.values()), axis=1),
        regional=tuple(_stack(part, dates.size) for part in regional),
        events=np.ascontiguousarray(indicators[happened][:, rows].T),
        event_rows=rows,
        regions=regions,
    )


def group_stores(panel: Panel, first: int = 0) -> tuple[Ints, dict[str, Floats]]:
    """The region of each store (S,), and each flag by region (R, T) for the periods from ``first`` on.

    Stores whose flags never differ share a region. Where that makes more than 8, all stores are one region, and a
    flag counts by the share of stores that have it.
    """
    flags = {name: values[:, first : panel.dates.size] for name, values in panel.flags.items()}
    stores = len(panel.stores)
    seen: dict[bytes, int] = {}
    regions = np.zeros(stores, dtype=np.int64)
    for store in range(stores if flags else 0):
        key = b"".join(np.ascontiguousarray(values[store]).tobytes() for values in flags.values())
        regions[store] = seen.setdefault(key, len(seen))
    if len(seen) > MOST_REGIONS:
        return np.zeros(stores, dtype=np.int64), {name: values.mean(axis=0)[None] for name, values in flags.items()}
    examples = [int(np.argmax(regions == region)) for region in range(max(len(seen), 1))]
    return regions, {name: values[examples] for name, values in flags.items()}


def _regional_columns(
    panel: Panel, dates: Dates, regions: Ints, flags: Mapping[str, Floats], waves: Floats
) -> list[dict[Key, Floats]]:
    """Per region, the same columns: flags by the region's own calendar, and effects of one region alone."""
    count = int(regions.max()) + 1
    weekend = is_weekend(dates) * 1.0 if panel.frequency == "D" else None
    out: list[dict[Key, Floats]] = []
    for region in range(count):
        columns: dict[Key, Floats] = {}
        for name, values in flags.items():
            columns["flag", name] = values[region]
            if weekend is not None:
                columns["weekend", name] = values[region] * weekend
        for other in range(count if count > 1 else 0):
            here = float(other == region)
            for name, values in flags.items():
                columns["regional_flag", f"{other}:{name}"] = here * values[region]
            for number in range(REGIONAL_WAVES[panel.frequency]):
                columns["regional_month", f"{other}:{number}"] = here * waves[:, number]
        out.append(columns)
    return out


def _stack(columns: Mapping[Key, Floats], periods: int) -> Floats:
    return np.stack(list(columns.values()), axis=1) if columns else np.zeros((periods, 0))
