"""How forecasts come about, for a few SKUs that the report explains: their models' components, all stores together.

Running a run's models is the business of ``forecast``; how an explanation looks is that of the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.forecasting.scoring import SEPARATOR, components

EMPTY = pd.DataFrame(
    {
        **{name: pd.Series(dtype="str") for name in ("sku", "model")},
        "date": pd.Series(dtype="datetime64[s]"),
        **{name: pd.Series(dtype="str") for name in ("component", "kind")},
        "value": pd.Series(dtype="float64"),
    }
)
TELLING = 3
"""Components from which on a model tells a planner something: a level, and at least two effects on it."""

_OTHER_INPUTS = {"sku", "store", "date", "closed", "price", "events"}


def explain(artifact: Mapping[str, Any], asked: pd.DataFrame) -> pd.DataFrame:
    """What the forecasts of one SKU are made of, date by date, all stores together.

    Args:
        artifact: the model.
        asked: its inputs as ``inputs.model_inputs`` makes them, of stores that the model knows, at least one row.

    Returns:
        ``sku, model, date, component, kind, value``, a date's components in their order. The first is of the kind
        ``units``, the others are ratios, of the kinds ``event``, ``flag``, ``closed`` and ``effect``; their product is
        the sum of the stores' forecasts. For an ensemble there are rows of the model ``ensemble``, one per member and
        date of the kinds ``member`` (its forecast in units) and ``weight`` (its share), and as above those of the
        heaviest member among those that tell the most.
    """
    if artifact["kind"] != "ensemble":
        return _explain_product(artifact, asked)
    members = sorted(artifact["parameters"]["members"], key=lambda member: -float(member["weight"]))
    parts = [_explain_product({**artifact, **_only_model(member)}, asked) for member in members]
    telling = max(parts, key=lambda frame: min(count_components(frame), TELLING))
    return pd.concat([*_explain_mix(members, parts), telling], ignore_index=True)


def count_components(explanation: pd.DataFrame) -> int:
    """How many components the model has, closed days aside; of an ensemble, the member that is explained."""
    counted = (explanation["model"] != "ensemble") & (explanation["kind"] != "closed")
    return int(explanation.loc[counted, "component"].nunique())


def choose_explanations(
    ranked: Mapping[str, Iterable[str]], explanations: Mapping[str, pd.DataFrame]
) -> list[pd.DataFrame]:
    """One explanation per demand class: the first ranked SKU whose model tells something, else the one that tells most.

    Args:
        ranked: demand class -> SKUs, the one to prefer first.
        explanations: SKU -> its explanation; a SKU without one is passed over.
    """
    chosen = []
    for skus in ranked.values():
        found = [explanations[sku] for sku in skus if sku in explanations]
        if found:
            chosen.append(max(found, key=lambda frame: min(count_components(frame), TELLING)))
    return chosen


def _only_model(member: Mapping[str, Any]) -> dict[str, Any]:
    """What an artifact of this member alone differs in from that of its ensemble."""
    return {"kind": member["kind"], "parameters": member["parameters"], "intervals": None}


def _explain_product(artifact: Mapping[str, Any], asked: pd.DataFrame) -> pd.DataFrame:
    """The components of a model, each as its ratio for the stores' total.

    A ratio of the total is the total with all components up to this one over the total without it: so the ratios of a
    date still multiply to the forecast, and a store counts by what it sells.
    """
    long = components(artifact, asked)
    names = list(dict.fromkeys(long["component"]))
    wide = long.pivot_table("value", ["date", "store"], "component", sort=False)[names].fillna(1.0).sort_index()
    totals = wide.cumprod(axis=1).groupby("date").sum()
    before = totals.shift(1, axis=1)
    ratios = (totals / before.where(before > 0)).fillna(1.0)
    ratios[names[0]] = totals[names[0]]
    kinds = _name_kinds(names, asked)
    return pd.DataFrame(
        {
            "sku": str(artifact["sku"]),
            "model": str(artifact["kind"]),
            "date": np.repeat(ratios.index.to_numpy(), len(names)),
            "component": np.tile(np.array(names, dtype=object), len(ratios)),
            "kind": np.tile(np.array(kinds, dtype=object), len(ratios)),
            "value": ratios.to_numpy().reshape(-1),
        }
    )


def _name_kinds(names: list[str], asked: pd.DataFrame) -> list[str]:
    """The kind of each component."""
    cells = asked["events"].dropna().unique() if "events" in asked else ()
    kinds = dict.fromkeys((str(name) for name in asked.columns if name not in _OTHER_INPUTS), "flag")
    kinds |= dict.fromkeys((part.strip() for cell in cells for part in str(cell).split(SEPARATOR)), "event")
    kinds["closed"] = "closed"
    return ["units", *(kinds.get(name, "effect") for name in names[1:])]


def _explain_mix(members: list[Mapping[str, Any]], parts: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """An ensemble's members: their forecasts in units and their shares."""
    total = sum(float(member["weight"]) for member in members)
    frames = []
    for member, frame in zip(members, parts, strict=True):
        forecast = frame.groupby(["sku", "date"], as_index=False)["value"].prod()
        own = forecast.assign(model="ensemble", component=str(member["kind"]), kind="member")
        share = own.assign(kind="weight", value=float(member["weight"]) / total)
        frames += [own[EMPTY.columns], share[EMPTY.columns]]
    return frames
