"""What is worth its CPU time: which candidates a SKU tries at all, and how costly ones race for it.

Costs are nominal (``Candidate.cost``), never measured in the run: the same data leaves out the same candidates on every
machine. What does not belong here: fitting, the choice of a model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from include.skufleet.config import Budget
from include.skufleet.forecasting.candidates.contract import Candidate
from include.skufleet.forecasting.demand import DemandClass


@dataclass(frozen=True, slots=True)
class Halving:
    """Successive halving (Jamieson and Talwalkar 2016, AISTATS) over windows, the newest first.

    After 1, 2, 4, ... windows the costly candidates that are not within reach of the best loss so far are given up,
    and of the others all but the best ``keep``.

    Attributes:
        costly: names of the candidates that race; all others are tried on every window.
        squared: losses are sums of squared errors, not of absolute ones.
        within: reach, as a relative difference of the metric (for squared losses, of its root).
        keep: share that goes on, rounded up.
    """

    costly: frozenset[str]
    squared: bool
    within: float
    keep: float

    def race(
        self, names: Sequence[str], others: Sequence[Sequence[float]], lose: Callable[[str, int], float], windows: int
    ) -> dict[str, int]:
        """How many windows each of the names saw.

        Args:
            names: the racers.
            others: the loss of each candidate that does not race in every window, the newest first.
            lose: a racer's loss in the window of that rank, 0 for the newest; not finite where it failed.
            windows: how many there are.
        """
        rivals = np.cumsum(np.array(others, dtype=float).reshape(-1, windows), axis=1).min(axis=0, initial=np.inf)
        reach = (1.0 + self.within) ** (2 if self.squared else 1)
        running, done = list(names), 0
        seen, total = dict.fromkeys(names, 0), dict.fromkeys(names, 0.0)
        for rung in _rungs(windows):
            for name in running:
                total[name] += sum(lose(name, rank) for rank in range(done, rung))
                seen[name] = rung
            done = rung
            limit = reach * min([float(rivals[done - 1]), *(total[name] for name in running)])
            best_first = sorted(running, key=lambda name: (total[name], name))
            most = max(1, math.ceil(self.keep * len(running)))
            running = [name for name in best_first if math.isfinite(total[name]) and total[name] <= limit][:most]
        return seen


def _rungs(windows: int) -> Iterator[int]:
    """1, 2, 4, ... and at last all windows."""
    rung = 1
    while rung < windows:
        yield rung
        rung *= 2
    if windows:
        yield windows


@dataclass(frozen=True, slots=True)
class Agenda:
    """What to try on one SKU.

    Attributes:
        tried: candidates, in the order given.
        costly: names of those that race for their windows.
        left_out: name -> why it is not tried at all.
        seconds: name -> nominal CPU seconds of one of its fits, of all candidates.
    """

    tried: tuple[Candidate, ...]
    costly: frozenset[str]
    left_out: Mapping[str, str]
    seconds: Mapping[str, float]


def plan_trials(
    candidates: Sequence[Candidate],
    *,
    always: Collection[str | None],
    demand_class: DemandClass,
    rows: int,
    windows: int,
    budget: Budget,
) -> Agenda:
    """Leave out what is not made for this kind of demand, then what the budget does not reach for.

    Args:
        candidates: what the catalogue names, the most promising first: so the budget is spent.
        always: names that are tried whatever they cost and are made for.
        demand_class: the SKU's.
        rows: known store-periods.
        windows: of the backtest; one more fit is the refit.
        budget: the catalogue's.
    """
    limit = math.inf if budget.cpu_seconds_per_sku is None else budget.cpu_seconds_per_sku
    seconds = {candidate.name: candidate.cost * rows / 1e6 for candidate in candidates}
    left_out, costly, spent = {}, set(), 0.0
    for candidate in sorted(candidates, key=lambda item: item.name not in always):
        name, need = candidate.name, seconds[candidate.name] * (windows + 1)
        if name in always:
            spent += need
        elif demand_class not in candidate.classes:
            left_out[name] = f"not made for {demand_class} demand"
        elif spent + need > limit:
            left_out[name] = f"needs {need:.2g} s of CPU, {max(limit - spent, 0.0):.2g} s of {limit:g} s are left"
        else:
            spent += need
            if need > budget.cheap * limit:
                costly.add(name)
    tried = tuple(candidate for candidate in candidates if candidate.name not in left_out)
    return Agenda(tried=tried, costly=frozenset(costly), left_out=left_out, seconds=seconds)
