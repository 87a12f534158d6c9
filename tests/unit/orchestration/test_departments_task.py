"""The task of the departments where there is nothing to do: known before any service is asked."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.skufleet.config import Catalogue
from include.skufleet.fleet.run import Run
from include.skufleet.orchestration import clients, tasks
from tests.unit.fleet.small_fleet import make_catalogue


@pytest.fixture(autouse=True)
def no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a client was opened")

    monkeypatch.setattr(clients, "open_clients", refuse)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("SKUFLEET_BUCKET", "bucket")


def run_task(monkeypatch: pytest.MonkeyPatch, catalogue: Catalogue, **params: Any) -> None:
    monkeypatch.setattr(tasks, "find_catalogue", lambda _: catalogue)
    tasks.departments(Run(catalogue.name, "manual__1", as_of=date(2026, 3, 31), **params))


def test_it_is_skipped_where_no_candidate_borrows(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowSkipException, match="no candidate of the catalogue borrows"):
        run_task(monkeypatch, make_catalogue("shop"))


def test_it_is_skipped_in_a_dry_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AirflowSkipException, match="dry run"):
        run_task(monkeypatch, make_catalogue("shop", candidates=["seasonal_naive", "profile"]), dry_run=True)


def test_where_a_candidate_borrows_it_goes_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="a client was opened"):
        run_task(monkeypatch, make_catalogue("shop", candidates=["seasonal_naive", "profile"]))
