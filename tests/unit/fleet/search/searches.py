"""A search of the small fleet, stage by stage, as its tasks do it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config.search import Search
from include.skufleet.fleet.search.plan import plan_search
from include.skufleet.fleet.search.planned import SearchPlan
from include.skufleet.fleet.search.publish import publish_search
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.search.rungs import close_rung
from include.skufleet.fleet.search.timings import stage_name
from include.skufleet.fleet.search.trial import run_trial
from include.skufleet.fleet.stages import timed_stage
from tests.unit.fleet.small_fleet import END, SmallFleet


@dataclass
class SmallSearch:
    """One search of one fleet; ``lost`` are trials that die in a rung, on every try."""

    fleet: SmallFleet
    run: SearchRun
    search: Search
    lost: set[tuple[str, int]] = field(default_factory=set)

    @classmethod
    def of(cls, fleet: SmallFleet, as_of: date = END, skus: tuple[str, ...] = (), **settings: Any) -> SmallSearch:
        run = SearchRun(fleet.catalogue.name, "manual__search", as_of=as_of, skus=skus)
        return cls(fleet, run, Search.model_validate(settings))

    @property
    def clients(self) -> Any:
        return self.fleet.clients

    def plan(self) -> list[str]:
        """The trials of the first rung."""
        ingested = self.fleet.ingest()
        with timed_stage(self.fleet.store, self.run, "plan"):
            rows = plan_search(self.clients, self.fleet.catalogue, self.run, ingested, self.search)
        return [row["trial"] for row in rows]

    def try_out(self, trials: list[str], rung: int) -> list[dict[str, Any]]:
        done = []
        for trial in trials:
            if (trial, rung) not in self.lost:
                with timed_stage(self.fleet.store, self.run, stage_name(rung), trial):
                    done.append(run_trial(self.clients, self.run, trial, rung))
        return done

    def judge(self, rung: int) -> list[str]:
        return [row["trial"] for row in close_rung(self.clients, self.run, rung)]

    def report(self) -> dict[str, Any]:
        return publish_search(self.clients, self.run, {"A page": "http://localhost/page"})

    def do_all(self) -> dict[str, Any]:
        """The whole flow, as the Dag has it; returns the summary."""
        going = self.plan()
        for rung in range(1, self.search.rungs + 1):
            self.try_out(going, rung)
            if rung < self.search.rungs:
                going = self.judge(rung)
        return self.report()

    def planned(self) -> SearchPlan:
        return SearchPlan.read(self.fleet.store, self.run)

    def scores(self, trial: str, rung: int) -> pd.DataFrame:
        return self.fleet.store.get_frame(self.run.scores_key(self.planned().draw, trial, rung))
