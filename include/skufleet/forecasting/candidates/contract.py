"""What a candidate is: something that fits a panel, and a fitted model that is nothing but its artifact.

Prediction is not here: ``scoring`` predicts, in this process and wherever the model is shipped to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from include.skufleet.errors import ArtifactError
from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.demand import DemandClass
from include.skufleet.forecasting.panel import Floats, Future, Panel

Parameters = Mapping[str, Any]

EVERY_CLASS: frozenset[DemandClass] = frozenset({"smooth", "erratic", "intermittent", "lumpy", "no_demand"})
OFTEN_SOLD: frozenset[DemandClass] = frozenset({"smooth", "erratic"})  # where there is enough to learn trees from


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """A fitted model: its artifact, and nothing that is not in it."""

    artifact: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The candidate that made it."""
        return str(self.artifact["kind"])

    def predict(self, future: Future) -> Floats:
        """Expected units (S, h) in the periods of ``future``: finite and >= 0, 0 where closed."""
        stores = np.arange(len(self.artifact["stores"]))[:, None]
        expected: Floats = scoring.forecast(
            self.artifact,
            stores,
            future.dates[None, :],
            price=future.price,
            events={name: future.indicators[row][None, :] for row, name in enumerate(future.events)},
            flags=future.flags,
            closed=future.closed[None, :],
        )
        return expected

    def to_artifact(self) -> dict[str, Any]:
        """The artifact as a dict that JSON can hold; ``from_artifact`` of it predicts the same to the bit."""
        return dict(self.artifact)

    @classmethod
    def from_artifact(cls, artifact: Mapping[str, Any]) -> Self:
        """A fitted model from its artifact.

        Raises:
            ArtifactError: it is not of a format or kind that ``scoring`` knows.
        """
        try:
            scoring.check(artifact)
        except ValueError as error:
            raise ArtifactError(f"SKU {artifact.get('sku', '?')!r}: {error}; retrain the SKU") from error
        return cls(artifact)


class Candidate(Protocol):
    """A model family. An instance holds its settings; ``fit`` looks at nothing but them and the panel.

    Attributes:
        name: as in the catalogue file, and the ``kind`` of its artifacts.
        cost: nominal CPU milliseconds of one fit per 1,000 known store-days. Measured once, never by a clock in the
            run: what a budget leaves out must be the same on every machine.
        classes: demand classes in which it is worth trying.
    """

    name: ClassVar[str]
    cost: ClassVar[float]
    classes: ClassVar[frozenset[DemandClass]]

    def fit(self, panel: Panel) -> Fitted:
        """Fit a panel; the result is the same to the bit for the same panel.

        Raises:
            DataError: the panel cannot be fitted by this family; the message says why.
        """
        ...


def pack(kind: str, panel: Panel, parameters: Parameters) -> Fitted:
    """Put rounded parameters into the artifact format."""
    return Fitted(
        {
            "format": scoring.FORMAT,
            "kind": kind,
            "sku": panel.sku,
            "stores": list(panel.stores),
            "as_of": str(panel.dates[-1].astype("datetime64[D]")),
            "frequency": panel.frequency,
            "horizon": max(panel.horizon, 1),
            "season_length": panel.season_length,
            "parameters": {name: _round(value) for name, value in parameters.items()},
        }
    )


def _round(value: Any) -> Any:
    """Numbers to six significant digits, arrays to lists: what JSON holds and what predictions are made from."""
    if isinstance(value, np.ndarray):
        return _round(value.tolist())
    if isinstance(value, list | tuple):
        return [_round(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _round(item) for name, item in value.items()}
    return float(f"{value:.6g}") if isinstance(value, float) else value
