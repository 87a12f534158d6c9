from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import load_dict

from include.skufleet.errors import ArtifactError
from include.skufleet.registry.client import Registry, model_uri
from include.skufleet.registry.names import registered_name
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned
from include.skufleet.registry.records import RegisteredVersion
from include.skufleet.registry.remembering import make_client
from tests.unit.registry.fleet_of_models import (
    AS_OF,
    PACKAGE,
    get_from_disk,
    make_record,
    open_registry,
    open_run,
    register_one,
)
from tests.unit.registry.mlflow_server import server_uri

ODD_SKUS = ["a/b:c%d", "..", 'it\'s "it"', "two words", "line\nbreak", "🧦", "null\0byte", "x" * 300, "\ud800half"]
SCORING = Path(__file__).parents[3] / "include/skufleet/forecasting/scoring.py"
PREDICT_ELSEWHERE = """
import json, sys
import mlflow, pandas as pd
dates = pd.to_datetime(["2026-01-06", "2026-01-07"])
bare = pd.DataFrame({"store": ["S1", "S1"], "date": dates})
full = bare.assign(price=[1.0, None], events=["Easter", None], closed=[0.0, 1.0], snap=[0, 1], note="more than asked")
answers = []
for uri in sys.argv[1:]:
    model = mlflow.pyfunc.load_model(uri)
    answers.append([model.predict(frame)["y_hat"].tolist() for frame in (bare, full)])
assert not any(name.startswith("include") for name in sys.modules)
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def client() -> MlflowClient:
    return MlflowClient(server_uri())


def test_a_registered_model_can_be_browsed_by_sku_and_department(registry: Registry, client: MlflowClient) -> None:
    run = open_run(registry, "browse")
    version = register_one(registry, run, make_record("A/1"))
    rows = [["A/1", 0.31], ["B", math.nan]]
    registry.finish(run, metrics={"wape": 0.5, "bias": math.nan}, table=(["sku", "wape"], rows))
    model = client.get_registered_model("browse-A~2F1")
    assert model.tags == {"catalogue": "browse", "sku": "A/1", "department": "TOYS", "category": "Soft"}
    assert model.description == (
        "Demand of SKU A/1, department TOYS, catalogue browse. One version per retraining; the alias production serves."
    )
    assert model.aliases == {}, "aliases are promotion's"
    made = client.get_model_version("browse-A~2F1", "1")
    assert made.description == "Trained: tsb as of 2026-01-05; WAPE 0.310 against 0.400 of the seasonal naive."
    assert (made.status, made.source, made.run_id) == ("READY", version.artifact_uri, run.run_id)
    assert version.artifact_uri == f"{run.artifact_uri}/browse-A~2F1", "so its files show on the run's page"
    expected = {"as_of": "2026-01-05", "candidate": "tsb", "outcome": "trained", "fingerprint": "f1", "gate": "passed"}
    assert (expected | {"catalogue": "browse", "sku": "A/1"}).items() <= made.tags.items()
    chunk = client.get_run(run.run_id)
    assert (chunk.info.status, chunk.info.run_name) == ("FINISHED", "2026-01-05 001")
    assert {"table_version": "7", "dag_run_id": run.dag_run_id, "chunk": "001"}.items() <= chunk.data.tags.items()
    assert chunk.data.metrics == {"wape": 0.5}
    assert json.loads(chunk.data.tags["mlflow.loggedArtifacts"]) == [{"path": "skus.json", "type": "table"}]
    table = load_dict(f"{run.artifact_uri}/skus.json")
    assert table == {"columns": ["sku", "wape"], "data": [["A/1", 0.31], ["B", None]]}


def test_what_register_returns_is_what_a_later_try_finds(registry: Registry) -> None:
    run = open_run(registry, "same")
    made = register_one(registry, run, make_record("A"))
    again = open_run(open_registry(), "same")
    assert (again.run_id, run.resumed, again.resumed) == (run.run_id, False, True)
    assert register_one(open_registry(), again, make_record("A", level=9.0)) == made
    assert RegisteredVersion(**json.loads(json.dumps(asdict(made)))) == made
    files = PACKAGE.files({"sku": "A", "level": 2.5}, run_id=run.run_id)
    assert made.artifact_bytes == sum(map(len, files.values()))
    assert {path: get_from_disk(f"{made.artifact_uri}/{path}") for path in files} == files


def test_skus_of_any_characters_get_a_model_that_is_found_again(registry: Registry) -> None:
    run = open_run(registry, "odd")
    made = registry.register(run, [make_record(sku) for sku in ODD_SKUS])
    names = {item.name for item in made.values() if isinstance(item, RegisteredVersion)}
    assert names == {registered_name("odd", sku) for sku in ODD_SKUS}
    listed = {state.name: state for state in registry.states("odd").values()}
    assert set(listed) == names
    storable = {sku for sku in ODD_SKUS if "\0" not in sku and "\ud800" not in sku}
    assert storable <= {state.sku for state in listed.values()}


def test_a_later_run_makes_the_next_version_and_corrects_the_groups(registry: Registry, client: MlflowClient) -> None:
    first = register_one(registry, open_run(registry, "later"), make_record("A"))
    later = open_run(registry, "later", as_of=date(2026, 1, 6))
    second = register_one(registry, later, make_record("A", department="FOOD", groups={"category": "Hard"}))
    assert (first.version, second.version) == (1, 2)
    model = client.get_registered_model("later-A")
    assert (model.tags["department"], model.tags["category"]) == ("FOOD", "Hard")
    assert "department FOOD" in model.description


def test_what_the_caller_knows_of_a_model_is_not_asked_for(registry: Registry, monkeypatch) -> None:
    run = open_run(registry, "told")
    register_one(registry, run, make_record("A"))
    asked: list[str] = []
    right = MlflowClient.search_registered_models
    monkeypatch.setattr(
        MlflowClient, "search_registered_models", lambda *args, **named: asked.append("search") or right(*args, **named)
    )
    groups = {
        "told-A": {"catalogue": "told", "sku": "A", "department": "TOYS", "category": "Soft"},
        "told-B": {},
    }
    next_day = open_run(registry, "told", as_of=date(2026, 1, 6))
    made = registry.register(next_day, [make_record("A"), make_record("B")], groups)
    assert {sku: getattr(item, "version", item) for sku, item in made.items()} == {"A": 2, "B": 1}
    assert asked == []


def test_a_model_that_was_made_since_the_caller_looked_is_used(registry: Registry) -> None:
    register_one(registry, open_run(registry, "since"), make_record("A"))
    next_day = open_run(registry, "since", as_of=date(2026, 1, 6))
    made = registry.register(next_day, [make_record("A")], {"since-A": {}})["A"]
    assert isinstance(made, RegisteredVersion)
    assert made.version == 2


def test_a_sku_that_mlflow_refuses_does_not_keep_the_others(registry: Registry) -> None:
    run = open_run(registry, "refused")
    made = registry.register(run, [make_record("A"), make_record("B", level=math.nan), make_record("C")])
    assert isinstance(made["B"], ArtifactError)
    assert {sku for sku, item in made.items() if isinstance(item, RegisteredVersion)} == {"A", "C"}


def test_two_chunks_of_one_dag_run_and_one_chunk_of_two_have_their_own_runs(registry: Registry) -> None:
    runs = {
        open_run(registry, "chunks", chunk, dag_run=dag_run).run_id
        for chunk in ("001", "002")
        for dag_run in ('manual__it\'s "mine"', "manual__2")
    }
    assert len(runs) == 4
    assert open_run(registry, "chunks", "001", dag_run='manual__it\'s "mine"').run_id in runs


def test_parameters_that_are_no_json_make_no_version(registry: Registry, client: MlflowClient) -> None:
    run = open_run(registry, "nojson")
    with pytest.raises(ArtifactError):
        register_one(registry, run, make_record("A", level=math.nan))
    assert client.search_model_versions("name = 'nojson-A'") == []
    assert register_one(registry, run, make_record("A", level=0.0)).version == 1


def test_a_registered_model_predicts_in_a_process_without_the_repository(registry: Registry, tmp_path: Path) -> None:
    """Loaded by alias, two scorers in one process, with and without the optional columns."""
    artifact = {
        "format": 2, "kind": "seasonal_naive", "sku": "B", "stores": ["S1"], "as_of": "2026-01-05", "frequency": "D",
        "horizon": 7, "season_length": 7, "parameters": {"last": [[3, 4, 5, 6, 7, 8, 9]]},
    }  # fmt: skip
    package = ModelPackage(SCORING.read_text(encoding="utf-8"), demand_signature(["snap"]), pinned())
    run = open_run(registry, "elsewhere")
    names = [
        register_one(registry, run, record).name
        for record in (make_record("A", level=2.5), make_record("B", package=package, parameters=artifact))
    ]
    states = registry.states("elsewhere")
    for state in states.values():
        registry.set_production(state, 1)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "MLFLOW_TRACKING_URI": server_uri()}
    answer = subprocess.run(
        [sys.executable, "-c", PREDICT_ELSEWHERE, *map(model_uri, names)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    constant, seasonal = json.loads(answer.stdout.splitlines()[-1])
    assert constant == [[2.5, 2.5], [2.5, 2.5]]
    assert seasonal == [[3.0, 4.0], [3.0, 0.0]], "the second day is closed"
    parameters = registry.load_parameters(registry.production("elsewhere").values(), get_from_disk)
    assert parameters == {"A": {"sku": "A", "level": 2.5}, "B": artifact}
    assert AS_OF.isoformat() == registry.production("elsewhere")["B"].as_of


def test_a_models_nature_is_asked_for_once_however_many_tags_it_gets(monkeypatch) -> None:
    asked: list[str] = []
    read = MlflowClient.get_registered_model
    monkeypatch.setattr(MlflowClient, "get_registered_model", lambda self, name: asked.append(name) or read(self, name))
    MlflowClient(server_uri()).create_registered_model("remembered")
    client = make_client(server_uri())
    for number in range(3):
        client.set_registered_model_tag("remembered", f"tag{number}", "value")
    assert asked == ["remembered"]
    client.search_registered_models("name = 'remembered'")
    client.set_registered_model_tag("remembered", "tag3", "value")
    assert asked == ["remembered"]
    assert len(read(client, "remembered").tags) == 4
