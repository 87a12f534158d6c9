"""Trials of a search in MLflow, against a real server."""

from __future__ import annotations

import math
import uuid
from datetime import date
from typing import Any

import mlflow
import pytest

from include.skufleet.errors import PermanentError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.trials import MAX_PARAM, TrialRun
from tests.unit.registry.mlflow_server import server_uri

AS_OF = date(2026, 3, 31)


def open_registry() -> Registry:
    """As a new process has it. Trials have no artifacts."""
    return Registry(server_uri(), lambda *_: None)


@pytest.fixture
def registry() -> Registry:
    return open_registry()


@pytest.fixture
def catalogue() -> str:
    return f"shop_{uuid.uuid4().hex[:8]}"


def look(run: TrialRun) -> Any:
    return mlflow.MlflowClient(server_uri(), server_uri()).get_run(run.run_id)


def test_trials_are_runs_below_the_search_in_an_experiment_of_their_own(registry: Registry, catalogue: str) -> None:
    parent = registry.open_trial(catalogue, "run 'A'", "search", AS_OF, {"seed": 0})
    trial = registry.open_trial(catalogue, "run 'A'", "t001", AS_OF, {"backtest.windows": 3, "x": [1]}, {}, parent)
    experiment = mlflow.MlflowClient(server_uri(), server_uri()).get_experiment(trial.experiment_id)
    assert experiment.name == f"skufleet/{catalogue}/search"
    found = look(trial)
    assert found.data.tags["mlflow.parentRunId"] == parent.run_id
    assert found.data.params == {"backtest.windows": "3", "x": "[1]"}
    assert found.info.status == "RUNNING"


def test_a_second_try_finds_the_run_that_the_first_made(registry: Registry, catalogue: str) -> None:
    first = registry.open_trial(catalogue, "r", "t001", AS_OF, {"a": 1})
    registry.close_trial(first)
    assert open_registry().open_trial(catalogue, "r", "t001", AS_OF, {"a": 1}) == first
    assert look(first).info.status == "RUNNING"
    assert registry.open_trial(catalogue, "r", "t002", AS_OF, {"a": 1}) != first


def test_figures_are_kept_by_rung_and_written_twice_count_once(registry: Registry, catalogue: str) -> None:
    run = registry.open_trial(catalogue, "r", "t001", AS_OF, {})
    for _ in range(2):
        registry.log_trial(run, {"wape": 0.5, "noise": math.nan}, {"outcome": "goes on"}, step=1)
    registry.log_trial(run, {"wape": 0.4}, {"outcome": "ended"}, step=2)
    registry.close_trial(run, "FAILED")
    found = look(run)
    history = mlflow.MlflowClient(server_uri(), server_uri()).get_metric_history(run.run_id, "wape")
    assert [(item.step, item.value) for item in history] == [(1, 0.5), (2, 0.4)]
    assert found.data.metrics == {"wape": 0.4}
    assert (found.data.tags["outcome"], found.info.status) == ("ended", "FAILED")


def test_many_and_long_params_fit_into_what_mlflow_takes(registry: Registry, catalogue: str) -> None:
    params = {f"key {number}": "x" * 10_000 for number in range(150)}
    found = look(registry.open_trial(catalogue, "r", "t001", AS_OF, params)).data.params
    assert len(found) == 150
    assert {len(value) for value in found.values()} == {MAX_PARAM}


def test_a_param_that_changes_is_refused_and_not_tried_again(registry: Registry, catalogue: str) -> None:
    registry.open_trial(catalogue, "r", "t001", AS_OF, {"a": 1})
    with pytest.raises(PermanentError, match="write figures of trial t001"):
        registry.open_trial(catalogue, "r", "t001", AS_OF, {"a": 2})
