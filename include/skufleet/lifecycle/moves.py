"""Changes of stage, planned as a frame and carried out on MLflow's aliases: safe to repeat and to break off anywhere.

A move says where an alias is expected and where it is to go. One that is there already is done; one that is neither
here nor there was moved by somebody else, and is left as it is and told. The alias ``production`` moves last, so that
no SKU is ever without a version in production that had one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import pandas as pd

from include.skufleet.errors import ConfigError, PermanentError
from include.skufleet.registry.client import Registry
from include.skufleet.registry.parallel import do_all
from include.skufleet.registry.records import ARCHIVED, PRODUCTION, STAGING
from include.skufleet.registry.states import ModelState

KEEP = -1
"""In place of a version: leave the alias as it is."""
TYPES = {
    "sku": "str",
    "name": "str",
    "before": "int64",
    "after": "int64",
    "staging": "int64",
    "waiting": "int64",
    "rule": "str",
    "reason": "str",
}


@dataclass(frozen=True, slots=True)
class Move:
    """What changes for one SKU.

    Attributes:
        sku: the SKU's code.
        name: the registered model's name.
        before: the version that was in production when the move was planned, 0 for none.
        after: the one that is to be; ``KEEP``: the same.
        staging: the version that is to wait in staging; 0: none, ``KEEP``: as it is.
        waiting: the version that waited there when the move was planned, 0 for none.
        rule: why, in a word.
        reason: why, in a sentence.
    """

    sku: str
    name: str
    before: int
    after: int
    staging: int
    waiting: int
    rule: str
    reason: str


def to_frame(moves: Sequence[Move]) -> pd.DataFrame:
    """A row each, typed even without a row."""
    return pd.DataFrame([asdict(move) for move in moves], columns=list(TYPES)).astype(TYPES)


def carry_out(registry: Registry, moves: pd.DataFrame, states: Mapping[str, ModelState], threads: int) -> pd.DataFrame:
    """Move the aliases, and let the tag ``stage`` of each version say the same.

    Args:
        registry: the registry.
        moves: the fields of ``Move``.
        states: SKU -> what its registered model points at now.
        threads: SKUs at the same time.

    Returns:
        The moves with the column ``error``: empty where the move is done, else why it is not.

    Raises:
        ServiceUnavailableError: MLflow went away; what was moved stays so, and a second call does the rest.
    """
    by_name = {state.name: state for state in states.values()}

    def work(move: Move) -> str:
        try:
            return _carry_out_one(registry, move, by_name.get(move.name))
        except ConfigError:
            raise
        except PermanentError as error:
            return str(error)

    errors = do_all(work, list_moves(moves), threads)
    return moves.assign(error=pd.Series(errors, index=moves.index, dtype="str"))


def list_moves(moves: pd.DataFrame) -> list[Move]:
    """The moves of a frame."""
    return [Move(**{str(name): value for name, value in row.items()}) for row in moves[list(TYPES)].to_dict("records")]


def find_done(moves: pd.DataFrame, states: Mapping[str, ModelState]) -> pd.DataFrame:
    """Those of the moves that have taken place, by what MLflow says now."""
    now = {state.name: state.aliases for state in states.values()}
    done = [
        (move.after in (KEEP, now.get(move.name, {}).get(PRODUCTION)))
        and (move.staging == KEEP or move.staging == now.get(move.name, {}).get(STAGING, 0))
        for move in list_moves(moves)
    ]
    return moves[done]


def _carry_out_one(registry: Registry, move: Move, state: ModelState | None) -> str:
    if state is None:
        return f"MLflow has no registered model {move.name}; it was deleted by hand"
    now = state.aliases.get(PRODUCTION, 0)
    if move.after != KEEP and now not in (move.before, move.after):
        return (
            f"the alias production of {move.name} names version {now or 'none'}, expected {move.before or 'none'} or "
            f"{move.after}: somebody else moved it; it is left as it is"
        )
    _move_staging(registry, move, state)
    if move.after not in (KEEP, now):
        registry.set_production(state, move.after)
    if move.after != KEEP and move.after != move.before:
        # Tags come last: an alias that moved and a tag that did not is put right by the next call.
        registry.tag_version(move.name, move.after, {"stage": PRODUCTION})
        if move.before:
            _tag(registry, move.name, move.before)
    return ""


def _move_staging(registry: Registry, move: Move, state: ModelState) -> None:
    waiting = state.aliases.get(STAGING, 0)
    if move.staging in (KEEP, waiting):
        return
    registry.set_staging(move.name, move.staging)
    if move.staging:
        registry.tag_version(move.name, move.staging, {"stage": STAGING})
    if waiting and waiting != move.after:
        _tag(registry, move.name, waiting)


def _tag(registry: Registry, name: str, version: int) -> None:
    """Archive a version; one that was deleted by hand needs no tag."""
    try:
        registry.tag_version(name, version, {"stage": ARCHIVED})
    except ConfigError:
        raise
    except PermanentError:
        return
