"""What must be true of a catalogue after a run, whatever happened while it ran: asked of lake and registry themselves.

Nothing here trusts what the run says of itself: the plan is held against the results, the results against MLflow,
MLflow against the objects on S3, and the forecasts against the history. Reading all of it takes a while for a large
catalogue: it is for doubts, for drills and for tests, and is no stage of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import ArtifactError
from include.skufleet.fleet.clients import Clients, artifact_key
from include.skufleet.fleet.outcomes import OUTCOMES, count
from include.skufleet.fleet.releases import read_release_frame
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.accounts import find_discrepancies
from include.skufleet.lake.index import read_series_index
from include.skufleet.lake.publishing import read_published
from include.skufleet.registry.package import artifact_files
from include.skufleet.registry.records import PREVIOUS, PRODUCTION, RegisteredVersion

INVARIANTS = {
    "outcomes": "every planned SKU ends in exactly one outcome, with a reason, and the counts reconcile",
    "versions": "each SKU has one new version of the run at the most, and its files are there and can be read",
    "aliases": "no alias names a version that does not exist or cannot be read",
    "production": "what serves is no older than what served before, and the gate or a person let it",
    "forecasts": "every active series has each day of the horizon exactly once, and whole objects are published",
    "history": "every delivery is in the history whole or rejected with a reason, and no day counts twice",
}
SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which of ``INVARIANTS``, and a sentence with the particulars."""

    invariant: str
    detail: str


def audit_run(clients: Clients, catalogue: Catalogue, run: RunKeys) -> list[Finding]:
    """Hold a finished run, and what the catalogue is since, against ``INVARIANTS``; nothing found: all are true.

    Raises:
        DataError: the run has no plan, or no results; then there is nothing to hold against anything.
        ServiceUnavailableError: a service is away.
    """
    store = clients.store
    work = _Audit(clients, catalogue, run, store.get_json(run.plan_key), store.get_frame(run.results_key))
    found: list[Finding] = []
    for name in INVARIANTS:
        found += [Finding(name, detail) for detail in getattr(work, name)()]
    return found


class _Audit:
    """One method per invariant; each yields what is wrong."""

    def __init__(
        self, clients: Clients, catalogue: Catalogue, run: RunKeys, plan: Mapping[str, Any], results: pd.DataFrame
    ) -> None:
        self.clients, self.catalogue, self.run, self.plan, self.results = clients, catalogue, run, plan, results
        self.store = clients.store
        listed = clients.registry.list_versions(catalogue.name)
        self.known = {(item.name, item.version): item for item in listed}
        self.states = clients.registry.states(catalogue.name, listed)
        released = read_release_frame(self.store, run)
        self.by_people = set(released.loc[released["kind"] != "run", "sku"])

    def outcomes(self) -> Iterator[str]:
        """From the plan to the report."""
        results = self.results
        planned = [sku for chunk in self.plan["chunks"] for sku in chunk["skus"]]
        planned += list(self.store.get_frame(self.run.not_planned_key)["sku"])
        yield from _differ("planned SKUs", planned, "results", results["sku"])
        yield from _some(results["sku"][results["sku"].duplicated()], "have more than one result")
        yield from _some(results["sku"][~results["outcome"].isin(OUTCOMES)], "have an outcome that is none")
        yield from _some(results["sku"][results["reason"] == ""], "have no reason")
        for chunk in self.plan["chunks"]:
            if not self.store.exists(f"{self.run.chunk_folder(chunk['chunk'])}/results.parquet"):
                yield f"chunk {chunk['chunk']} ended without results"
        summary = self.store.find_json(self.run.summary_key)
        if summary is None:
            yield "the run has no summary"
        elif summary["outcomes"] != count(results):
            yield f"the summary counts {summary['outcomes']}, the results {count(results)}"

    def versions(self) -> Iterator[str]:
        """What the run registered."""
        runs = set(self.results["mlflow_run_id"]) - {""}
        own = [key for key, item in self.known.items() if item.run_id in runs]
        told = self.results[self.results["version"] > 0]
        expected = set(zip(told["registered_name"], told["version"], strict=True))
        # A run that was cleared and found other data has a second version of the SKU; the results name what counts.
        latest = set(zip(told["registered_name"], told["fingerprint"], strict=True))
        counted = [key for key in own if (key[0], self.known[key].fingerprint) in latest]
        yield from _differ("versions in MLflow", counted, "versions in the results", expected - self._pruned(expected))
        names = pd.Series(
            [f"{name} of {self.known[name, version].fingerprint[:8]}" for name, version in own], dtype="str"
        )
        yield from _some(names[names.duplicated()], "have more than one version of this run")
        yield from self._unreadable(self.known[key] for key in own)

    def aliases(self) -> Iterator[str]:
        """What every alias of the catalogue names."""
        for state in self.states.values():
            for alias, number in state.aliases.items():
                if (state.name, number) not in self.known:
                    yield f"alias {alias} of {state.name} names version {number}, which does not exist"
        yield from self._unreadable(state.production for state in self.states.values() if state.production)

    def production(self) -> Iterator[str]:
        """What serves, beside what served before and what the gate said."""
        for state in self.states.values():
            before = self.known.get((state.name, state.aliases.get(PREVIOUS, 0)))
            taken_back = state.sku in self.by_people
            if state.production and before and state.production.as_of < before.as_of and not taken_back:
                yield (
                    f"{state.name}: version {state.production.version} in production is of {state.production.as_of}, "
                    f"older than version {before.version} of {before.as_of} before it"
                )
        serving = {state.name: state.aliases.get(PRODUCTION, 0) for state in self.states.values()}
        for row in self._decisions().to_dict("records"):
            name, version = str(row["registered_name"]), int(row["version"])
            now = serving.get(name, 0)
            if str(row["sku"]) in self.by_people:
                continue
            if row["promoted"] and now < version:
                yield f"{name}: version {version} was promoted, but version {now} is in production"
            elif not row["promoted"] and now == version:
                yield f"{name}: version {version} was held back, but is in production"

    def forecasts(self) -> Iterator[str]:
        """What is published, beside the series that are alive."""
        pointer = read_published(self.store, self.run.forecast_pointer)
        if pointer is None:
            yield "nothing is published"
            return
        absent = [key for key in pointer["keys"] if not self.store.exists(key)]
        yield from _some(absent, "are published and do not exist")
        if absent or not pointer["keys"]:
            return
        columns = ["sku", "store", "date", "y_hat"]
        rows = pd.concat([self.store.get_frame(key, columns) for key in pointer["keys"]], ignore_index=True)
        yield from _some(rows["sku"][rows.duplicated(columns[:3])], "have a day that is published twice")
        yield from _some(rows["sku"][~(rows["y_hat"] >= 0)], "have a forecast that is not a number of units")
        if pointer["run_id"] != self.run.run_id:
            return
        sizes = rows.groupby(["sku", "store"])["date"].agg(["size", "min"])
        wrong = sizes[(sizes["size"] != int(pointer["horizon"])) | (sizes["min"] <= pd.Timestamp(pointer["as_of"]))]
        yield from _some([f"{sku} in {store}" for sku, store in wrong.index], "have not each day of the horizon once")
        index = read_series_index(self.store, self.plan["ingested"]["index_key"])
        published, known = set(sizes.index), set(zip(index["sku"], index["store"], strict=True))
        missing = self._active(index, date.fromisoformat(pointer["as_of"])) - published
        yield from _some([f"{sku} in {store}" for sku, store in sorted(missing)], "are active and have no forecast")
        strangers = published - known
        yield from _some([f"{sku} in {store}" for sku, store in sorted(strangers)], "have a forecast and no history")

    def history(self) -> Iterator[str]:
        """The drops of the landing, the ledger, the table and its index."""
        yield from _shorten(list(find_discrepancies(self.store, self.catalogue)))

    def _pruned(self, versions: Iterable[tuple[str, int]]) -> set[tuple[str, int]]:
        """Those of the versions that are gone and so old that ``retention.versions`` may have taken them."""
        kept: dict[str, list[int]] = {}
        for name, version in self.known:
            kept.setdefault(name, []).append(version)
        return {
            (name, version)
            for name, version in versions
            if (name, version) not in self.known
            and sum(number > version for number in kept.get(name, ())) >= self.catalogue.retention.versions
        }

    def _decisions(self) -> pd.DataFrame:
        """What promotion decided; none where it did not come to it."""
        if not self.store.exists(self.run.decisions_key):
            return pd.DataFrame({"sku": [], "registered_name": [], "version": [], "promoted": []})
        return self.store.get_frame(self.run.decisions_key)

    def _unreadable(self, versions: Iterable[RegisteredVersion]) -> Iterator[str]:
        """Versions of which a file is missing, or whose parameters are none."""
        files = {
            item: {artifact_key(self.store, uri) for uri in artifact_files(item.artifact_uri)} for item in versions
        }
        wanted = set().union(*files.values())
        folders = {key.rsplit("/", 2)[0] + "/" for key in wanted}
        present = {item.key for folder in folders for item in self.store.list(folder)}
        yield from _some(sorted(wanted - present), "are files of a version and do not exist")
        complete = [item for item, keys in files.items() if keys <= present]
        try:
            self.clients.registry.load_parameters(complete, self.clients.get_artifact)
        except ArtifactError as error:
            yield str(error)

    def _active(self, index: pd.DataFrame, as_of: date) -> set[tuple[str, str]]:
        """SKU and store of the series that must have a forecast, by the run's outcomes and the history's index.

        Those that sold, or were first seen, within ``validation.inactive_after`` periods, of SKUs that were trained,
        have a fallback, or have nothing new. What is set aside may have a forecast, and need not.
        """
        alive = self.results["outcome"].isin(["trained", "fallback"]) | (self.results["unchanged_since"] != "")
        span = self.catalogue.validation.inactive_after * (7 if self.catalogue.frequency == "W" else 1)
        since = pd.Timestamp(as_of) - pd.Timedelta(days=span)
        recent = (pd.to_datetime(index["last_sale"]) > since) | (pd.to_datetime(index["first_date"]) > since)
        asked = index[recent & index["sku"].isin(self.results.loc[alive, "sku"])]
        return set(zip(asked["sku"], asked["store"], strict=True))


def _differ(one: str, left: Iterable[Any], other: str, right: Iterable[Any]) -> Iterator[str]:
    """What only one of two collections has."""
    a, b = set(left), set(right)
    yield from _some(sorted(map(str, a - b)), f"are among the {one}, but not among the {other}")
    yield from _some(sorted(map(str, b - a)), f"are among the {other}, but not among the {one}")


def _some(items: Iterable[Any], what: str) -> Iterator[str]:
    """One sentence about all of the items, with the first few by name; nothing where there is none."""
    found = [str(item) for item in dict.fromkeys(items)]
    if found:
        names = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
        yield f"{len(found)} {what}: {names}"


def _shorten(sentences: list[str]) -> Iterator[str]:
    """The first few of many sentences, and how many more there are."""
    yield from sentences[:SHOWN]
    if len(sentences) > SHOWN:
        yield f"and {len(sentences) - SHOWN} more like these"
