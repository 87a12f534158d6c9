"""What the end-to-end test does with a running platform: land a small chain, trigger, wait, look at what came out."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import quote

import httpx
import pandas as pd
import psutil

from include.skufleet.cli.airflow_api import FINISHED, AirflowApi
from include.skufleet.config import Catalogue, Settings, find_catalogue
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.forecast import list_forecasts
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.connecting import open_store
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.client import Registry
from include.skufleet.registry.states import ModelState
from include.skufleet.sources.demo.land import land_demo
from tests.integration.conftest import RunningStack
from tests.integration.waiting import wait_for

DAG = "retrain_demo"
POINTER = "forecasts/demo/current.json"


@dataclass
class Shop:
    """The demo chain, small, on the session's stack."""

    stack: RunningStack
    api: AirflowApi
    store: ObjectStore
    end: date
    catalogue: Catalogue = field(default_factory=lambda: find_catalogue("demo"))

    @classmethod
    def open(cls, stack: RunningStack) -> Shop:
        api = AirflowApi(stack.airflow_url, *stack.login)
        return cls(
            stack, api, open_store(stack.bucket, stack.environment), datetime.now(UTC).date() - timedelta(days=4)
        )

    def land(self, end: date) -> None:
        """56 SKUs: enough for two chunks; 420 days: as few as the yearly features bear."""
        land_demo(self.store, self.catalogue.landing, end, skus=56, stores=2, days=420)

    @cached_property
    def clients(self) -> Clients:
        return Clients.open(self.store, Settings(bucket=self.stack.bucket, mlflow_tracking_uri=self.stack.mlflow_url))

    @property
    def registry(self) -> Registry:
        return self.clients.registry

    @cached_property
    def mlflow(self) -> Any:
        import mlflow

        return mlflow.MlflowClient(self.stack.mlflow_url, self.stack.mlflow_url)

    @cached_property
    def http(self) -> httpx.Client:
        user, password = self.stack.login
        token = httpx.post(f"{self.stack.airflow_url}/auth/token", json={"username": user, "password": password})
        headers = {"Authorization": f"Bearer {token.json()['access_token']}", "Accept": "application/json"}
        return httpx.Client(base_url=self.stack.airflow_url, headers=headers, timeout=60)

    def trigger(self, **conf: Any) -> RunKeys:
        return RunKeys("demo", self.api.trigger(DAG, conf))

    def finish(self, run: RunKeys) -> Finished:
        state = wait_for(
            lambda: (s := self.api.run_state(DAG, run.run_id)) in FINISHED and s, f"the end of {run.run_id}"
        )
        return Finished(self, run, state)

    def instances(self, run: RunKeys, task: str) -> list[dict[str, Any]]:
        """The task instances of one task, by map index."""
        found = [item for item in self.api.task_instances(DAG, run.run_id) if item["task_id"] == task]
        return sorted(found, key=lambda item: item["map_index"])

    def versions(self) -> dict[str, list[Any]]:
        """Registered model's name -> all its versions in MLflow, oldest first."""
        found: dict[str, list[Any]] = {}
        token = None
        while True:
            page = self.mlflow.search_model_versions("tags.catalogue = 'demo'", max_results=1000, page_token=token)
            for item in page:
                found.setdefault(item.name, []).append(item)
            if not (token := page.token):
                return {name: sorted(items, key=lambda item: int(item.version)) for name, items in found.items()}

    def states(self) -> dict[str, ModelState]:
        return self.registry.states("demo")

    def published(self) -> pd.DataFrame:
        """The forecasts that the pointer names."""
        keys = self.store.get_json(POINTER)["keys"]
        return pd.concat([self.store.get_frame(key) for key in keys], ignore_index=True)

    def log(self, run: RunKeys, task: str, try_number: int = 1, map_index: int = -1) -> str:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task}/logs/{try_number}"
        return self.http.get(path, params={"map_index": map_index, "full_content": True}).text

    def links(self, run: RunKeys, task: str, map_index: int = -1) -> dict[str, str]:
        path = f"/api/v2/dags/{DAG}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task}/links"
        answer = self.http.get(path, params={"map_index": map_index})
        assert answer.status_code == 200, answer.text
        links: dict[str, str] = answer.json()["extra_links"]
        return links

    def clear(self, run: RunKeys, task: str, map_index: int) -> None:
        """What "Clear" with "Downstream" does in the UI."""
        answer = self.http.post(
            f"/api/v2/dags/{DAG}/clearTaskInstances",
            json={
                "dry_run": False,
                "dag_run_id": run.run_id,
                "task_ids": [[task, map_index]],
                "only_failed": False,
                "include_downstream": True,
            },
        )
        assert answer.status_code == 200, answer.text

    def environment(self) -> dict[str, str]:
        """For a program started beside the stack: `make trigger`, for example."""
        settings = self.stack.settings
        ports = {f"SKUFLEET_{name}_PORT": getattr(settings.ports, name.lower()) for name in PORTS}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLFLOW", "AWS_"))},
            **{name: str(port) for name, port in ports.items()},
            "SKUFLEET_LOCAL_DIR": str(settings.paths.state),
            "SKUFLEET_BUCKET": settings.bucket,
            "SKUFLEET_PARALLELISM": str(settings.parallelism),
        }


PORTS = ("POSTGRES", "S3", "MLFLOW", "AIRFLOW")


@dataclass
class Finished:
    """A run that is over."""

    shop: Shop
    run: RunKeys
    state: str

    @cached_property
    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = self.shop.store.get_json(self.run.plan_key)
        return plan

    @cached_property
    def results(self) -> pd.DataFrame:
        return self.shop.store.get_frame(self.run.results_key)

    @cached_property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = self.shop.store.get_json(self.run.summary_key)
        return summary

    @cached_property
    def decisions(self) -> pd.DataFrame:
        return self.shop.store.get_frame(self.run.decisions_key)

    @cached_property
    def forecasts(self) -> pd.DataFrame:
        keys = list_forecasts(self.shop.store, self.run)
        return pd.concat([self.shop.store.get_frame(key) for key in keys], ignore_index=True)

    def states(self) -> dict[str, list[str]]:
        """Task -> the states of its instances."""
        found: dict[str, list[str]] = {}
        for item in self.shop.api.task_instances(DAG, self.run.run_id):
            found.setdefault(item["task_id"], []).append(item["state"])
        return found

    def chunk_frames(self, name: str) -> pd.DataFrame:
        """One of the chunks' frames, of all chunks."""
        keys = [f"{self.run.chunk_folder(chunk['chunk'])}/{name}.parquet" for chunk in self.plan["chunks"]]
        return pd.concat([self.shop.store.get_frame(key) for key in keys], ignore_index=True)


def process_of(instance: dict[str, Any]) -> psutil.Process | None:
    """The process that runs a task instance's code; the one that watches over it has another title."""
    for process in psutil.process_iter(["cmdline"]):
        title = " ".join(process.info["cmdline"] or ())
        if title.strip().endswith(f"-- {instance['id']}"):
            return process
    return None


def active_series(history: pd.DataFrame, as_of: date, silence: int) -> set[tuple[str, str]]:
    """SKU and store of every series that sold something, or was first seen, in the last ``silence`` days."""
    recent = history[history["date"] > pd.Timestamp(as_of) - pd.Timedelta(days=silence)]
    first = history.groupby(["sku", "store"])["date"].min()
    new = first[first > pd.Timestamp(as_of) - pd.Timedelta(days=silence)]
    sold = recent[recent["units"] > 0]
    return set(zip(sold["sku"], sold["store"], strict=True)) | set(new.index)
