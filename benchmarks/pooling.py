"""Departments as panels of their own: what their SKUs sold together, for the profiles that SKUs are shrunk to.

What does not belong here: M5's arrays (``m5_panels`` sums those), which SKU is in which department.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from include.skufleet.config import Catalogue
from include.skufleet.forecasting.departments import fit_priors
from include.skufleet.forecasting.panel import Floats, Panel, Prior


def pool_panels(panels: Mapping[str, Panel], departments: Mapping[str, str], catalogue: Catalogue) -> dict[str, Panel]:
    """The panels with the priors of their departments; a SKU of no department (``""``) has that of all SKUs."""
    members: dict[str, list[Panel]] = {}
    for sku, panel in panels.items():
        members.setdefault(departments[sku], []).append(panel)
    windows = catalogue.backtest.windows
    priors = {
        name: department_priors(sum_panels(name, found if name else list(panels.values())), catalogue, windows)
        for name, found in members.items()
    }
    return {sku: panel.with_priors(priors[departments[sku]]) for sku, panel in panels.items()}


def department_priors(panel: Panel, catalogue: Catalogue, windows: int) -> tuple[Prior, ...]:
    """A department's profiles as known at the cutoffs of so many backtest windows and at the panel's end."""
    back = [catalogue.horizon + catalogue.step * window for window in range(windows)]
    cutoffs = [panel.dates.size - periods for periods in reversed(back)] + [panel.dates.size]
    return fit_priors(panel, [cutoff for cutoff in cutoffs if cutoff > 0])


def sum_panels(name: str, panels: Sequence[Panel]) -> Panel:
    """The units of all panels (which end on one day) by store and period; NaN where none of them is known."""
    longest = max(panels, key=lambda panel: panel.dates.size)
    stores = sorted({store for panel in panels for store in panel.stores})
    row, periods = {store: number for number, store in enumerate(stores)}, longest.dates.size
    total, known = np.zeros((len(stores), periods)), np.zeros((len(stores), periods), dtype=bool)
    flags: dict[str, Floats] = {flag: np.zeros((len(stores), longest.closed.size)) for flag in longest.flags}
    for panel in panels:
        rows, start = [row[store] for store in panel.stores], periods - panel.dates.size
        total[rows, start:] += np.nan_to_num(panel.units)
        known[rows, start:] |= ~np.isnan(panel.units)
        for flag, values in panel.flags.items():
            # A flag is the store's, not the SKU's: a panel that reaches further back knows more of it.
            flags[flag][rows, start:] = values
    return Panel(
        sku=name,
        stores=tuple(stores),
        dates=longest.dates,
        units=np.where(known, total, np.nan),
        closed=longest.closed,
        events=longest.events,
        indicators=longest.indicators,
        flags=flags,
        frequency=longest.frequency,
        season_length=longest.season_length,
    )
