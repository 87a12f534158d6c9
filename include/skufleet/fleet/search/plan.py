"""Plan a search: draw and check the configurations, sample the SKUs, open the MLflow runs."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.skufleet import VERSION
from include.skufleet.config import Catalogue
from include.skufleet.config.search import Search, read_key
from include.skufleet.errors import PlanError
from include.skufleet.fleet.chunk_data import load_skus
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.departments import fit_departments, list_cutoffs, put_priors
from include.skufleet.fleet.known_then import limit_to_known, parse_known
from include.skufleet.fleet.search.judge import SearchMetric
from include.skufleet.fleet.search.planned import Piece, SearchPlan
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.search.sample import cut_pieces, name_strata, order_sample, rung_sizes
from include.skufleet.fleet.search.space import Configuration, describe_changes, draw_configurations
from include.skufleet.fleet.search.trial import find_windows
from include.skufleet.fleet.selection import Selection, find_skus
from include.skufleet.lake.demand import read_demand
from include.skufleet.registry.trials import TrialRun

SKUS_AT_ONCE = 100
"""SKUs that are read together, and the most of a piece of the sample."""


def plan_search(
    clients: Clients, catalogue: Catalogue, run: SearchRun, ingested: Mapping[str, Any], search: Search
) -> list[dict[str, str]]:
    """Write the plan of a search and its sample to S3, and open the MLflow runs of its trials.

    Args:
        clients: the services.
        catalogue: the catalogue file.
        run: the search; ``skus`` limits what is sampled.
        ingested: the JSON of the ingestion's summary.
        search: the file's section ``search``, perhaps with what a person asked for.

    Returns:
        One ``{"trial", "label"}`` per trial of the first rung.

    Raises:
        CatalogueError: a combination of the space is not a possible catalogue file.
        PlanError: the space holds nothing to try, or no SKU can be tried on.
    """
    configurations = draw_configurations(catalogue, search)
    ingested = limit_to_known(clients, catalogue, run, ingested)
    selection = find_skus(clients, catalogue, run, ingested)
    sampler = _Sampler(clients, catalogue, run, ingested, search, selection)
    sampler.fill()
    _fit_departments(clients, run, ingested, search, configurations)
    base = catalogue.model_dump(mode="json", exclude={"search"})
    trials = {item.trial: dict(item.changes) for item in configurations}
    sampled = [dict(piece.strata) for piece in sampler.pieces]
    draw = _digest(VERSION, base, trials, search.held_back, run.as_of.isoformat(), ingested["table_version"], sampled)
    metric = choose_metric(catalogue, search)
    parent, runs = _open_runs(clients, run, search, metric, draw, base, configurations)
    plan = SearchPlan(
        draw=draw,
        catalogue=base,
        metric=metric,
        held_back=search.held_back,
        ingested=ingested,
        trials=trials,
        runs=runs,
        parent=parent,
        pieces=sampler.pieces,
        counts={"skus": len(selection.planned), **sampler.counts},
        settings=search.model_dump(mode="json"),
    )
    plan.write(clients.store, run)
    return hand_out(plan, list(trials))


def hand_out(plan: SearchPlan, trials: Sequence[str]) -> list[dict[str, str]]:
    """What the mapped tasks of a rung are given."""
    return [{"trial": trial, "label": plan.label(trial)} for trial in trials]


def choose_metric(catalogue: Catalogue, search: Search) -> SearchMetric:
    """What ranks the trials: what the section says, else what ``backtest.metric`` comes closest to."""
    if search.metric is not None:
        return search.metric
    return "rmsse" if catalogue.backtest.metric in ("rmsse", "rmse") else "wape"


def _fit_departments(
    clients: Clients,
    run: SearchRun,
    ingested: Mapping[str, Any],
    search: Search,
    configurations: Sequence[Configuration],
) -> None:
    """Write the departments' profiles as known at every cutoff of any trial that borrows from them."""
    clients.store.delete(run.departments_key)
    borrowing = [item.catalogue for item in configurations if item.catalogue.pools_departments]
    if borrowing:
        cutoffs = sorted({back for item in borrowing for back in list_cutoffs(item, search.held_back)})
        put_priors(
            clients.store, run, fit_departments(clients, configurations[0].catalogue, run.as_of, ingested, cutoffs)
        )


@dataclass
class _Sampler:
    """Reads SKUs in the order of the sample until enough of them can be tried on.

    Attributes:
        pieces: what the sample consists of.
        counts: SKUs that were looked at, by what became of them.
    """

    clients: Clients
    catalogue: Catalogue
    run: SearchRun
    ingested: Mapping[str, Any]
    search: Search
    selection: Selection
    pieces: list[Piece] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def fill(self) -> None:
        """Look at a chunk's worth of SKUs at a time.

        Raises:
            PlanError: not one SKU can be tried on.
        """
        sizes = rung_sizes(self.search.sample, self.search.rungs, len(self.selection.planned))
        strata = self._name_strata()
        order = order_sample(strata, self.search.seed)
        step = SKUS_AT_ONCE
        for start in range(0, len(order), step):
            if self.counts["sampled"] >= sizes[-1]:
                break
            self._add(order[start : start + step], sizes, strata)
        if not self.pieces:
            looked = ", ".join(f"{count} {reason}" for reason, count in sorted(self.counts.items())) or "none planned"
            raise PlanError(
                f"no SKU of catalogue {self.catalogue.name!r} can be tried on as of {self.run.as_of} ({looked}): a SKU "
                f"needs to be trainable, and to have a window of {self.catalogue.horizon} periods with enough of them "
                "before it; choose a later as_of, other SKUs, or land more history"
            )

    def _name_strata(self) -> dict[str, str]:
        planned = self.selection.planned
        demand = read_demand(
            self.clients.store,
            self.catalogue,
            version=self.ingested["table_version"],
            as_of=self.run.as_of,
            known=parse_known(self.ingested),
        )
        departments = {item.sku: str(self.selection.describe(item.sku)["department"]) for item in planned}
        # Days that are not written count as days without a sale only where the file says that they are.
        zeros, days = self.catalogue.landing.sales.gaps == "zero", 7 if self.catalogue.frequency == "W" else 1
        return name_strata(departments, demand, {item.sku: item.rows / days if zeros else 0.0 for item in planned})

    def _add(self, batch: Sequence[str], sizes: Sequence[int], strata: Mapping[str, str]) -> None:
        """Keep the SKUs of a batch that can be tried on, and write their validated sales, piece by piece."""
        buckets = {item.sku: item.bucket for item in self.selection.planned if item.sku in set(batch)}
        known = {sku: self.selection.describe(sku) | {"production": None} for sku in batch}
        data = load_skus(
            self.clients, self.catalogue, self.run.as_of, self.ingested, known, sorted(set(buckets.values()))
        )
        usable = []
        for sku in batch:
            verdict, panel = data.verdict.skus[sku], data.panels.get(sku)
            if not verdict.train or panel is None:
                self.counts[verdict.status] += 1
            elif not find_windows(panel, self.search.held_back):
                self.counts["without a window"] += 1
            else:
                usable.append(sku)
        for rung, skus in cut_pieces(usable, sizes, self.counts["sampled"], SKUS_AT_ONCE):
            piece = Piece(
                name=f"p{len(self.pieces):03d}",
                rung=rung,
                buckets=sorted({buckets[sku] for sku in skus}),
                departments={sku: str(known[sku]["department"]) for sku in skus},
                strata={sku: strata[sku] for sku in skus},
            )
            clean = data.verdict.clean
            self.clients.store.put_frame(self.run.piece_key(piece.name), clean[clean["sku"].isin(skus)])
            self.pieces.append(piece)
            self.counts["sampled"] += len(skus)


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:10]


def _open_runs(
    clients: Clients,
    run: SearchRun,
    search: Search,
    metric: SearchMetric,
    draw: str,
    base: Mapping[str, Any],
    configurations: Sequence[Configuration],
) -> tuple[TrialRun, dict[str, TrialRun]]:
    """One MLflow run for the search and one per trial, with what is tried as params: each searched key, as it is there.

    A plan that comes out differently, after the file was changed and the search cleared, gets runs of its own: params
    cannot be changed.
    """
    settings = search.model_dump(mode="json", exclude={"space"})
    tags = {"draw": draw, "metric": metric}
    parent = clients.registry.open_trial(run.catalogue, run.run_id, f"search-{draw}", run.as_of, settings, tags)
    keys = sorted({key for item in configurations for key in item.changes})
    runs = {}
    for item in configurations:
        params = {key: item.changes.get(key, read_key(base, key)) for key in keys}
        own = tags | {"trial": item.trial, "changes": describe_changes(item.changes, base)}
        runs[item.trial] = clients.registry.open_trial(
            run.catalogue, run.run_id, f"{item.trial}-{draw}", run.as_of, params, own, parent
        )
    return parent, runs
