"""What each part of the profile model buys on M5: the model without it, on the same items and origins.

    python -m benchmarks.ablation m5-forecasting-accuracy.zip [--items 300]

Three origins, 28 days each. ``rmsse`` is that of item and store, weighted by units; ``total`` is the root mean squared
error of the daily sums over all items and stores, relative to their mean: where most of the competition's score lies.
Prints a table, and one JSON line last.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.m5_files import HORIZON, Floats, read_m5
from benchmarks.m5_panels import cut_blocks, department_panels, frame_of, panel_of
from benchmarks.machine import Meter, describe_machine
from include.skufleet.config import find_catalogue
from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.candidates.profile import ProfileModel
from include.skufleet.forecasting.departments import fit_priors
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.stockouts import mask_stockouts
from include.skufleet.sources.archive import open_archive

ORIGINS = (date(2016, 2, 28), date(2016, 3, 27), date(2016, 4, 24))
LAST_DAY = date(2016, 5, 22)


@dataclass(frozen=True)
class Variant:
    """The model as it is fitted, and what it is shown of a panel."""

    model: ProfileModel
    show: Callable[[Panel], Panel] = mask_stockouts


def without_events(panel: Panel) -> Panel:
    """No events at all."""
    return mask_stockouts(replace(panel, events=(), indicators=np.zeros((0, panel.closed.size))))


def without_windows(panel: Panel) -> Panel:
    """Events on their own days only."""
    own = [row for row, name in enumerate(panel.events) if name.rpartition(" ")[2][0] not in "+-"]
    events = tuple(panel.events[row] for row in own)
    return mask_stockouts(replace(panel, events=events, indicators=panel.indicators[own]))


def without_flags(panel: Panel) -> Panel:
    """No benefit days, hence no regions either."""
    return mask_stockouts(replace(panel, flags={}))


def without_prices(panel: Panel) -> Panel:
    """No prices."""
    return mask_stockouts(replace(panel, price=None))


def as_it_is(panel: Panel) -> Panel:
    """Stock-outs not masked."""
    return panel


VARIANTS: Mapping[str, Variant] = {
    "the model": Variant(ProfileModel()),
    "no calendar effects (ridge x 1,000,000)": Variant(ProfileModel(ridge=1e6, pooling=0.0)),
    "no events": Variant(ProfileModel(), without_events),
    "no days around events": Variant(ProfileModel(), without_windows),
    "no flags and regions": Variant(ProfileModel(), without_flags),
    "no stores' own ratios": Variant(ProfileModel(store_pseudo_units=1e9)),
    "no pooling": Variant(ProfileModel(pooling=0.0)),
    "all of the department's effects": Variant(ProfileModel(pooling=1.0)),
    "one half-life (28 days)": Variant(ProfileModel(half_lives=(28.0,))),
    "no prices": Variant(ProfileModel(), without_prices),
    "stock-outs not masked": Variant(ProfileModel(), as_it_is),
}


@dataclass(frozen=True)
class Cut:
    """One item at one origin, what came after it, and the scale of its rmsse."""

    known: Panel
    actual: Floats
    scale: Floats


def make_cuts(archive: Path, items: int) -> list[list[Cut]]:
    """Per origin, the panels of some items, with the priors of their departments as known then."""
    m5 = read_m5(open_archive(archive), LAST_DAY)
    frame = frame_of(m5, find_catalogue("m5"))
    departments = department_panels(m5, frame)
    back = [(LAST_DAY - origin).days for origin in ORIGINS]
    priors = {panel.sku: fit_priors(panel, [panel.dates.size - days for days in back]) for panel in departments}
    out: list[list[Cut]] = [[] for _ in ORIGINS]
    for block in cut_blocks(m5.sample(items), 32, priors):
        for number in range(len(block.items)):
            panel = panel_of(frame, block, number)
            if panel is None:
                continue
            for cuts, days in zip(out, back, strict=True):
                end = panel.dates.size - days
                if end >= 2 * HORIZON:
                    known = panel.until(end)
                    never = np.asarray(np.isnan(known.units).all(axis=1, keepdims=True))
                    actual = np.where(never, np.nan, panel.units[:, end:])
                    cuts.append(Cut(known, actual[:, :HORIZON], metrics.squared_scale(known.units)[:, None]))
    return out


def score(variant: Variant, origins: list[list[Cut]]) -> dict[str, float]:
    """Errors over all origins."""
    absolute = units = signed = 0.0
    weighted, totals = [], []
    for cuts in origins:
        total = np.zeros((2, HORIZON))
        for cut in cuts:
            shown = variant.show(cut.known)
            y_hat = variant.model.fit(shown).predict(shown.future)
            error = np.where(np.isnan(cut.actual), 0.0, y_hat - cut.actual)
            sold = float(np.nansum(cut.actual))
            absolute, units, signed = absolute + np.abs(error).sum(), units + sold, signed + error.sum()
            rmsse = metrics.rmsse(cut.actual, y_hat, cut.scale)
            if np.isfinite(rmsse):
                weighted.append((rmsse, sold))
            total += np.stack([error.sum(axis=0), np.nansum(cut.actual, axis=0)])
        totals.append(float(np.sqrt(np.square(total[0]).mean()) / total[1].mean()))
    values = np.array(weighted)
    return {
        "wape": round(absolute / units, 4),
        "rmsse": round(float(values[:, 0] @ values[:, 1] / values[:, 1].sum()), 4),
        "bias": round(signed / units, 4),
        "total": round(float(np.mean(totals)), 4),
    }


def main() -> None:
    """Score every variant, print the table and the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("m5", type=Path, help="zip or folder as Kaggle ships it")
    parser.add_argument("--items", type=int, default=300, help="evenly spread")
    options = parser.parse_args()
    with Meter() as meter:
        origins = make_cuts(options.m5, options.items)
        results = {name: score(variant, origins) for name, variant in VARIANTS.items()}
    print("| variant | WAPE | RMSSE | bias | error of the total |\n|---|---|---|---|---|")  # noqa: T201
    for name, row in results.items():
        print(f"| {name} | {row['wape']:.4f} | {row['rmsse']:.4f} | {row['bias']:+.4f} | {row['total']:.4f} |")  # noqa: T201
    facts: dict[str, Any] = {"benchmark": "ablation", "items": options.items, "variants": results}
    print(json.dumps(facts | {"seconds": round(meter.usage.seconds, 1)} | describe_machine()))  # noqa: T201 -- the result


if __name__ == "__main__":
    main()
