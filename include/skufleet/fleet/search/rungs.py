"""What came of the rungs of a search, worked out from the scores on S3: who took part, who failed, who goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.search.judge import Standing, choose_survivors, rank_trials
from include.skufleet.fleet.search.plan import hand_out
from include.skufleet.fleet.search.planned import CURRENT, SearchPlan
from include.skufleet.fleet.search.run import SearchRun


@dataclass(frozen=True)
class Rung:
    """One rung, over.

    Attributes:
        number: from 1.
        skus: of the sample so far.
        new: of them, those that joined in this rung.
        ranked: how the trials did, best first.
        failed: trials that took part and left no scores.
        survivors: who goes on, where there is a next rung; empty where nothing is left to compare.
        scores: trial -> its scores over all rungs so far.
    """

    number: int
    skus: int
    new: int
    ranked: Sequence[Standing]
    failed: Sequence[str]
    survivors: Sequence[str]
    scores: Mapping[str, pd.DataFrame]

    @property
    def decides(self) -> bool:
        """Whether the file's own configuration can be compared with another here."""
        names = {item.trial for item in self.ranked}
        return CURRENT in names and len(names) > 1


def read_rungs(clients: Clients, run: SearchRun, plan: SearchPlan, until: int) -> list[Rung]:
    """The rungs up to number ``until``, or up to the one after which nobody goes on."""
    rungs: list[Rung] = []
    going: Sequence[str] = list(plan.trials)
    scores: dict[str, pd.DataFrame] = {}
    for number in range(1, min(until, plan.rungs) + 1):
        found = {trial: _read(clients, run, plan, trial, number) for trial in going}
        done = {trial: frame for trial, frame in found.items() if frame is not None}
        scores = {
            trial: pd.concat([scores[trial], frame], ignore_index=True) if trial in scores else frame
            for trial, frame in done.items()
        }
        ranked = rank_trials(scores, plan.metric, CURRENT)
        rungs.append(
            Rung(
                number=number,
                skus=plan.skus_of(number),
                new=sum(len(piece.departments) for piece in plan.pieces_of(number)),
                ranked=ranked,
                failed=[trial for trial in going if trial not in done],
                survivors=choose_survivors(ranked, CURRENT),
                scores=scores,
            )
        )
        going = rungs[-1].survivors
        if not going:
            break
    return rungs


def close_rung(clients: Clients, run: SearchRun, number: int) -> list[dict[str, str]]:
    """Judge a rung, write its figures to MLflow, and say who goes on.

    Returns:
        One ``{"trial", "label"}`` per trial of the next rung; none after the last, or where nothing is left to compare.
    """
    plan = SearchPlan.read(clients.store, run)
    rungs = read_rungs(clients, run, plan, number)
    if not rungs or rungs[-1].number != number:
        return []
    going = list(rungs[-1].survivors) if number < plan.rungs else []
    log_rung(clients, plan, rungs[-1], going)
    return hand_out(plan, going)


def log_rung(clients: Clients, plan: SearchPlan, rung: Rung, going: Sequence[str]) -> None:
    """The figures of every trial of a rung on its MLflow run; runs of trials that do not go on are closed."""
    for item in rung.ranked:
        figures: dict[str, Any] = {name: value for name, value in asdict(item).items() if name != "trial"}
        stays = item.trial in going
        outcome = f"goes on to rung {rung.number + 1}" if stays else f"ended after rung {rung.number}"
        clients.registry.log_trial(
            plan.runs[item.trial], figures | {"rung": rung.number}, {"outcome": outcome}, rung.number
        )
        if not stays:
            clients.registry.close_trial(plan.runs[item.trial])
    for trial in rung.failed:
        tags = {"outcome": f"failed in rung {rung.number}: see the log of its task in Airflow"}
        clients.registry.log_trial(plan.runs[trial], {"rung": rung.number}, tags, rung.number)
        clients.registry.close_trial(plan.runs[trial], "FAILED")


def _read(clients: Clients, run: SearchRun, plan: SearchPlan, trial: str, rung: int) -> pd.DataFrame | None:
    key = run.scores_key(plan.draw, trial, rung)
    return clients.store.get_frame(key) if clients.store.exists(key) else None
