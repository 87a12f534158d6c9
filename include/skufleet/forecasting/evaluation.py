"""The two calls that the fleet makes per SKU: ``evaluate`` the candidates, ``refit`` the chosen one on all data.

What does not belong here: gates, registering, deciding whether a SKU can be trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.skufleet.config import BASELINE, Metric
from include.skufleet.forecasting.backtest import Backtest, Scores, run_backtest
from include.skufleet.forecasting.candidates import CANDIDATES, Fitted, find_candidate, fit_candidate
from include.skufleet.forecasting.panel import Panel
from include.skufleet.forecasting.selection import DemandClass, choose_candidate, classify_demand


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What the backtest of one SKU found.

    Attributes:
        chosen: the candidate to refit; ``None`` when no window fits or every candidate failed (``reason`` says which).
        reason: a sentence.
        demand_class: kind of demand over the whole panel.
        backtest: windows, forecasts and scores, the candidate in production included.
        baseline: the seasonal naive's scores, ``None`` if it has none.
        champion: scores of the candidate in production on the same windows, ``None`` if not asked for or failed.
    """

    chosen: str | None
    reason: str
    demand_class: DemandClass
    backtest: Backtest
    baseline: Scores | None
    champion: Scores | None

    @property
    def scores(self) -> Scores | None:
        """The chosen candidate's accuracy."""
        return None if self.chosen is None else self.backtest.scores[self.chosen]

    @property
    def errors(self) -> Mapping[str, str]:
        """Candidate -> why it was excluded."""
        return self.backtest.errors


def evaluate(
    panel: Panel,
    names: Sequence[str],
    *,
    windows: int,
    step: int,
    horizon: int,
    metric: Metric,
    simpler_within: float,
    also: str | None = None,
) -> Evaluation:
    """Backtest the named candidates on the same windows and choose one.

    Args:
        panel: the SKU's data.
        names: candidates of the catalogue file; only these can be chosen.
        windows: cutoffs wanted; as many as fit are used.
        step: periods between cutoffs.
        horizon: periods per window.
        metric: what the choice compares.
        simpler_within: see ``choose_candidate``.
        also: the candidate of the version in production: backtested too where it is known, chosen only if named.

    Raises:
        ConfigError: a name is not a candidate.
        ValueError: the horizon is longer than the panel's.
    """
    tried = [*names, *([also] if also in CANDIDATES and also not in names else [])]
    backtest = run_backtest(
        panel, [find_candidate(name) for name in tried], windows=windows, step=step, horizon=horizon
    )
    own = {name: backtest.scores[name] for name in names if name in backtest.scores}
    complexity = {name: CANDIDATES[name].complexity for name in own}
    chosen = choose_candidate(own, complexity, metric=metric, simpler_within=simpler_within, baseline=BASELINE)
    return Evaluation(
        chosen=chosen,
        reason=_explain(panel, backtest, own, chosen, metric, horizon),
        demand_class=classify_demand(panel.units),
        backtest=backtest,
        baseline=backtest.scores.get(BASELINE),
        champion=backtest.scores.get(also) if also else None,
    )


def _explain(
    panel: Panel, backtest: Backtest, own: Mapping[str, Scores], chosen: str | None, metric: Metric, horizon: int
) -> str:
    """Why this candidate, or why none."""
    if chosen is not None:
        values = ", ".join(f"{name} {getattr(scores, metric):.4g}" for name, scores in own.items())
        return f"{chosen} by {metric} over {len(backtest.cutoffs)} window(s): {values}"
    if len(backtest.cutoffs) == 0:
        return (
            f"no backtest window fits: {panel.dates.size} periods of history; "
            f"a window needs {panel.season_length} known ahead of it and {horizon} in it"
        )
    return "every candidate failed: " + "; ".join(f"{name}: {error}" for name, error in backtest.errors.items())


def refit(panel: Panel, name: str) -> Fitted:
    """Fit a candidate on all data.

    Raises:
        ConfigError: there is no such candidate.
    """
    return fit_candidate(name, panel)
