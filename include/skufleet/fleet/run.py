"""The identity of one run, and the S3 keys that belong to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date

TRIES = 5
"""How often a task of a run is tried: once, and four times again."""


@dataclass(frozen=True, slots=True)
class RunKeys:
    """Where a run keeps what it writes; needs no more than its id, so that anybody can find it.

    Attributes:
        catalogue: the catalogue's name.
        run_id: the orchestrator's id of the run; the same for every retry, so what is written under it may be written
            again without harm.
    """

    catalogue: str
    run_id: str

    @property
    def key(self) -> str:
        """The run's name in S3 keys: readable, and still unique once odd characters are taken out."""
        readable = re.sub(r"[^A-Za-z0-9]+", "-", self.run_id).strip("-")[:60]
        return f"{readable}-{hashlib.sha256(self.run_id.encode()).hexdigest()[:8]}"

    @property
    def folder(self) -> str:
        """The prefix of everything that this run writes for itself."""
        return f"runs/{self.catalogue}/{self.key}"

    @property
    def plan_key(self) -> str:
        """The plan: what is trained, by which chunk, and why the rest is not."""
        return f"{self.folder}/plan.json"

    @property
    def departments_key(self) -> str:
        """The profiles of the departments; there is none where no candidate borrows from them."""
        return f"{self.folder}/departments.json"

    @property
    def results_key(self) -> str:
        """One row per SKU of the run: ``outcomes.SkuOutcome``."""
        return f"{self.folder}/results.parquet"

    @property
    def decisions_key(self) -> str:
        """One row per new version: promoted or not, and why."""
        return f"{self.folder}/decisions.parquet"

    @property
    def summary_key(self) -> str:
        """The run in figures, as JSON; written last."""
        return f"{self.folder}/summary.json"

    @property
    def report_key(self) -> str:
        """The HTML report."""
        return f"reports/{self.catalogue}/{self.key}.html"

    @property
    def release_key(self) -> str:
        """The frozen map of SKU to model version."""
        return f"releases/{self.catalogue}/{self.key}.parquet"

    @property
    def not_planned_key(self) -> str:
        """The outcome of each SKU of the plan that no chunk gets: ``outcomes.SkuOutcome``."""
        return f"{self.folder}/not-planned.parquet"

    @property
    def release_pointer(self) -> str:
        """Names the release that is in force."""
        return f"releases/{self.catalogue}/current.json"

    @property
    def standing_key(self) -> str:
        """How every SKU of the catalogue stands after the runs so far."""
        return f"standing/{self.catalogue}.parquet"

    @property
    def versions_key(self) -> str:
        """Every version of the catalogue's models that has not been pruned."""
        return f"standing/{self.catalogue}.versions.parquet"

    @property
    def trials_key(self) -> str:
        """The open trials of recipes: both forecasts of each day."""
        return f"standing/{self.catalogue}.trials.parquet"

    @property
    def canaries_key(self) -> str:
        """What the canaries showed of each recipe, as JSON."""
        return f"standing/{self.catalogue}.canaries.json"

    @property
    def rolled_back_key(self) -> str:
        """The versions that were rolled back, and the data they were made of."""
        return f"standing/{self.catalogue}.rolled-back.parquet"

    @property
    def lease_key(self) -> str:
        """Who may move the catalogue's aliases just now."""
        return f"standing/{self.catalogue}.lease.json"

    @property
    def pending_key(self) -> str:
        """The change of aliases that is at work, or was broken off."""
        return f"standing/{self.catalogue}.pending.json"

    @property
    def transitions_folder(self) -> str:
        """Every change of a version's stage, an object per run or command."""
        return f"transitions/{self.catalogue}/"

    @property
    def verdict_key(self) -> str:
        """What the fleet gate said, as JSON."""
        return f"{self.folder}/verdict.json"

    @property
    def moves_key(self) -> str:
        """The moves of that change."""
        return f"standing/{self.catalogue}.moves.parquet"

    @property
    def releases_key(self) -> str:
        """The catalogue's releases that are kept, as JSON, the newest last."""
        return f"releases/{self.catalogue}/releases.json"

    @property
    def forecast_pointer(self) -> str:
        """Names the forecasts that are published."""
        return f"forecasts/{self.catalogue}/current.json"

    @property
    def forecast_folder(self) -> str:
        """The forecasts of this run, published or not."""
        return f"forecasts/{self.catalogue}/{self.key}"

    @property
    def components_key(self) -> str:
        """How the forecasts of the SKUs that the report explains come about."""
        return f"{self.folder}/components.parquet"

    @property
    def known_series_key(self) -> str:
        """The series index as known on the run's date; only a run of the past has one."""
        return f"{self.folder}/known/series.parquet"

    @property
    def known_dates_key(self) -> str:
        """The trading dates as known on the run's date, likewise."""
        return f"{self.folder}/known/dates.parquet"

    @property
    def known_prices_key(self) -> str:
        """The price table's index as known on the run's date, likewise."""
        return f"{self.folder}/known/prices.parquet"

    @property
    def scorecards_folder(self) -> str:
        """What the forecasts of past dates turned out to be worth, a folder per date."""
        return f"scorecards/{self.catalogue}/"

    @property
    def forecast_list_key(self) -> str:
        """Names the objects that hold the run's forecasts; written once all of them are there."""
        return f"{self.forecast_folder}/list.json"

    def forecast_key(self, edition: str, chunk: str) -> str:
        """The forecasts of one chunk's SKUs, as a plan of that edition cuts the chunks.

        A run that is cleared and planned anew may cut them otherwise: what is published meanwhile must stay whole.
        """
        return f"{self.forecast_folder}/{edition}/part-{chunk}.parquet"

    def chunk_folder(self, chunk: str) -> str:
        """The prefix of what one chunk reads (its manifest) and writes."""
        return f"{self.folder}/chunks/{chunk}"


@dataclass(frozen=True, slots=True)
class Run(RunKeys):
    """One retraining run of one catalogue.

    Attributes:
        as_of: the date the run pretends it is; nothing dated after it is read.
        skus: SKU codes or shell patterns to train; empty means all.
        force: train also SKUs that have nothing new, and those that are retired for not having sold for long.
        dry_run: plan and report only.
    """

    as_of: date
    skus: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False
