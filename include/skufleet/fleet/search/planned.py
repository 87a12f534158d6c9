"""What a search has planned: the object on S3 that its tasks read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from include.skufleet.config import Catalogue
from include.skufleet.config.search import change_keys
from include.skufleet.fleet.search.judge import SearchMetric
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.search.space import describe_changes
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.trials import TrialRun

CURRENT = "t000"
"""The trial of the file's own configuration."""


@dataclass(frozen=True)
class Piece:
    """Some SKUs that join the sample together; their validated sales are one object.

    Attributes:
        name: of the object.
        rung: from which on they take part.
        buckets: of the history, where they are.
        departments: SKU -> its department.
        strata: SKU -> its stratum.
    """

    name: str
    rung: int
    buckets: Sequence[int]
    departments: Mapping[str, str]
    strata: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """One search, planned.

    Attributes:
        draw: hash of all that the scores of a trial depend on; scores of an earlier plan of the same run are not found.
        catalogue: the catalogue file as it was, without its section ``search``.
        metric: what ranks the trials.
        held_back: windows that score.
        ingested: the JSON of the ingestion's summary.
        trials: trial -> the keys that it changes.
        runs: trial -> its MLflow run.
        parent: the MLflow run of the whole search.
        pieces: the sample.
        counts: SKUs of the catalogue, and what became of those looked at for the sample.
        settings: the file's section ``search``, for the report.
    """

    draw: str
    catalogue: Mapping[str, Any]
    metric: SearchMetric
    held_back: int
    ingested: Mapping[str, Any]
    trials: Mapping[str, Mapping[str, Any]]
    runs: Mapping[str, TrialRun]
    parent: TrialRun
    pieces: Sequence[Piece]
    counts: Mapping[str, int]
    settings: Mapping[str, Any]

    @property
    def rungs(self) -> int:
        """How many rungs there are; fewer than the file asks for where all SKUs are in the sample before."""
        return max((piece.rung for piece in self.pieces), default=0)

    def skus_of(self, rung: int) -> int:
        """SKUs of the sample up to a rung."""
        return sum(len(piece.departments) for piece in self.pieces if piece.rung <= rung)

    def pieces_of(self, rung: int) -> list[Piece]:
        """What is new in a rung."""
        return [piece for piece in self.pieces if piece.rung == rung]

    def catalogue_of(self, trial: str) -> Catalogue:
        """The catalogue file with the trial's changes."""
        return Catalogue.model_validate(change_keys(self.catalogue, self.trials[trial]))

    def describe(self, trial: str) -> str:
        """The trial's changes in one line."""
        return describe_changes(self.trials[trial], self.catalogue)

    def label(self, trial: str) -> str:
        """The trial and its changes, for people."""
        text = self.describe(trial)
        return f"{trial} · {text if len(text) <= 80 else text[:79] + '…'}"

    def write(self, store: ObjectStore, run: SearchRun) -> None:
        """Put the plan where the search's tasks look for it."""
        store.put_json(run.plan_key, asdict(self))

    @classmethod
    def read(cls, store: ObjectStore, run: SearchRun) -> Self:
        """The plan of a search.

        Raises:
            DataError: there is none.
        """
        raw = store.get_json(run.plan_key)
        runs = {trial: TrialRun(**item) for trial, item in raw["runs"].items()}
        pieces = [Piece(**item) for item in raw["pieces"]]
        return cls(**{**raw, "runs": runs, "parent": TrialRun(**raw["parent"]), "pieces": pieces})
