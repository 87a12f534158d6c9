"""A catalogue of a dozen SKUs on a real S3 server and a real MLflow: land, ingest, plan, retrain, promote, forecast."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue, Settings
from include.skufleet.fleet.clients import Clients, artifact_key
from include.skufleet.fleet.decide import decide_run
from include.skufleet.fleet.departments import write_departments
from include.skufleet.fleet.forecast import forecast_run, list_forecasts
from include.skufleet.fleet.plan import plan_run
from include.skufleet.fleet.promote import Approval, promote_run
from include.skufleet.fleet.publish_report import publish_report
from include.skufleet.fleet.retrain import retrain_chunk
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.stages import timed_stage
from include.skufleet.lake.bulk import SmallObjects
from include.skufleet.lake.ingest import ingest
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.client import Registry
from tests.unit.registry.mlflow_server import server_uri
from tests.unit.s3_server import open_bucket

END = date(2026, 3, 31)
DAYS = 84
WEEK = (3, 4, 5, 6, 9, 12, 7)
HORIZON = 7

Row = tuple[str, str, date | str, object]


def day(number: int) -> date:
    """The days of the history are 0 to ``DAYS - 1``; the last one is ``END``."""
    return END - timedelta(days=DAYS - 1 - number)


def weekly(sku: str, store: str = "S1", days: Iterable[int] = range(DAYS)) -> list[Row]:
    """A SKU that sells the same every week, give or take one: the sort that any candidate can learn."""
    seed = int.from_bytes(sku.encode()[:4].ljust(4), "big")
    noise = np.random.default_rng(seed).integers(-1, 2, DAYS)
    return [(sku, store, day(number), max(0, WEEK[number % 7] + int(noise[number]))) for number in days]


def same(sku: str, units: object, days: Iterable[int] = range(DAYS), store: str = "S1") -> list[Row]:
    return [(sku, store, day(number), units) for number in days]


@dataclass
class SmallFleet:
    """One catalogue of its own: its name, its experiment in MLflow and its bucket are nobody else's."""

    catalogue: Catalogue
    clients: Clients
    runs: list[Run] = field(default_factory=list)

    @classmethod
    def open(cls, **settings: Any) -> SmallFleet:
        name = f"shop_{uuid.uuid4().hex[:10]}"
        store = open_bucket(name.replace("_", "-"))
        client = mlflow.MlflowClient(server_uri(), server_uri())
        client.create_experiment(f"skufleet/{name}", artifact_location=store.uri("mlflow"))
        return cls(make_catalogue(name, **settings), open_clients(store))

    @property
    def store(self) -> ObjectStore:
        return self.clients.store

    def again(self) -> SmallFleet:
        """The same catalogue as a new process sees it: clients without memory."""
        return SmallFleet(self.catalogue, open_clients(self.store), self.runs)

    def deliver(self, rows: Sequence[Row], name: str = "first.csv") -> None:
        self._put("sales", name, ("sku", "store", "date", "units"), rows)

    def list_skus(self, departments: Mapping[str, str]) -> None:
        self._put("attributes", "attributes.csv", ("sku", "department"), departments.items())

    def _put(self, folder: str, name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        self.store.put(f"{self.catalogue.landing.prefix}/{folder}/{name}", text.getvalue().encode())

    def stage(self, run: Run, name: str) -> AbstractContextManager[None]:
        """Note the times of a stage, as its task does."""
        return timed_stage(self.store, run, name)

    def ingest(self) -> dict[str, Any]:
        return ingest(self.store, self.catalogue, END).to_json()

    def new_run(self, as_of: date = END, **params: Any) -> Run:
        run = Run(self.catalogue.name, f"manual__{len(self.runs):03d}", as_of=as_of, **params)
        self.runs.append(run)
        return run

    def plan(self, run: Run) -> list[str]:
        """The names of the chunks that are handed out."""
        with self.stage(run, "ingest"):
            ingested = self.ingest()
        with self.stage(run, "plan"):
            return [row["chunk"] for row in plan_run(self.clients, self.catalogue, run, ingested)]

    def departments(self, run: Run) -> dict[str, Any]:
        with self.stage(run, "departments"):
            return write_departments(self.clients, self.catalogue, run, run.as_of)

    def retrain(self, run: Run, chunk: str) -> dict[str, Any]:
        return retrain_chunk(self.clients, self.catalogue, run, chunk)

    def decide(self, run: Run) -> dict[str, Any]:
        with self.stage(run, "decide"):
            return decide_run(self.clients, self.catalogue, run)

    def promote(self, run: Run, approval: Approval | None = None) -> dict[str, Any]:
        """Decide and promote."""
        decided = self.decide(run)
        with self.stage(run, "promote"):
            return decided | promote_run(self.clients, self.catalogue, run, approval)

    def forecast(self, run: Run) -> dict[str, Any]:
        with self.stage(run, "forecast"):
            return forecast_run(self.clients, self.catalogue, run)

    def report(self, run: Run) -> dict[str, Any]:
        return publish_report(self.clients, self.catalogue, run, {})

    def do_all(self, run: Run) -> dict[str, Any]:
        """The whole flow; returns the summary."""
        chunks = self.plan(run)
        if self.catalogue.pools_departments:
            self.departments(run)
        for chunk in chunks:
            self.retrain(run, chunk)
        self.promote(run)
        self.forecast(run)
        return self.report(run)

    def results(self, run: Run) -> dict[str, dict[str, Any]]:
        """SKU -> its row, each SKU once."""
        frame = self.store.get_frame(run.results_key)
        assert frame["sku"].is_unique
        return {str(row["sku"]): row for row in frame.to_dict("records")}

    def forecasts(self, run: Run) -> pd.DataFrame:
        keys = list_forecasts(self.store, run)
        return pd.concat([self.store.get_frame(key) for key in keys], ignore_index=True)

    def published(self) -> pd.DataFrame:
        keys = self.store.get_json(f"forecasts/{self.catalogue.name}/current.json")["keys"]
        return pd.concat([self.store.get_frame(key) for key in keys], ignore_index=True)

    def versions(self) -> dict[str, list[int]]:
        """SKU -> the versions that MLflow has of it."""
        client = mlflow.MlflowClient(server_uri(), server_uri())
        found: dict[str, list[int]] = {}
        for item in client.search_model_versions(f"tags.catalogue = '{self.catalogue.name}'", max_results=1000):
            found.setdefault(item.tags["sku"], []).append(int(item.version))
        return {sku: sorted(numbers) for sku, numbers in found.items()}


def open_clients(store: ObjectStore) -> Clients:
    settings = Settings(bucket=store.bucket, mlflow_tracking_uri=server_uri())
    artifacts = SmallObjects(store)
    registry = Registry(server_uri(), lambda uri, data: artifacts.put(artifact_key(store, uri), data))
    return Clients(store, artifacts, registry, settings)


def make_catalogue(name: str, attributes: bool = False, known_from: str = "date", **settings: Any) -> Catalogue:
    """``known_from: date``: the days of the tests are long over when they are delivered."""
    columns = {"sku": "sku", "store": "store", "date": "date", "units": "units"}
    landing: dict[str, Any] = {
        "prefix": f"landing/{name}",
        "sales": {"columns": columns, "repeated": "last", "returns": "net", "known_from": known_from},
    }
    if attributes:
        landing["attributes"] = {"columns": {"sku": "sku", "department": "department"}}
    known = {
        "name": name,
        "horizon": HORIZON,
        "candidates": ["seasonal_naive", "exponential_smoothing", "tsb"],
        "landing": landing,
        "validation": {"max_units": 1000, "max_bad_share": 0.2, "min_history": 28, "inactive_after": 60},
        "backtest": {"windows": 2},
        "fleet": {"buckets": 4},
    }
    return Catalogue.model_validate(known | settings)
