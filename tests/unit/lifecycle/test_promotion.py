from __future__ import annotations

import math
from datetime import date
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient, MlflowException
from mlflow.protos.databricks_pb2 import TEMPORARILY_UNAVAILABLE

from include.skufleet.config import Gate
from include.skufleet.errors import ServiceUnavailableError
from include.skufleet.lifecycle.promotion import promote
from include.skufleet.lifecycle.release import follow_decisions, freeze_release, thaw_release
from include.skufleet.registry.client import Registry
from include.skufleet.registry.records import RegisteredVersion
from tests.unit.registry.fleet_of_models import AS_OF, make_record, open_registry, open_run
from tests.unit.registry.mlflow_server import server_uri

GATE = Gate()
NEXT_DAY = date(2026, 1, 6)


@pytest.fixture(scope="module")
def client() -> MlflowClient:
    return MlflowClient(server_uri())


def register(
    registry: Registry, catalogue: str, skus: str, as_of: date = AS_OF, outcome: str = "trained"
) -> pd.DataFrame:
    """One version of each SKU (a letter), and the results that go with them: half as wrong as the baseline."""
    run = open_run(registry, catalogue, as_of=as_of)
    tags = {"candidate": "tsb", "outcome": outcome, "fingerprint": "f"}
    versions = registry.register(run, [make_record(sku, tags=tags) for sku in skus]).values()
    return pd.DataFrame([row_of(item, outcome=outcome) for item in versions if isinstance(item, RegisteredVersion)])


def row_of(version: RegisteredVersion, **changes: Any) -> dict[str, Any]:
    row = {
        "sku": version.sku, "registered_name": version.name, "version": version.version, "outcome": "trained",
        "candidate": "tsb", "metric": "wape", "challenger_metric": 0.2, "baseline_metric": 0.4,
        "champion_metric": math.nan, "gate": "passed",
    }  # fmt: skip
    return row | changes


def apply_gate(registry: Registry, results: pd.DataFrame, as_of: date = AS_OF) -> pd.DataFrame:
    """Promote by what MLflow says now."""
    catalogue = str(results["registered_name"].iloc[0]).partition("-")[0]
    return promote(registry, results, registry.states(catalogue), GATE, as_of=as_of)


def aliases(client: MlflowClient, name: str) -> dict[str, int]:
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def test_what_passes_goes_to_production_and_what_does_not_stays_with_its_reason(
    registry: Registry, client: MlflowClient
) -> None:
    results = register(registry, "both", "AB")
    results.loc[results["sku"] == "B", "challenger_metric"] = 0.5
    without_model: dict[str, Any] = {"sku": "C", "registered_name": "", "version": 0, "outcome": "quarantined"}
    results = pd.concat([results, results.head(1).assign(**without_model)], ignore_index=True)
    decisions = apply_gate(registry, results, AS_OF).set_index("sku")
    assert list(decisions.index) == ["A", "B"], "a SKU without a version has no decision"
    assert decisions["promoted"].to_dict() == {"A": True, "B": False}
    assert decisions["previous_version"].to_dict() == {"A": 0, "B": 0}
    assert aliases(client, "both-A") == {"production": 1}
    assert aliases(client, "both-B") == {"staging": 1}
    kept = client.get_model_version("both-B", "1").tags
    assert (kept["gate"], kept["reason"]) == ("held", "tsb: wape 0.5 is worse than the seasonal naive's 0.4.")


def test_the_next_version_takes_over_and_the_one_before_is_remembered(registry: Registry, client: MlflowClient) -> None:
    apply_gate(registry, register(registry, "next", "A"), AS_OF)
    decisions = apply_gate(registry, register(registry, "next", "A", NEXT_DAY), NEXT_DAY)
    assert decisions[["promoted", "previous_version"]].to_dict("records") == [{"promoted": True, "previous_version": 1}]
    assert aliases(client, "next-A") == {"production": 2, "previous": 1}
    production = registry.production("next")["A"]
    assert (production.version, production.as_of, production.candidate) == (2, "2026-01-06", "tsb")


def test_a_second_call_changes_nothing_and_says_the_same(registry: Registry, client: MlflowClient) -> None:
    apply_gate(registry, register(registry, "again", "AB"), AS_OF)
    results = register(registry, "again", "AB", NEXT_DAY)
    results.loc[results["sku"] == "B", "challenger_metric"] = 0.5
    first = apply_gate(registry, results, NEXT_DAY)
    second = apply_gate(registry, results, NEXT_DAY)
    pd.testing.assert_frame_equal(first.drop(columns="rule"), second.drop(columns="rule"))
    assert list(second["rule"]) == ["already", "baseline"]


def test_production_never_moves_to_an_older_date_or_version(registry: Registry, client: MlflowClient) -> None:
    old = register(registry, "older", "A")
    new = register(registry, "older", "A", NEXT_DAY)
    apply_gate(registry, new, NEXT_DAY)
    decision = apply_gate(registry, old, AS_OF).loc[0]
    assert (decision["promoted"], decision["rule"], decision["previous_version"]) == (False, "newer", 2)
    assert aliases(client, "older-A")["production"] == 2


def test_a_fallback_serves_until_a_trained_version_comes(registry: Registry, client: MlflowClient) -> None:
    first = register(registry, "fall", "A", outcome="fallback")
    first[["challenger_metric", "baseline_metric"]] = math.nan
    assert apply_gate(registry, first, AS_OF).loc[0, "rule"] == "first"
    assert apply_gate(registry, register(registry, "fall", "A", NEXT_DAY), NEXT_DAY).loc[0, "promoted"]
    later = date(2026, 1, 7)
    third = register(registry, "fall", "A", later, outcome="quarantined")
    decisions = apply_gate(registry, third, later)
    assert decisions[["promoted", "rule"]].to_dict("records") == [{"promoted": False, "rule": "fallback"}]
    assert aliases(client, "fall-A") == {"production": 2, "previous": 1, "staging": 3}


def test_a_version_deleted_by_hand_is_recorded_and_the_others_go_on(registry: Registry, client: MlflowClient) -> None:
    results = register(registry, "gone", "ABC")
    client.delete_model_version("gone-A", "1")
    client.delete_registered_model("gone-B")
    decisions = apply_gate(registry, results, AS_OF).set_index("sku")
    assert decisions["promoted"].to_dict() == {"A": False, "B": False, "C": True}
    assert list(decisions["rule"]) == ["error", "error", "better"]
    assert "gone-A" in str(decisions.loc["A", "reason"])
    assert "deleted" in str(decisions.loc["B", "reason"])


@pytest.mark.parametrize("position", range(2))
def test_a_promotion_broken_off_anywhere_is_finished_by_the_next_call(position: int, client: MlflowClient) -> None:
    """The old version serves until the new one does."""
    catalogue, calls = f"broken_{position}", []
    registry = open_registry()
    apply_gate(registry, register(registry, catalogue, "A"), AS_OF)
    results = register(registry, catalogue, "A", NEXT_DAY)

    class Breaking:
        def __getattr__(self, name: str) -> Any:
            method = getattr(client, name)
            if not name.startswith(("set_", "delete_")):
                return method

            def call(*args: Any) -> Any:
                calls.append(name)
                if len(calls) - 1 == position:
                    raise MlflowException("planted", TEMPORARILY_UNAVAILABLE)
                return method(*args)

            return call

    registry._connection.__dict__["client"] = Breaking()
    object.__setattr__(registry._connection, "attempts", 1)
    with pytest.raises(ServiceUnavailableError, match="planted"):
        apply_gate(registry, results, NEXT_DAY)
    assert aliases(client, f"{catalogue}-A")["production"] == 1
    decision = apply_gate(open_registry(), results, NEXT_DAY).loc[0]
    assert (decision["promoted"], decision["previous_version"]) == (True, 1)
    assert aliases(client, f"{catalogue}-A") == {"production": 2, "previous": 1}


def test_no_result_gives_an_empty_frame_with_its_columns(registry: Registry) -> None:
    results = pd.DataFrame([row_of(RegisteredVersion.from_tags("x-A", 0, "", "", {"sku": "A"}))])
    decisions = apply_gate(registry, results)
    assert decisions.empty
    assert list(decisions) == ["sku", "registered_name", "version", "promoted", "rule", "reason", "previous_version"]


def test_a_release_says_which_version_serves_each_sku() -> None:
    tags = {"candidate": "tsb", "as_of": "2026-01-05"}
    production = {
        "B": RegisteredVersion.from_tags("demo-B", 3, "r", "s3://b", tags | {"sku": "B", "outcome": "fallback"}),
        "A": RegisteredVersion.from_tags("demo-A", 7, "r", "s3://a", tags | {"sku": "A", "outcome": "trained"}),
    }
    release = freeze_release(production)
    assert release[["sku", "name", "version", "served_by", "artifact_uri"]].to_numpy().tolist() == [
        ["A", "demo-A", 7, "production", "s3://a"],
        ["B", "demo-B", 3, "fallback", "s3://b"],
    ]
    assert list(thaw_release(release)) == [production["A"], production["B"]]
    assert list(freeze_release({})) == list(release)


def test_what_was_promoted_follows_what_was_in_production() -> None:
    before = {sku: RegisteredVersion.from_tags(f"x-{sku}", 1, "r", "", {"sku": sku}) for sku in "ABC"}
    made = {sku: RegisteredVersion.from_tags(f"x-{sku}", 2, "r", "", {"sku": sku}) for sku in "AB"}
    decisions = pd.DataFrame({"sku": ["A", "B"], "promoted": [True, False]})
    after = follow_decisions(before, decisions, made)
    assert {sku: item.version for sku, item in after.items()} == {"A": 2, "B": 1, "C": 1}
