"""The mean of several candidates' forecasts as one model.

What does not belong here: which candidates are worth averaging for a SKU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from include.skufleet.errors import DataError
from include.skufleet.forecasting.candidates.contract import EVERY_CLASS, Candidate, Fitted, pack
from include.skufleet.forecasting.candidates.regression import PoissonRegression
from include.skufleet.forecasting.candidates.smoothing import ExponentialSmoothing
from include.skufleet.forecasting.candidates.tsb import TSB
from include.skufleet.forecasting.panel import Panel


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The mean of its members' forecasts (Bates and Granger 1969, ORQ 20): errors that differ cancel.

    Equal weights: weights learnt from a few windows of sparse sales cost more than they bring.

    Attributes:
        members: candidates of different families; by default three cheap ones that err differently.
    """

    name: ClassVar[str] = "ensemble"
    cost: ClassVar[float] = 0.8
    classes: ClassVar = EVERY_CLASS

    members: tuple[Candidate, ...] = (ExponentialSmoothing(), TSB(), PoissonRegression())

    def fit(self, panel: Panel) -> Fitted:
        """Fit every member.

        Raises:
            DataError: there is no member, or two are of one family.
        """
        return combine(panel, [member.fit(panel) for member in self.members])


def combine(panel: Panel, fitted: Sequence[Fitted], weights: Sequence[float] | None = None) -> Fitted:
    """One model that forecasts the weighted mean of fitted ones.

    Args:
        panel: what they were fitted on.
        fitted: models of different families.
        weights: one per model, above 0; equal without. Only their proportions count.

    Raises:
        DataError: there is no model, two are of one family, one is an ensemble, or the weights do not fit.
    """
    kinds = [model.name for model in fitted]
    shares = [1.0] * len(kinds) if weights is None else list(weights)
    if not kinds or len(set(kinds)) < len(kinds) or Ensemble.name in kinds:
        raise DataError(f"SKU {panel.sku!r}: an ensemble of {kinds}, expected models of different families")
    if len(shares) != len(kinds) or not all(share > 0 for share in shares):
        raise DataError(f"SKU {panel.sku!r}: weights {shares} for {kinds}, expected one above 0 for each")
    members = [
        {"kind": model.name, "weight": share / sum(shares), "parameters": model.artifact["parameters"]}
        for model, share in zip(fitted, shares, strict=True)
    ]
    return pack(Ensemble.name, panel, {"members": members})
