"""What a report is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

import pandas as pd

from include.skufleet.fleet.outcomes import OUTCOMES, count
from include.skufleet.fleet.report.recipes import count_recipes
from include.skufleet.fleet.scores import Scorecard
from include.skufleet.fleet.stages import StageCost
from include.skufleet.lifecycle.fleet_gate import Verdict
from include.skufleet.quality.records import ExpectationResult


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One run, ready to be shown. Frames are never changed; every one may be empty, with or without its columns.

    Attributes:
        catalogue: its name.
        description: what the catalogue is, in a sentence.
        run_id: the orchestrator's id of the run.
        as_of: nothing later was read.
        horizon: periods forecast.
        planned: how many SKUs the plan holds; the page says how many of them have no row in ``results``.
        results: one row per SKU, see ``outcomes.SkuOutcome``; metrics are NaN where nothing was backtested.
        decisions: ``sku, promoted, reason, version, previous_version``, one row per new version.
        backtest: ``sku, store, date, cutoff, y, y_hat, baseline``, of the SKUs to plot (see ``pick_skus``).
        actuals: ``sku, store, date, units``, recent, of the same SKUs; NaN is unknown, an absent period see ``gaps``.
        forecast: ``sku, store, date, y_hat, served_by``, bounds where there are, of the same SKUs.
        components: how the forecasts of a SKU per demand class come about, see ``fleet.components.explain``.
        stockouts: ``sku, store, from, to, periods, expected_units, reason``, see ``fleet.stockouts``.
        quarantine: ``sku, store, date, units, scope, reason, expectation``, see ``quality.Verdict.bad_rows``.
        set_aside: rows that ingestion set aside, by reason.
        rejected_drops: drops that could not be read at all, with the reason.
        expectations: how the suites fared, added up over the chunks.
        stages: what each finished stage took, in the order of the flow.
        started: when the run began.
        finished: when the report was made.
        frequency: ``D`` or ``W``: what a period is.
        season_length: periods in a season: what the seasonal naive repeats.
        gaps: what an absent period means in ``actuals``: ``zero`` sales or ``missing`` knowledge.
        candidates: names of the candidates of the catalogue.
        plots: at most so many SKUs are plotted: the same number that ``pick_skus`` was asked for.
        table_version: the version of the history table that the run trained on.
        results_uri: where all rows of ``results`` are.
        quarantine_uri: where all rows of ``quarantine`` are.
        stockouts_uri: where all rows of ``stockouts`` are.
        report_uri: where this report is.
        links: title -> address of pages to go on to; only ``http`` and ``https`` addresses become links.
        lost_chunks: chunks that ended without results.
        verdict: what the fleet gate said; ``None`` where it was not asked.
        stopped: why nothing of the run went to production; empty where it did.
        approval: what a person said of the release, a sentence; empty where nobody was asked.
        rejected_by: who rejected it; empty where nobody did.
        moved_by_hand: SKU -> the version that the release before named, and the one that MLflow names (0: none).
        scorecards: of this run, if it is of the past, and of the other dates, in their order.
        late_rows: rows of days up to ``as_of`` that were delivered later, and left out.
        unpooled: SKUs were to borrow from their departments, and that stage failed: each was trained on its own.
        dry_run: the run only planned.
    """

    catalogue: str
    description: str
    run_id: str
    as_of: date
    horizon: int
    planned: int
    results: pd.DataFrame
    decisions: pd.DataFrame
    backtest: pd.DataFrame
    actuals: pd.DataFrame
    forecast: pd.DataFrame
    quarantine: pd.DataFrame
    started: datetime
    finished: datetime
    components: pd.DataFrame = field(default_factory=pd.DataFrame)
    stockouts: pd.DataFrame = field(default_factory=pd.DataFrame)
    set_aside: Mapping[str, int] = field(default_factory=dict)
    rejected_drops: Mapping[str, str] = field(default_factory=dict)
    expectations: Sequence[ExpectationResult] = ()
    stages: Mapping[str, StageCost] = field(default_factory=dict)
    frequency: Literal["D", "W"] = "D"
    season_length: int = 7
    gaps: Literal["zero", "missing"] = "missing"
    candidates: Sequence[str] = ()
    plots: int = 20
    table_version: int | None = None
    results_uri: str = ""
    quarantine_uri: str = ""
    stockouts_uri: str = ""
    report_uri: str = ""
    links: Mapping[str, str] = field(default_factory=dict)
    lost_chunks: Sequence[str] = ()
    verdict: Verdict | None = None
    stopped: str = ""
    approval: str = ""
    rejected_by: str = ""
    moved_by_hand: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    scorecards: Sequence[Scorecard] = ()
    late_rows: int = 0
    unpooled: bool = False
    dry_run: bool = False

    @property
    def outcomes(self) -> dict[str, int]:
        """How many SKUs ended in each outcome; every outcome is named."""
        return count(self.results) if len(self.results) else dict.fromkeys(OUTCOMES, 0)

    @property
    def promoted(self) -> int:
        """New versions that became production."""
        return int(self.decisions["promoted"].sum()) if len(self.decisions) else 0

    @property
    def recipes(self) -> dict[str, int]:
        """What became of the recipes of trained SKUs, in words -> SKUs, the most frequent first."""
        return count_recipes(self.results, self.decisions)

    @property
    def own_scorecard(self) -> Scorecard | None:
        """The scorecard of this run; ``None`` where it is not of the past, or another run of its date came later."""
        return next((card for card in self.scorecards if card.run_id == self.run_id), None)

    @property
    def period(self) -> str:
        """A period in words, in the plural."""
        return "days" if self.frequency == "D" else "weeks"

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return (self.finished - self.started).total_seconds()
