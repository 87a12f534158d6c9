"""The audit finds nothing after sound runs, and each kind of damage that is done by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import mlflow
import pytest

from include.skufleet.fleet.audit import INVARIANTS, audit_run
from include.skufleet.fleet.clients import artifact_key
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.tidy import tidy_run
from include.skufleet.lake.keys import ledger_folder
from tests.unit.fleet.small_fleet import END, SmallFleet, weekly
from tests.unit.registry.mlflow_server import server_uri

SKUS = ("A", "B/1", "C")


@pytest.fixture(scope="module")
def sound() -> SmallFleet:
    """Two runs: the second finds a day of two SKUs that is new, and nothing of the third."""
    fleet = SmallFleet.open()
    fleet.deliver([row for sku in SKUS for row in weekly(sku)])
    fleet.do_all(fleet.new_run())
    fleet.deliver([(sku, "S1", END.isoformat(), 3) for sku in SKUS[:2]], name="second.csv")
    fleet.do_all(fleet.new_run())
    return fleet


def found(fleet: SmallFleet, run: Run) -> dict[str, str]:
    """Invariant -> what was found of it."""
    told: dict[str, str] = {}
    for item in audit_run(fleet.clients, fleet.catalogue, run):
        told[item.invariant] = f"{told.get(item.invariant, '')} {item.detail}".strip()
    return told


def test_versions_that_retention_took_are_no_loss() -> None:
    fleet = SmallFleet.open(retention={"versions": 2, "runs": 10, "releases": 2})
    fleet.deliver(weekly("A"))
    for _ in range(4):
        fleet.do_all(run := fleet.new_run(force=True))
        tidy_run(fleet.clients, fleet.catalogue, run)
    assert fleet.versions() == {"A": [3, 4]}
    assert [found(fleet, run) for run in fleet.runs] == [{}] * 4


@contextmanager
def mended(fleet: SmallFleet) -> Iterator[None]:
    """Put back, afterwards, what is changed on S3 within, and delete what is made there or in MLflow."""
    before = {item.key: (item.etag, fleet.store.get(item.key)) for item in fleet.store.list("")}
    versions = {(item.name, item.version) for item in fleet.clients.registry.list_versions(fleet.catalogue.name)}
    yield
    after = {item.key: item.etag for item in fleet.store.list("")}
    for key, (etag, content) in before.items():
        if after.get(key) != etag:
            fleet.store.put(key, content)
    fleet.store.delete_many(set(after) - set(before))
    made = {(item.name, item.version) for item in fleet.clients.registry.list_versions(fleet.catalogue.name)}
    fleet.clients.registry.delete_versions(made - versions)


def test_nothing_is_found_after_sound_runs(sound: SmallFleet) -> None:
    assert [found(sound, run) for run in sound.runs] == [{}, {}]


def _client() -> mlflow.MlflowClient:
    return mlflow.MlflowClient(server_uri(), server_uri())


def _name(fleet: SmallFleet, sku: str) -> str:
    return fleet.clients.registry.states(fleet.catalogue.name)[sku].name


def lose_a_result(fleet: SmallFleet, run: Run) -> None:
    results = fleet.store.get_frame(run.results_key)
    fleet.store.put_frame(run.results_key, results[results["sku"] != "C"])


def forget_a_reason(fleet: SmallFleet, run: Run) -> None:
    results = fleet.store.get_frame(run.results_key)
    fleet.store.put_frame(run.results_key, results.assign(reason=""))


def register_twice(fleet: SmallFleet, run: Run) -> None:
    client, name = _client(), _name(fleet, "A")
    made = client.get_model_version(name, "2")
    client.create_model_version(name, made.source, made.run_id, tags=made.tags)


def _file(fleet: SmallFleet, name: str) -> str:
    """The key of a file of the version of A that serves."""
    uri = fleet.clients.registry.production(fleet.catalogue.name)["A"].artifact_uri
    return f"{artifact_key(fleet.store, uri)}/{name}"


def lose_a_file(fleet: SmallFleet, run: Run) -> None:
    fleet.store.delete(_file(fleet, "scorer.zip"))


def cut_a_file(fleet: SmallFleet, run: Run) -> None:
    key = _file(fleet, "model.json")
    fleet.store.put(key, fleet.store.get(key)[:10])


def serve_what_was_held_back(fleet: SmallFleet, run: Run) -> None:
    decisions = fleet.store.get_frame(run.decisions_key)
    fleet.store.put_frame(run.decisions_key, decisions.assign(promoted=False))


def publish_a_day_twice(fleet: SmallFleet, run: Run) -> None:
    pointer = fleet.store.get_json(run.forecast_pointer)
    fleet.store.put_json(run.forecast_pointer, pointer | {"keys": [*pointer["keys"], pointer["keys"][0]]})


def lose_what_is_published(fleet: SmallFleet, run: Run) -> None:
    fleet.store.delete(fleet.store.get_json(run.forecast_pointer)["keys"][0])


def forget_a_series(fleet: SmallFleet, run: Run) -> None:
    key = fleet.store.get_json(run.forecast_pointer)["keys"][0]
    forecasts = fleet.store.get_frame(key)
    fleet.store.put_frame(key, forecasts[forecasts["sku"] != "A"])


def miscount_a_drop(fleet: SmallFleet, run: Run) -> None:
    key = fleet.store.list(ledger_folder(fleet.catalogue.name))[0].key
    record = fleet.store.get_json(key)
    fleet.store.put_json(key, record | {"rows": record["rows"] + 1})


def land_another_drop(fleet: SmallFleet, run: Run) -> None:
    fleet.deliver([("A", "S1", END.isoformat(), 9)], name="late.csv")


@pytest.mark.parametrize(
    ("damage", "invariant", "said"),
    [
        (lose_a_result, "outcomes", "1 are among the planned SKUs, but not among the results: C"),
        (forget_a_reason, "outcomes", "3 have no reason: A, B/1, C"),
        (register_twice, "versions", "1 have more than one version of this run"),
        (lose_a_file, "versions", "1 are files of a version and do not exist"),
        (lose_a_file, "aliases", "1 are files of a version and do not exist"),
        (cut_a_file, "aliases", "model.json: not the JSON of a model"),
        (serve_what_was_held_back, "production", "version 2 was held back, but is in production"),
        (publish_a_day_twice, "forecasts", "have a day that is published twice"),
        (lose_what_is_published, "forecasts", "1 are published and do not exist"),
        (forget_a_series, "forecasts", "1 are active and have no forecast: A in S1"),
        (miscount_a_drop, "history", "rows are in the history"),
        (land_another_drop, "history", "lies in the landing, but is not in the ledger"),
    ],
)
def test_each_damage_is_found(
    sound: SmallFleet, damage: Callable[[SmallFleet, Run], None], invariant: str, said: str
) -> None:
    assert invariant in INVARIANTS
    run = sound.runs[-1]
    with mended(sound):
        damage(sound, run)
        assert said in found(sound, run).get(invariant, "")
    assert found(sound, run) == {}
