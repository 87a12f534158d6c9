"""Which SKUs the report plots: the worst and the best, by rules that the page states."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from include.skufleet.fleet.report.figures import CLASSES, select_scored


@dataclass(frozen=True)
class Ranking:
    """SKUs to look at; no SKU is in two lists.

    Attributes:
        costly: most units of absolute error.
        worst: highest WAPE among the SKUs that sold at least ``floor`` units.
        best: lowest WAPE among the same.
        floor: the median of the units sold, over the scored SKUs: of a SKU that hardly sells, a WAPE says little.
    """

    costly: tuple[str, ...]
    worst: tuple[str, ...]
    best: tuple[str, ...]
    floor: float

    @property
    def skus(self) -> list[str]:
        """All of them, list by list."""
        return [*self.costly, *self.worst, *self.best]


def rank_skus(results: pd.DataFrame, k: int) -> Ranking:
    """Pick at most ``k`` scored SKUs: two in five by error volume, the rest half best and half worst by WAPE.

    Where SKUs are few, a SKU is in the first list that takes it, in the order costly, best, worst. Ties go to the SKU
    that sorts first.
    """
    scored = select_scored(results)
    if scored.empty or k <= 0:
        return Ranking((), (), (), float("nan"))
    floor = float(scored["units"].median())
    costly_count = math.ceil(2 * min(k, len(scored)) / 5)
    costly = scored.sort_values(["abs_error", "sku"], ascending=[False, True])["sku"].head(costly_count)
    rest = scored[(scored["units"] >= floor) & np.isfinite(scored["wape"]) & ~scored["sku"].isin(costly)]
    by_wape = rest.sort_values(["wape", "sku"])["sku"]
    room = k - costly_count
    best = by_wape.head(min(room - room // 2, (len(by_wape) + 1) // 2))
    worst = by_wape[~by_wape.isin(best)].iloc[::-1].head(room - len(best))
    return Ranking(tuple(costly), tuple(worst), tuple(best), floor)


def pick_skus(results: pd.DataFrame, k: int = 20) -> list[str]:
    """The SKUs that the report of these results will plot, so that only their series need to be read."""
    return rank_skus(results, k).skus


def rank_to_explain(results: pd.DataFrame, most: int = 8) -> dict[str, list[str]]:
    """Demand class -> the trained SKUs that sold most in the backtest windows, of which one is to be explained.

    The classes in the order smooth, erratic, intermittent, lumpy; those without a trained SKU are absent. Ties go to
    the SKU that sorts first.
    """
    trained = select_scored(results)
    if trained.empty:
        return {}
    trained = trained[trained["outcome"] == "trained"].sort_values(["units", "sku"], ascending=[False, True])
    groups = {name: trained.loc[trained["demand_class"] == name, "sku"].head(most) for name in CLASSES}
    return {name: [str(sku) for sku in skus] for name, skus in groups.items() if len(skus)}
