"""The identity of one run, and the S3 keys that belong to it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from typing import Any, Self


def run_key(run_id: str) -> str:
    """A run id as a part of S3 keys: readable, and still unique once odd characters are taken out."""
    readable = re.sub(r"[^A-Za-z0-9]+", "-", run_id).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"


def report_key(catalogue: str, run_id: str) -> str:
    """Where the report of a run is; needs no more than its id, so that a page can find it."""
    return f"reports/{catalogue}/{run_key(run_id)}.html"


@dataclass(frozen=True, slots=True)
class Run:
    """One retraining run of one catalogue, as it travels between tasks.

    Attributes:
        catalogue: the catalogue's name.
        run_id: the orchestrator's id of the run; the same for every retry, so everything written under it is harmless
            to write again.
        as_of: the date the run pretends it is; nothing dated after it is read.
        skus: SKU codes or shell patterns to train; empty means all.
        force: train also what the plan would skip.
        dry_run: plan and report only.
    """

    catalogue: str
    run_id: str
    as_of: date
    skus: tuple[str, ...] = ()
    force: bool = False
    dry_run: bool = False

    @property
    def key(self) -> str:
        """The run's name in S3 keys, from its id alone."""
        return run_key(self.run_id)

    @property
    def folder(self) -> str:
        """The prefix of everything that this run writes for itself."""
        return f"runs/{self.catalogue}/{self.key}"

    @property
    def plan_key(self) -> str:
        """The plan: what is trained, by which chunk, and why the rest is not."""
        return f"{self.folder}/plan.json"

    @property
    def report_key(self) -> str:
        """The HTML report."""
        return report_key(self.catalogue, self.run_id)

    @property
    def release_key(self) -> str:
        """The frozen map of SKU to model version."""
        return f"releases/{self.catalogue}/{self.key}.parquet"

    @property
    def forecast_folder(self) -> str:
        """The forecasts of this run; ``forecasts/<catalogue>/current.json`` points to the published one."""
        return f"forecasts/{self.catalogue}/{self.key}"

    def chunk_folder(self, chunk: str) -> str:
        """The prefix of what one chunk reads (its manifest) and writes."""
        return f"{self.folder}/chunks/{chunk}"

    def to_json(self) -> dict[str, Any]:
        """Small JSON for the way between tasks."""
        return {
            "catalogue": self.catalogue,
            "run_id": self.run_id,
            "as_of": self.as_of.isoformat(),
            "skus": list(self.skus),
            "force": self.force,
            "dry_run": self.dry_run,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The inverse of ``to_json``."""
        return cls(
            catalogue=data["catalogue"],
            run_id=data["run_id"],
            as_of=date.fromisoformat(data["as_of"]),
            skus=tuple(data["skus"]),
            force=data["force"],
            dry_run=data["dry_run"],
        )
