"""What is known of one SKU: which version serves, since when and why, what competed, and what it would take."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.errors import PlanError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.refused import read_refused
from include.skufleet.fleet.releases import read_release_frame
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.standing import read_standing
from include.skufleet.fleet.transitions import read_transitions
from include.skufleet.lake.store import ObjectStore
from include.skufleet.registry.records import PREVIOUS, PRODUCTION, STAGING
from include.skufleet.registry.states import ModelState

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Explanation:
    """One SKU, explained.

    Attributes:
        sku: its code.
        department: its department.
        serving: what is in production: columns of ``lifecycle.release.TYPES``; empty where nothing is.
        aliases: alias -> version, as MLflow says.
        moved_by_hand: the version that the release in force names, where MLflow's alias names another; else 0.
        last: its row of the last run that looked at it (``outcomes.SkuOutcome`` with ``run_id, as_of``); empty: none.
        decided: what became of the version that this run made (``lifecycle.promotion.Decision``); empty: it made none.
        competed: candidate -> its error by the catalogue's metric in that run.
        figures: what is measured -> its value and what is asked for, in words.
        would_change: what would have to be otherwise for another version to serve.
        history: its changes of stage, the newest first.
    """

    sku: str
    department: str
    serving: Mapping[str, Any]
    aliases: Mapping[str, int]
    moved_by_hand: int
    last: Mapping[str, Any]
    decided: Mapping[str, Any]
    competed: Mapping[str, float]
    figures: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    would_change: str = ""
    history: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON: NaN is null."""
        return {name: _to_json(value) for name, value in asdict(self).items()}


def explain_sku(clients: Clients, catalogue: Catalogue, sku: str) -> Explanation:
    """Look a SKU up in the release in force, in MLflow, and in what the last run found.

    Raises:
        PlanError: no run has looked at such a SKU; the message names some that are alike.
    """
    store, run = clients.store, RunKeys(catalogue.name, "")
    released, standing = read_release_frame(store, run), read_standing(store, run)
    row, found = _row(released, sku), _row(standing, sku)
    state = clients.registry.find_state(catalogue.name, sku)
    if not row and not found and state is None:
        known = sorted({*released["sku"], *standing["sku"]})
        alike = [item for item in known if sku.casefold() in item.casefold()][:5] or known[:5]
        raise PlanError(
            f"catalogue {catalogue.name!r} has no SKU {sku!r}; there are {len(known)}, for example "
            f"{', '.join(map(str, alike)) or 'none: no run has ended yet'}"
        )
    aliases = dict(state.aliases) if state else {}
    named, decided = int(row.get("version", 0)), _find_decision(store, catalogue.name, found)
    transitions = read_transitions(store, run)
    own = transitions[transitions["sku"] == sku].sort_values("time", ascending=False)
    return Explanation(
        sku=sku,
        department=str(found.get("department") or row.get("department") or ""),
        serving=row if row and aliases.get(PRODUCTION) == named else _unknown(state),
        aliases={name: aliases[name] for name in (PRODUCTION, PREVIOUS, STAGING) if name in aliases},
        moved_by_hand=named if named and aliases.get(PRODUCTION) != named else 0,
        last=found,
        decided=decided,
        competed=_competed(found),
        figures=_figures(found, catalogue),
        would_change=_would_change(found, decided, catalogue, read_refused(store, run)),
        history=tuple({str(name): row[name] for name in row} for row in own.head(SHOWN).to_dict("records")),
    )


def _row(frame: pd.DataFrame, sku: str) -> dict[str, Any]:
    rows = frame[frame["sku"] == sku].to_dict("records")
    return {str(name): value for name, value in rows[-1].items()} if rows else {}


def _find_decision(store: ObjectStore, catalogue: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the run that looked at the SKU decided; empty where it made no version, or is gone."""
    key = RunKeys(catalogue, str(found.get("run_id") or "")).decisions_key
    return _row(store.get_frame(key), str(found["sku"])) if found and store.exists(key) else {}


def _unknown(state: ModelState | None) -> dict[str, Any]:
    """What serves, where the release in force does not know it."""
    if state is None or state.production is None:
        return {}
    reason = "Not what the release in force names: the alias was moved by hand in MLflow."
    return asdict(state.production) | {"reason": reason, "rule": "moved", "kind": "hand", "since": ""}


def _competed(row: Mapping[str, Any]) -> dict[str, float]:
    """Candidate -> its metric, the best first."""
    found: dict[str, float] = json.loads(row.get("competed") or "{}")
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _figures(row: Mapping[str, Any], catalogue: Catalogue) -> dict[str, tuple[str, str]]:
    """Each figure of the gate, and what is asked for."""
    gate, metric = catalogue.gate, str(row.get("metric") or catalogue.backtest.metric)

    def number(name: str, shape: str = ".4g") -> str:
        value = float(row.get(name, math.nan))
        return "–" if math.isnan(value) else format(value, shape)

    limit = f"at most {gate.max_loss_to_baseline:.0%} above it" if gate.max_loss_to_baseline else "no worse"
    asked = f"the new version {limit}, but for noise"
    return {
        f"{metric} of the new version": (number("challenger_metric"), ""),
        f"{metric} of the seasonal naive": (number("baseline_metric"), asked),
        f"{metric} of production's recipe": (number("champion_metric"), ""),
        "expected gain of the other recipe": (number("gain", "+.1%"), f"at least {gate.min_gain:.1%}"),
        "probability that there is one": (number("probability", ".0%"), f"at least {gate.min_probability:.0%}"),
        "recipe replaced another on": (str(row.get("recipe_since") or "–"), f"stays for {gate.hold_days} days"),
        "bias": (number("bias", "+.1%"), f"within {gate.max_bias:.0%}, or no worse than production's"),
    }


def _would_change(
    row: Mapping[str, Any], decided: Mapping[str, Any], catalogue: Catalogue, refused: Mapping[str, str]
) -> str:
    """What would have to change, by the rule that decided."""
    gate, rule = catalogue.gate, str(row.get("rule") or "")
    if str(row.get("fingerprint")) in refused:
        return "Its data must change: a version of the same data was rolled back."
    stopped = decided and not decided["promoted"]
    if stopped and decided["rule"] == "fleet":
        return "The whole release was stopped: the next run must keep the limits (release), or a person promotes it."
    if stopped and decided["rule"] == "approval":
        return "Somebody must approve the release of a next run, or promote this version."
    if stopped and decided["rule"] == "moved":
        return "The next new version is judged beside the one that was put there by hand."
    challenger = str(row.get("challenger") or "another recipe")
    said = {
        "gain": f"{challenger} would have to be better by more; an expected {gate.min_gain:.1%} (gate.min_gain).",
        "luck": f"{challenger} would have to be better on more days: {gate.min_probability:.0%} sure "
        "(gate.min_probability).",
        "hold": f"Nothing before {gate.hold_days} days have passed since {row.get('recipe_since')} (gate.hold_days).",
        "windows": "More history, or backtest.windows: too few windows speak for another recipe.",
        "bias": f"The bias of {challenger} would have to be within {gate.max_bias:.0%} (gate.max_bias).",
        "shadow": "The days of the shadow must pass; then what was sold decides.",
        "canary": "The canaries must have shown that the recipe is no worse.",
        "guard": "The model's own forecasts must be within the guard rails; see docs/catalogue-file.md, gate.",
        "fallback": "More history, or mended data: a fallback serves until the SKU can be trained.",
    }
    if rule in said:
        return said[rule]
    if row.get("outcome") in ("quarantined", "failed"):
        return f"What is wrong must be mended: {row.get('reason')}"
    return "New sales: production's recipe is refit on them; another takes over when it is better by more than luck."


def _to_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _to_json(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_json(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value
