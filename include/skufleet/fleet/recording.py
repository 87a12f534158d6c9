"""What the registry is told of a trained SKU, and what the chunk's MLflow run shows of all of them."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.outcomes import SkuOutcome
from include.skufleet.fleet.train import Draft
from include.skufleet.forecasting import scoring
from include.skufleet.lifecycle.promotion import to_outcome
from include.skufleet.registry.metrics import Cell
from include.skufleet.registry.package import ModelPackage, demand_signature, pinned
from include.skufleet.registry.records import CANDIDATE, ModelRecord

_FIGURES = ("wape", "bias", "rmsse", "mase", "mae", "rmse", "baseline_wape", "baseline_rmsse", "coverage_80")
_TAGGED = ("wape", "bias", "rmsse", "mase", "baseline_wape", "baseline_rmsse", "coverage_80")
SHADOW = "shadow"
_TOLD = ("sku", "department", "outcome", "candidate", "demand_class", "registered_name", "version", "gate")


@dataclass(frozen=True)
class Recording:
    """Turns drafts into records for the registry.

    Attributes:
        package: what all models of the catalogue share.
    """

    package: ModelPackage

    @classmethod
    def of(cls, catalogue: Catalogue) -> Self:
        """The package of the scorer as it is now, with the catalogue's inputs and bounds in its signature."""
        flags = catalogue.landing.calendar.flags if catalogue.landing.calendar else {}
        signature = demand_signature(flags, bound_columns(catalogue))
        return cls(ModelPackage(inspect.getsource(scoring), signature, pinned()))

    def record(self, draft: Draft, known: Mapping[str, Any]) -> tuple[SkuOutcome, ModelRecord]:
        """The row, and the record of its model with the gate's verdict and all figures as tags.

        Args:
            draft: a draft with an artifact.
            known: what the plan knows of the SKU: its ``hierarchy``.
        """
        return draft.row, self._record(draft.row, draft.artifact or {}, known)

    def record_shadow(self, draft: Draft, known: Mapping[str, Any]) -> ModelRecord:
        """The record of the model whose shadow begins."""
        row = draft.row
        told = replace(
            row, candidate=row.trial_recipe, gate="shadow", recipe_since="", fingerprint=f"{row.fingerprint}.{SHADOW}"
        )
        return replace(self._record(told, draft.shadow or {}, known, figures=False), role=SHADOW)

    def _record(
        self, row: SkuOutcome, artifact: Mapping[str, Any], known: Mapping[str, Any], *, figures: bool = True
    ) -> ModelRecord:
        measured = {name: f"{getattr(row, name):.4f}" for name in _TAGGED if not math.isnan(getattr(row, name))}
        tags = {
            "candidate": row.candidate,
            "outcome": to_outcome(row.outcome),
            "fingerprint": row.fingerprint,
            "demand_class": row.demand_class,
            "stores": str(row.stores),
            "chosen_because": row.reason,
            "gate": row.gate,
            "reason": row.verdict,
            "stage": CANDIDATE,
            "recipe_since": row.recipe_since,
        }
        return ModelRecord(
            sku=row.sku,
            department=row.department,
            package=self.package,
            parameters=artifact,
            groups=known["hierarchy"],
            tags={**tags, **(measured if figures else {})},
        )


def list_figures(results: pd.DataFrame) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows of the table that the chunk's MLflow run shows: a row per SKU that has a new version."""
    columns = [*_TOLD, *_FIGURES]
    return columns, results.loc[results["version"] > 0, columns].to_numpy(dtype=object).tolist()
