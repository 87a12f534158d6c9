"""What a search proposes: the winner's changes to the catalogue file, as YAML, and how sure they are an improvement.

Pure. Nothing here changes a file.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd
import yaml

from include.skufleet.config.search import change_keys, read_key
from include.skufleet.fleet.search.judge import SearchMetric, compare
from include.skufleet.fleet.search.planned import CURRENT, SearchPlan
from include.skufleet.fleet.search.rungs import Rung

Verdict = Literal["change", "noise", "keep", "unknown"]


@dataclass(frozen=True)
class Gain:
    """How much better than the file's own configuration on some SKUs and windows, and its standard error."""

    where: str
    skus: int
    gain: float
    noise: float


@dataclass(frozen=True)
class Proposal:
    """The outcome of a search.

    Attributes:
        verdict: ``change`` the file; the gain may be ``noise``; ``keep`` the file, which came first; ``unknown``: no
            rung could compare the file with anything.
        trial: who came first; empty where nobody did.
        changes: dotted key -> value.
        before: dotted key -> the file's value.
        gains: the gain over all of the deciding rung first, then in its parts.
    """

    verdict: Verdict
    trial: str
    changes: Mapping[str, Any]
    before: Mapping[str, Any]
    gains: Sequence[Gain] = ()

    @property
    def yaml(self) -> str:
        """The changed keys as they would stand in the file; empty where none changes."""
        return _write(self.changes)

    @property
    def diff(self) -> str:
        """The changed keys before and after, as a unified diff without a header."""
        lines = difflib.unified_diff(_write(self.before).splitlines(), _write(self.changes).splitlines(), n=99)
        return "\n".join(line for line in list(lines)[3:])


def propose(plan: SearchPlan, rungs: Sequence[Rung]) -> Proposal:
    """Judge the last rung that can compare: its best trial, how much better it is than the file, and where.

    A gain counts as clear when it exceeds two standard errors over all SKUs of the rung, and is not below zero on
    those that joined in this rung: they had no part in bringing the trial there.
    """
    rung = next((rung for rung in reversed(rungs) if rung.decides), None)
    if rung is None:
        return Proposal("unknown", "", {}, {})
    best = rung.ranked[0]
    if best.trial == CURRENT:
        return Proposal("keep", CURRENT, {}, {})
    gains = _gains(rung, best.trial, plan.metric, plan)
    fresh = gains[1] if rung.number > 1 else gains[0]
    verdict: Verdict = "change" if best.clear and fresh.gain >= 0 else "noise"
    changes = plan.trials[best.trial]
    before = {key: read_key(plan.catalogue, key) for key in changes}
    return Proposal(verdict, best.trial, changes, before, gains)


def _gains(rung: Rung, trial: str, metric: SearchMetric, plan: SearchPlan) -> list[Gain]:
    """Over all, over the SKUs that are new in the rung, and window by window."""
    own, theirs = rung.scores[CURRENT], rung.scores[trial]
    gains = [_compare("all SKUs of the rung", theirs, own, metric)]
    if rung.number > 1:
        new = {sku for piece in plan.pieces_of(rung.number) for sku in piece.departments}
        gains.append(
            _compare("SKUs new in this rung", theirs[theirs["sku"].isin(new)], own[own["sku"].isin(new)], metric)
        )
    for window in sorted(own["window"].unique()):
        name = "the last window" if window == 1 else f"window {int(window)} from the end"
        gains.append(_compare(name, theirs[theirs["window"] == window], own[own["window"] == window], metric))
    return gains


def _compare(where: str, theirs: pd.DataFrame, own: pd.DataFrame, metric: SearchMetric) -> Gain:
    return Gain(where, int(own["sku"].nunique()), *compare(theirs, own, metric))


class _Dumper(yaml.SafeDumper):
    """Lists on one line, as people write them."""


_Dumper.add_representer(
    list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)
)


def _write(values: Mapping[str, Any]) -> str:
    return yaml.dump(change_keys({}, values), Dumper=_Dumper, sort_keys=False, width=1000) if values else ""
