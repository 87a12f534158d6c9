"""What goes into the registry and what comes back from it: frozen records, no client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from include.skufleet.registry.package import ModelPackage

STAGING = "staging"
PRODUCTION = "production"
PREVIOUS = "previous"
CANDIDATE = "candidate"
ARCHIVED = "archived"
Stage = Literal["candidate", "staging", "production", "archived"]
"""A version's place in its life. The first three are where it may serve from; an archived one served, or was tried."""
MAX_TEXT = 1000  # MLflow's columns hold 5,000 characters; a reason that long would make its pages unreadable


@dataclass(frozen=True, slots=True)
class ChunkRun:
    """The MLflow run of one chunk of one Dag run.

    Attributes:
        catalogue: the catalogue's name.
        dag_run_id: the Airflow run.
        chunk: the chunk's name within that run.
        as_of: the date that the run pretends it is.
        experiment_id: ``skufleet/<catalogue>`` in MLflow.
        run_id: the MLflow run.
        artifact_uri: the run's folder in the artifact store; its models' files are below it.
        resumed: an earlier try of the same chunk had made it.
        tags: set on the run and on every version that it registers.
    """

    catalogue: str
    dag_run_id: str
    chunk: str
    as_of: date
    experiment_id: str
    run_id: str
    artifact_uri: str
    resumed: bool
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRecord:
    """One trained SKU, ready to be registered.

    Attributes:
        sku: the SKU's code, any Unicode.
        department: the group by which people browse; may be empty.
        package: the artifact's fixed part: scorer, signature, requirements.
        parameters: what the scorer reads, a dict that JSON can hold.
        groups: the SKU's place in the hierarchy, level -> name: tags of the registered model.
        tags: tags of the version: ``candidate, outcome, fingerprint, wape, baseline_wape, gate, reason, ...``.
        role: what the version is for beside the SKU's main one of the same run: ``shadow``; empty for the main one.
        description: one sentence for the version's page; empty: written from the tags.
    """

    sku: str
    department: str
    package: ModelPackage
    parameters: Mapping[str, Any]
    groups: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    description: str = ""
    role: str = ""


_OWN_TAGS = ("sku", "candidate", "outcome", "as_of", "fingerprint", "recipe_since")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredVersion:
    """One version of one SKU's registered model. Made of JSON's types only: ``RegisteredVersion(**asdict(it))`` is it.

    Attributes:
        sku: the SKU's code.
        name: the registered model's name.
        version: counts from 1 per registered model.
        candidate: the model family that was chosen.
        outcome: ``trained`` or ``fallback``.
        as_of: ISO date of the run that made it.
        fingerprint: hash of what it was trained from.
        run_id: the MLflow run that made it.
        artifact_uri: the folder of its files.
        artifact_bytes: the size of these files.
        recipe_since: ISO date of the run with which its recipe replaced another; empty for the SKU's first recipe.
    """

    sku: str
    name: str
    version: int
    candidate: str
    outcome: str
    as_of: str
    fingerprint: str
    run_id: str
    artifact_uri: str
    artifact_bytes: int
    recipe_since: str = ""

    @classmethod
    def from_tags(
        cls, name: str, version: int, run_id: str, artifact_uri: str, tags: Mapping[str, str]
    ) -> RegisteredVersion:
        """Read a version from the tags that registration gave it; a tag that someone deleted reads as empty."""
        return cls(
            name=name,
            version=version,
            run_id=run_id,
            artifact_uri=artifact_uri,
            artifact_bytes=int(tags.get("artifact_bytes") or 0),
            **{key: tags.get(key, "") for key in _OWN_TAGS},
        )

    @classmethod
    def from_mlflow(cls, item: Any) -> RegisteredVersion:
        """Read MLflow's own record of a version."""
        return cls.from_tags(item.name, int(item.version), item.run_id or "", item.source or "", item.tags)


def tag_text(value: object) -> str:
    """The value as text that every database takes: no NUL, no half character, at most ``MAX_TEXT`` characters."""
    text = str(value).replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def describe_version(record: ModelRecord, as_of: date) -> str:
    """One sentence for a version's page: what it is, of when, and how good."""
    if record.description:
        return tag_text(record.description)
    what = record.tags.get("candidate") or "model"
    trained = "Fallback" if record.tags.get("outcome") == "fallback" else "Trained"
    wape, baseline = record.tags.get("wape", ""), record.tags.get("baseline_wape", "")
    quality = f"; WAPE {wape} against {baseline} of the seasonal naive" if wape and baseline else ""
    return tag_text(f"{trained}: {what} as of {as_of.isoformat()}{quality}.")


def describe_model(catalogue: str, sku: str, department: str) -> str:
    """One sentence for a registered model's page."""
    group = f", department {department}" if department else ""
    return tag_text(
        f"Demand of SKU {sku}{group}, catalogue {catalogue}. One version per retraining; the alias {PRODUCTION} serves."
    )
