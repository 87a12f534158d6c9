"""Take a release back, or put into production what a run had held back: what a person does to the aliases, safely."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd

from include.skufleet import VERSION
from include.skufleet.config import Catalogue
from include.skufleet.errors import DataError, PlanError
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.moving import Done, Plan, States, Work, begin, change_stages
from include.skufleet.fleet.refused import forget_refused, put_refused
from include.skufleet.fleet.releases import Release, describe_row, list_releases, open_release, version_of
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.fleet_gate import FIGURES
from include.skufleet.lifecycle.moves import KEEP, Move, to_frame
from include.skufleet.lifecycle.release import thaw_release
from include.skufleet.registry.records import STAGING

SHOWN = 5
ERRORS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Scope:
    """Which SKUs a command is about; all where nothing is said.

    Attributes:
        skus: codes or shell patterns.
        department: only SKUs of it.
    """

    skus: tuple[str, ...] = ()
    department: str = ""

    @property
    def words(self) -> str:
        """For sentences, and to tell one request from another."""
        named = f"SKUs {', '.join(self.skus)}" if self.skus else ""
        return " of ".join(part for part in (named, f"department {self.department}" if self.department else "") if part)

    def select(self, rows: pd.DataFrame, where: str) -> pd.DataFrame:
        """The rows that it is about.

        Args:
            rows: with ``sku`` and ``department``.
            where: for the message.

        Raises:
            PlanError: something that is named is not there; the message says what.
        """
        if self.department:
            known = sorted(set(rows["department"]) - {""})
            if self.department not in known:
                raise PlanError(f"{where} has no department {self.department!r}; it has: {', '.join(known) or 'none'}")
            rows = rows[rows["department"] == self.department]
        if not self.skus:
            return rows
        codes = [str(sku) for sku in rows["sku"]]
        matches = {
            pattern: [sku for sku in codes if sku == pattern or fnmatchcase(sku, pattern)] for pattern in self.skus
        }
        if missing := [pattern for pattern, found in matches.items() if not found]:
            raise PlanError(
                f"{where} has no SKU {', '.join(map(repr, missing[:SHOWN]))}; it has {len(codes)}, "
                f"for example {', '.join(codes[:SHOWN]) or 'none'}. Nothing was changed"
            )
        return rows[rows["sku"].isin(set().union(*matches.values()))]


def roll_back(
    clients: Clients,
    catalogue: Catalogue,
    release: Release,
    scope: Scope,
    *,
    actor: str,
    run_id: str,
    reason: str = "",
) -> Done:
    """Put what a release named back into production, for all of its SKUs or some.

    Safe to repeat; broken off anywhere, the same command again does the rest. SKUs that are not in the release stay as
    they are. What is rolled back is not promoted again before its SKU's data change. A new release comes into force.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        release: the one to go back to.
        scope: which of its SKUs.
        actor: who.
        run_id: the Airflow run, or a name for the command.
        reason: why, for the record.

    Raises:
        PlanError: the release has nothing of that scope. DataError: its object cannot be read.
        LeaseHeldError: another change is at work. ServiceUnavailableError: a service went away.
    """
    frame = scope.select(open_release(clients.store, release), f"release {release.name}")
    what = f"rollback of {catalogue.name} to release {release.name}{f' ({scope.words})' if scope.words else ''}"
    why = f"Rolled back to release {release.name} by {actor}{f': {reason}' if reason else ''}."
    run = RunKeys(catalogue.name, run_id)
    versions = {version.sku: version for version in thaw_release(frame)}
    known = {str(row["sku"]): row for row in frame.to_dict("records")}

    def plan(states: States) -> Plan:
        moves, refused = [], []
        for sku, version in versions.items():
            state = states.get(sku)
            now = state.production if state else None
            if now is None or now.version != version.version:
                before = now.version if now else 0
                moves.append(Move(sku, version.name, before, version.version, KEEP, 0, "rollback", why))
            if now is not None and now.version > version.version:
                refused.append(now)
        put_refused(clients.store, run, refused, why)
        forget_refused(clients.store, run, versions.values())
        details = {
            sku: {name: known[sku][name] for name in _CARRIED} | {"rule": "rollback", "reason": why} for sku in known
        }
        return Plan(to_frame(moves), details, versions)

    def describe(work: Work, released: pd.DataFrame, moved: int) -> Release:
        return _describe(clients.store, run, work, released, moved, why)

    return change_stages(clients, catalogue.name, begin("rollback", run_id, what, actor), plan, describe)


_CARRIED = ("department", "metric", "error", "baseline_error", *FIGURES)


def promote_held(
    clients: Clients,
    catalogue: Catalogue,
    source: RunKeys,
    scope: Scope,
    *,
    actor: str,
    run_id: str,
    reason: str = "",
) -> Done:
    """Put into production what a run registered and held back: a person has looked, and overrules the gates.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        source: the run that registered the versions.
        scope: which of them.
        actor: who.
        run_id: a name for the command.
        reason: why, for the record.

    Raises:
        PlanError: the run made no version of that scope. DataError: the run has no results any more.
        LeaseHeldError: another change is at work. ServiceUnavailableError: a service went away.
    """
    store = clients.store
    if not store.exists(source.results_key):
        raise DataError(f"run {source.run_id} has no results at {store.uri(source.results_key)}: was it pruned?")
    results = store.get_frame(source.results_key)
    rows = scope.select(results[results["version"] > 0], f"run {source.run_id}")
    if rows.empty:
        raise PlanError(f"run {source.run_id} made no new version; there is nothing to promote")
    as_of = str(store.get_json(source.plan_key)["as_of"])
    what = f"promotion of what run {source.run_id} made{f' ({scope.words})' if scope.words else ''}"
    why = f"Promoted by {actor}{f': {reason}' if reason else ''}."
    made = {str(row["sku"]): row for row in rows.to_dict("records")}
    versions = {sku: version_of(row, as_of) for sku, row in made.items()}
    run = RunKeys(catalogue.name, run_id)

    def plan(states: States) -> Plan:
        moves = []
        for sku, version in versions.items():
            state = states.get(sku)
            now = state.production.version if state and state.production else 0
            if now < version.version:  # an older one is not promoted over a newer: that is a rollback
                waiting = state.aliases.get(STAGING, 0) if state else 0
                moves.append(Move(sku, version.name, now, version.version, 0, waiting, "promotion", why))
        forget_refused(store, run, versions.values())
        details = {sku: describe_row(row) | {"rule": "promotion", "reason": why} for sku, row in made.items()}
        return Plan(to_frame(moves), details, versions)

    def describe(work: Work, released: pd.DataFrame, moved: int) -> Release:
        return _describe(store, run, work, released, moved, why)

    return change_stages(clients, catalogue.name, begin("promotion", run_id, what, actor), plan, describe)


def _describe(store: ObjectStore, run: RunKeys, work: Work, frame: pd.DataFrame, moved: int, why: str) -> Release:
    """The manifest of the release that a command makes; its date is that of the release before."""
    before = [item for item in list_releases(store, run) if item.run_id != work.run_id]
    own = RunKeys(run.catalogue, work.run_id)
    return Release(
        name=own.key,
        key=own.release_key,
        run_id=work.run_id,
        as_of=before[-1].as_of if before else "",
        made_at=work.moment,
        kind=work.kind,
        actor=work.actor,
        reason=why,
        skus=len(frame),
        promoted=moved,
        code_version=VERSION,
    )


def summarise(done: Done, release: Release) -> dict[str, Any]:
    """What came of a command, as JSON: SKUs moved, and the first of those that were not with the reason."""
    failed = done.moves[done.moves["error"] != ""]
    errors = dict(zip(failed["sku"].head(ERRORS_SHOWN), failed["error"].head(ERRORS_SHOWN), strict=True))
    rest = f"; {len(failed)} could not be moved and stay as they are" if len(failed) else ""
    return {
        "release": release.name,
        "moved": done.moved,
        "failed": len(failed),
        "errors": errors,
        "sentence": f"{done.work.what[0].upper()}{done.work.what[1:]}: {done.moved} SKUs moved{rest}.",
    }
