"""What a candidate is: something that fits a panel, and a fitted model that is nothing but its artifact.

Prediction is not here: ``scoring`` predicts, in this process and wherever the model is shipped to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from include.skufleet.errors import ArtifactError
from include.skufleet.forecasting import scoring
from include.skufleet.forecasting.calendar import Ints
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
        stores = np.arange(len(self.artifact["stores"]))
        expected: Floats = scoring.expect(self.artifact, lay_out(self.artifact, future, stores, stores))
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


def lay_out(artifact: Mapping[str, Any], future: Future, rows: Ints, stores: Ints) -> scoring.Inputs:
    """What an artifact is asked of the periods of ``future``, (n, h).

    Args:
        artifact: the model.
        future: of a panel.
        rows: (n,) positions of the stores in the panel.
        stores: (n,) their positions in the artifact.
    """
    return scoring.Inputs(
        artifact,
        stores[:, None],
        future.dates[None, :],
        price=None if future.price is None else future.price[rows],
        # What does not happen in these periods changes nothing, and is most of a calendar.
        events={future.events[event]: future.indicators[event][None, :] for event in future.find_events()},
        flags={name: values[rows] for name, values in future.flags.items()},
        closed=future.closed[None, :],
    )


def forecast_panel(
    artifact: Mapping[str, Any], panel: Panel, stores: Sequence[int] | None = None
) -> tuple[Floats, dict[str, Floats]]:
    """Forecast the horizon of a panel, without a frame: to the bit what ``scoring.predict`` gives of its rows.

    Args:
        artifact: the model, perhaps one that was fitted on fewer days.
        panel: what is known ahead.
        stores: positions of the panel's stores to forecast, n of them; all without.

    Returns:
        Expected units (n, h), and the bounds by column name, ``lower_80, upper_80, ...``, (n, h) each; no bounds where
        the artifact has no intervals.

    Raises:
        ValueError: the artifact cannot be predicted from, a store is not one of the model's, or the panel ends before
            the last period that the model was fitted on.
    """
    scoring.check(artifact)
    rows = np.arange(len(panel.stores)) if stores is None else np.asarray(stores, dtype=np.int64)
    position = {name: number for number, name in enumerate(artifact["stores"])}
    if unknown := sorted({panel.stores[row] for row in rows} - position.keys()):
        raise ValueError(f"SKU {panel.sku!r}: no store {unknown[:5]}; the model knows {artifact['stores'][:20]}")
    if str(panel.dates[-1]) < artifact["as_of"]:
        raise ValueError(
            f"SKU {panel.sku!r}: a panel up to {panel.dates[-1]}, expected one to {artifact['as_of']} at least, "
            "the last day the model was trained on"
        )
    known = np.array([position[panel.stores[row]] for row in rows], dtype=np.int64)
    inputs = lay_out(artifact, panel.future, rows, known)
    expected = scoring.expect(artifact, inputs)
    return expected, scoring.intervals(artifact, expected, inputs)


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
    if isinstance(value, float):  # first, for it is nearly all of them
        return float(f"{value:.6g}")
    if isinstance(value, np.ndarray):
        return _round(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_round(item) for item in value]
    return {name: _round(item) for name, item in value.items()} if isinstance(value, dict) else value
