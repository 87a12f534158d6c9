"""Carry out a change of stages of many SKUs: planned on S3 first, then on MLflow's aliases, one change at a time.

Three things move aliases: a run's promotion, a person's promotion, a rollback. Each holds the catalogue's lease, writes
what it is about to do, does it, and writes down what it did. Broken off anywhere, the same command again takes up its
plan; another one first writes down what the broken one had done, and goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from include.skufleet import VERSION
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.releases import (
    Release,
    describe_row,
    list_releases,
    put_release,
    read_release,
    read_release_frame,
)
from include.skufleet.fleet.run import RunKeys
from include.skufleet.fleet.transitions import put_transitions
from include.skufleet.lake.lease import hold_lease
from include.skufleet.lake.publishing import read_published
from include.skufleet.lifecycle.moves import carry_out, find_done, list_moves
from include.skufleet.lifecycle.release import Change, Kind, freeze_release
from include.skufleet.lifecycle.transitions import to_transitions
from include.skufleet.registry.records import RegisteredVersion
from include.skufleet.registry.states import ModelState

THREADS = 4
"""Enough to keep a registry server with two workers busy."""

log = logging.getLogger(__name__)

States = Mapping[str, ModelState]


@dataclass(frozen=True, slots=True)
class Work:
    """A change of stages.

    Attributes:
        run_id: the Airflow run, or the command; the same for every try.
        kind: a run, or a command of a person.
        what: the request in words: who asks for the same again takes up where it was broken off.
        actor: who.
        moment: when it began, ISO 8601, UTC.
    """

    run_id: str
    kind: Kind
    what: str
    actor: str
    moment: str

    @property
    def began(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.moment)


@dataclass(frozen=True)
class Plan:
    """What a change is about to do.

    Attributes:
        moves: the fields of ``lifecycle.moves.Move``.
        details: SKU -> columns of ``lifecycle.release.TYPES`` for the version that comes.
        versions: SKU -> that version.
    """

    moves: pd.DataFrame
    details: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, RegisteredVersion]


@dataclass(frozen=True)
class Done:
    """What came of it.

    Attributes:
        moves: those of the plan, with ``error``.
        release: the frame that is in force now.
        work: what was done.
        moved: SKUs whose version in production is another than in the release before.
    """

    moves: pd.DataFrame
    release: pd.DataFrame
    work: Work
    moved: int


def change_stages(
    clients: Clients,
    catalogue: str,
    work: Work,
    plan: Callable[[States], Plan],
    describe: Callable[[Work, pd.DataFrame, int], Release],
) -> Done:
    """Plan a change under the lease, carry it out, write down what it did, and put the release in force.

    Args:
        clients: the services.
        catalogue: the catalogue's name.
        work: what is asked for. Where the same was broken off, its first moment and id are taken up.
        plan: gets what MLflow says now; called again by every try: it must want the same.
        describe: the manifest of the release: gets the work, its frame, and how many SKUs have another version.

    Raises:
        LeaseHeldError: another change is at work.
        ServiceUnavailableError: a service went away; the same call again does the rest.
    """
    # The holder is the request: who gives it again need not wait for a lease that died with its process. Two that give
    # the same at once do the same work, and write down the same.
    with hold_lease(clients.store, RunKeys(catalogue, "").lease_key, work.what, work.what):
        work, earlier = _take_up(clients, catalogue, work)
        run = RunKeys(catalogue, work.run_id)
        before = read_release_frame(clients.store, run)
        states = clients.registry.states(catalogue, read_release(clients.store, run))
        planned = plan(states)
        moves = _join(earlier, planned.moves)
        clients.store.put_frame(run.moves_key, moves)
        clients.store.put_json(run.pending_key, asdict(work))
        done = carry_out(clients.registry, moves, states, THREADS)
        carried = _find_carried(done, earlier, states)
        rows = to_transitions(carried, moment=work.began, run_id=work.run_id, actor=work.actor)
        put_transitions(clients.store, run, work.began, rows)
        came = set(carried.loc[carried["after"] > 0, "sku"])
        production = {sku: state.production for sku, state in states.items() if state.production}
        production |= {sku: version for sku, version in planned.versions.items() if sku in came}
        details = {sku: item for sku, item in planned.details.items() if sku in came}
        frame = freeze_release(production, before, details, Change(work.kind, work.run_id, work.moment))
        release = describe(work, frame, len(came))
        if came or work.kind != "run" or _is_newest(clients, run, release):
            put_release(clients.store, run, frame, release)
        else:  # a run of the past that moved nothing: what is in force stays so
            clients.store.put_frame(release.key, frame)
        clients.store.delete(run.pending_key)
    return Done(done, frame, work, len(came))


def _is_newest(clients: Clients, run: RunKeys, release: Release) -> bool:
    pointer = read_published(clients.store, run.release_pointer)
    return pointer is None or release.as_of >= str(pointer["as_of"])


def settle_broken(clients: Clients, catalogue: str, unless: str = "") -> None:
    """Write down what a change had done that was broken off for good, and put it in force as it is.

    Else whoever looks next would take its aliases for moved by hand.

    Args:
        clients: the services.
        catalogue: the catalogue's name.
        unless: this very request is left to whoever gives it again.

    Raises:
        LeaseHeldError: a change is at work.
    """
    run = RunKeys(catalogue, "")
    pending = clients.store.find_json(run.pending_key)
    if pending is not None and pending["what"] != unless:
        what = f"writing down what {pending['what']} had done"
        with hold_lease(clients.store, run.lease_key, what, what):
            _take_up(clients, catalogue, begin("run", "", "", ""))


def name_promotion(run: RunKeys) -> str:
    """The request that a run's promotion is."""
    return f"promotion of run {run.run_id}"


def _take_up(clients: Clients, catalogue: str, work: Work) -> tuple[Work, pd.DataFrame | None]:
    """The work as it began and its moves, where it was broken off; what another had done is written down first."""
    run, store = RunKeys(catalogue, work.run_id), clients.store
    pending = store.find_json(run.pending_key)
    if pending is None:
        return work, None
    other, moves = Work(**pending), store.get_frame(run.moves_key)
    if other.what == work.what:
        log.info("Taking up %s, which was begun at %s", other.what, other.moment)
        return other, moves
    log.warning("%s was broken off: what it had done is written down, the rest is left", other.what)
    _settle(clients, RunKeys(catalogue, other.run_id), other, moves)
    return work, None


def _settle(clients: Clients, run: RunKeys, other: Work, moves: pd.DataFrame) -> None:
    """Transitions and a release of what a broken change had done."""
    store, before = clients.store, read_release_frame(clients.store, run)
    states = clients.registry.states(run.catalogue, read_release(store, run))
    done = find_done(moves, states)
    put_transitions(
        store, run, other.began, to_transitions(done, moment=other.began, run_id=other.run_id, actor=other.actor)
    )
    made = store.get_frame(run.results_key).to_dict("records") if store.exists(run.results_key) else []
    figures = {(str(row["sku"]), int(row["version"])): describe_row(row) for row in made}
    departments = dict(zip(before["sku"], before["department"], strict=True))
    details = {
        move.sku: {"department": departments.get(move.sku, ""), "rule": move.rule, "reason": move.reason}
        | figures.get((move.sku, move.after), {})
        for move in list_moves(done)
        if move.after > 0
    }
    production = {sku: state.production for sku, state in states.items() if state.production}
    frame = freeze_release(production, before, details, Change(other.kind, other.run_id, other.moment))
    known = list_releases(store, run)
    release = Release(
        name=run.key,
        key=run.release_key,
        run_id=other.run_id,
        as_of=known[-1].as_of if known else max((item.as_of for item in production.values()), default=""),
        made_at=other.moment,
        kind=other.kind,
        actor=other.actor,
        reason=f"{other.what} was broken off; this is what it had done.",
        skus=len(frame),
        promoted=len(details),
        code_version=VERSION,
    )
    put_release(store, run, frame, release)
    store.delete(run.pending_key)


def _join(earlier: pd.DataFrame | None, moves: pd.DataFrame) -> pd.DataFrame:
    """The moves, those of an earlier try included: it knew where the aliases were that it moved."""
    if earlier is None:
        return moves
    known = dict(zip(zip(earlier["sku"], earlier["after"], strict=True), earlier["before"], strict=True))
    before = [
        known.get((sku, after), own)
        for sku, after, own in zip(moves["sku"], moves["after"], moves["before"], strict=True)
    ]
    again = moves.assign(before=pd.Series(before, index=moves.index, dtype="int64"))
    return pd.concat([earlier[~earlier["sku"].isin(moves["sku"])], again], ignore_index=True)


def _find_carried(done: pd.DataFrame, earlier: pd.DataFrame | None, states: States) -> pd.DataFrame:
    """The moves that took place now, or in the try that was broken off; not those that a finished one had made."""
    carried = done[done["error"] == ""]
    if earlier is not None:
        return carried
    return carried.drop(index=find_done(carried, states).index)


def begin(kind: Kind, run_id: str, what: str, actor: str) -> Work:
    """A change that begins now."""
    return Work(run_id, kind, what, actor, datetime.now(UTC).isoformat())
