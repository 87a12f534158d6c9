"""Draft the SKUs of a chunk, and let none of them take the chunk down for ever.

A first try drafts them in the task's own process, as fast as can be, and ends with the process where one of them takes
longer than ``fleet.sku_seconds``. Once a try has begun and not come to its end,
the next one is careful: it names each SKU before it touches it (``attempts.py``) and trains it in a process of its own
(``isolation.py``). A SKU over which two processes have died is set aside.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from include.skufleet.config import Catalogue
from include.skufleet.fleet.attempts import STRIKES, Attempt
from include.skufleet.fleet.chunk_data import ChunkData
from include.skufleet.fleet.isolation import Isolated, WorkerDiedError
from include.skufleet.fleet.outcomes import SkuOutcome
from include.skufleet.fleet.train import Draft, draft_sku
from include.skufleet.fleet.watchdog import end_process_after

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drafting:
    """Drafts SKUs of one chunk.

    Attributes:
        catalogue: the catalogue's settings.
        data: the chunk's data.
        chunk: its name.
        force: train also what is retired.
        attempt: this try.
    """

    catalogue: Catalogue
    data: ChunkData
    chunk: str
    force: bool
    attempt: Attempt

    def draft_all(self, skus: Sequence[str]) -> list[Draft]:
        """One draft per SKU, in their order.

        Raises:
            MemoryError: the task's own process has no memory left; the next try finds out whether a SKU is to blame.
        """
        patience = self.catalogue.fleet.sku_seconds
        if not self.attempt.careful:
            return self._draft_quickly(skus, patience)
        with Isolated(patience) as isolated:
            drafts = [self._draft(sku, isolated) for sku in skus]
        self.attempt.note("")
        return drafts

    def _draft_quickly(self, skus: Sequence[str], patience: float) -> list[Draft]:
        drafts = []
        with end_process_after(patience) as begin_again:
            for sku in skus:
                begin_again()
                drafts.append(self._draft(sku, None))
        return drafts

    def _draft(self, sku: str, isolated: Isolated | None) -> Draft:
        started, known = time.perf_counter(), self.data.skus[sku]
        if known["unchanged"] is not None:
            return Draft(SkuOutcome(**known["unchanged"] | {"chunk": self.chunk}))
        work = partial(
            draft_sku,
            sku,
            self.data.panels.get(sku),
            self.data.verdict.skus[sku],
            self.catalogue,
            department=known["department"],
            ring=self.data.ring(sku),
            fingerprint=known["fingerprint"],
            force=self.force,
        )
        draft = work() if isolated is None else self._outlive(sku, work, isolated)
        seconds = round(time.perf_counter() - started, 4)
        return replace(draft, row=replace(draft.row, chunk=self.chunk, seconds=seconds))

    def _outlive(self, sku: str, work: partial[Draft], isolated: Isolated) -> Draft:
        """The draft of a SKU that may kill its process; one that did so ``STRIKES`` times is set aside."""
        said = "its task"
        while self.attempt.deaths(sku) < STRIKES:
            self.attempt.note(sku)
            try:
                return isolated.call(work)
            except WorkerDiedError as error:
                said = f"its process, which {error}"
                self.attempt.strike(sku)
                log.warning("SKU %r: training it cost %s (%d of %d)", sku, said, self.attempt.deaths(sku), STRIKES)
        return self._set_aside(sku, said)

    def _set_aside(self, sku: str, said: str) -> Draft:
        known = self.data.skus[sku]
        champion = known["production"]
        reason = f"training it {STRIKES} times cost {said}"
        served = f"version {champion['version']} goes on serving" if champion else "the fallback serves"
        return Draft(
            SkuOutcome(
                sku=sku,
                department=known["department"],
                outcome="quarantined",
                reason=f"{reason}; {served}",
                step="train",
                error=reason,
                fingerprint=known["fingerprint"],
                champion_candidate=champion["candidate"] if champion else "",
                champion_version=int(champion["version"]) if champion else 0,
            )
        )
