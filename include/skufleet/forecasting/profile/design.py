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
from include.skufleet.forecasting.panel import Dates, Floats, Frequency, Panel
from include.skufleet.forecasting.profile.occurrences import Occurrences, find_occurrences
from include.skufleet.forecasting.scoring import is_weekend, month_waves
from include.skufleet.forecasting.sharing import once_per_span

MOST_REGIONS = 8
LONGEST_SEASON = 31
REGIONAL_WAVES = {"D": 4, "W": 2}
LIMIT = 5.0  # of the linear predictor: a profile between 1/148 and 148

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

find_waves = once_per_span(month_waves)


@once_per_span
def find_weekends(dates: Dates, frequency: Frequency) -> Floats:  # noqa: ARG001 -- dates say it all
    """1 on Saturdays and Sundays, else 0: (T,)."""
    return is_weekend(dates) * 1.0


@once_per_span
def lay_out_common(dates: Dates, frequency: Frequency, seasons: tuple[int, ...]) -> Floats:
    """The columns that all regions share, (T, p): a 1 for the position in each season, and the month's waves."""
    positions = [season_positions(dates, frequency, length)[:, None] == np.arange(length) for length in seasons]
    return np.concatenate([*positions, month_waves(dates, frequency)], axis=1, dtype=float)


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """T periods in R regions: the linear predictor of a region sums up common columns, its own, and events.

    Attributes:
        keys: (group, name) of each coefficient: first the common columns', then the regional, then the events'.
        ridge: one value per coefficient.
        common: (T, p); where there is but one region, with its columns.
        regional: R matrices (T, q) of what is not zero in the region; none where there is but one.
        own: R times (q,) the coefficients of these columns.
        events: which events fall on which periods.
        regions: (S,) region of each store.
    """

    keys: tuple[Key, ...]
    ridge: Floats
    common: Floats
    regional: tuple[Floats, ...]
    own: tuple[Ints, ...]
    events: Occurrences
    regions: Ints

    def predict(self, coefficients: Floats) -> Floats:
        """The linear predictor of each region, (R, T)."""
        linear = self.common @ coefficients[: self.common.shape[1]]
        linear += self.events.spread(coefficients[self.first_event :])
        if not self.regional:
            return linear[None]
        return np.stack([linear + part @ coefficients[own] for part, own in zip(self.regional, self.own, strict=True)])

    def ratios(self, coefficients: Floats) -> Floats:
        """The profile of each region, (R, T): exp of the linear predictor, kept between e^-5 and e^5."""
        profile: Floats = np.exp(self.predict(coefficients).clip(-LIMIT, LIMIT))
        return profile

    @property
    def first_event(self) -> int:
        """The number of the first event's coefficient; all before it belong to columns."""
        return len(self.keys) - self.events.count


def make_design(panel: Panel, first: int = 0) -> Design:
    """The columns for the panel's periods from ``first`` on.

    Days have weekday, month, flags and flags at the weekend, and events; weeks have the month, flags and events. A
    season of another length gets columns of its own up to 31 positions. Regions beyond one also get flags and the
    month's waves of their own. An event that does not occur in these periods has no column.
    """
    dates, frequency = panel.dates[first:], panel.frequency
    regions, flags = group_stores(panel, first)
    seasons = tuple(dict.fromkeys((7 if frequency == "D" else panel.season_length, panel.season_length)))
    seasons = tuple(length for length in seasons if 1 < length <= LONGEST_SEASON)
    common = lay_out_common(dates, frequency, seasons)
    names = [("season", f"{length}:{position}") for length in seasons for position in range(length)]
    names += [("month", str(number)) for number in range(common.shape[1] - len(names))]
    regional = _regional_columns(dates, frequency, int(regions.max()) + 1, flags)
    if len(regional) == 1:
        (only,) = regional
        names, common, regional = [*names, *only], np.column_stack([common, *only.values()]), []
    names += [key for part in regional for key in part]  # what several regions have an effect of comes first in each
    place = {key: number for number, key in enumerate(dict.fromkeys(names))}
    happened, events = find_occurrences(panel.indicators[:, first : panel.dates.size])
    keys = (*place, *(("event", panel.events[number]) for number in happened))
    return Design(
        keys=keys,
        ridge=np.array([RIDGE[group] for group, _ in keys]),
        common=common,
        regional=tuple(np.column_stack(list(columns.values())) for columns in regional),
        own=tuple(np.array([place[key] for key in columns], dtype=np.int64) for columns in regional),
        events=events,
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
    for store in range(stores if flags and stores > 1 else 0):
        key = b"".join(values[store].tobytes() for values in flags.values())
        regions[store] = seen.setdefault(key, len(seen))
    if len(seen) > MOST_REGIONS:
        return np.zeros(stores, dtype=np.int64), {name: values.mean(axis=0)[None] for name, values in flags.items()}
    examples = [int(np.argmax(regions == region)) for region in range(max(len(seen), 1))]
    return regions, {name: values[examples] for name, values in flags.items()}


def _regional_columns(
    dates: Dates, frequency: Frequency, count: int, flags: Mapping[str, Floats]
) -> list[dict[Key, Floats]]:
    """Per region: flags by the region's own calendar, whose effects all regions share, then effects of its own."""
    out: list[dict[Key, Floats]] = []
    for region in range(count):
        columns: dict[Key, Floats] = {}
        for name, values in flags.items():
            columns["flag", name] = values[region]
            if frequency == "D":
                columns["weekend", name] = values[region] * find_weekends(dates, frequency)
        if count > 1:
            columns |= {("regional_flag", f"{region}:{name}"): values[region] for name, values in flags.items()}
            waves = find_waves(dates, frequency)[:, : REGIONAL_WAVES[frequency]]
            columns |= {("regional_month", f"{region}:{number}"): wave for number, wave in enumerate(waves.T)}
        out.append(columns)
    return out
