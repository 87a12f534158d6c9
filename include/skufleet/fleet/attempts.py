"""What the tries of a chunk's task were doing when they ended: how a SKU that kills its task is found.

A process that is killed says nothing. So each try leaves an object on S3, ``tries/001.json`` and so on; from the
second try on it names the SKU in hand before the SKU is touched. Whoever comes next sees which SKU a try died over.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from include.skufleet.fleet.progress import count_written
from include.skufleet.lake.store import ObjectStore

STRIKES = 2
"""Deaths over one SKU after which it is not tried again in this run."""


@dataclass
class Attempt:
    """One try of a chunk.

    Attributes:
        store: the lake.
        folder: the chunk's folder.
        number: which try it is, from 1.
        finished: SKUs that earlier tries had written down.
        careful: whether an earlier try did not come to its end, so that a SKU may be to blame.
        before: SKU -> how often earlier tries died over it.
        own: SKU -> how often it killed a process of this try.
    """

    store: ObjectStore
    folder: str
    number: int
    finished: int = 0
    careful: bool = False
    before: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)

    @classmethod
    def begin(cls, store: ObjectStore, folder: str) -> Self:
        """Note that a try begins, and read what became of those before it."""
        before: Counter[str] = Counter()
        earlier = [store.get_json(item.key) for item in store.list(f"{folder}/tries/")]
        for told in earlier:
            before.update(told["strikes"])
            before.update([told["sku"]] if told["sku"] else [])
        careful = not all(told["ended"] for told in earlier)
        attempt = cls(store, folder, len(earlier) + 1, count_written(store, folder), careful, before)
        attempt.note("")
        return attempt

    def note(self, sku: str, *, ended: bool = False) -> None:
        """Write down which SKU is in hand; an empty text: none."""
        told = {"sku": sku, "strikes": dict(self.own), "finished": self.finished, "ended": ended}
        self.store.put_json(f"{self.folder}/tries/{self.number:03d}.json", told)

    def end(self) -> None:
        """Write down that the try did all that it had to."""
        self.note("", ended=True)

    def strike(self, sku: str) -> None:
        """Count a death over a SKU that this try outlived."""
        self.own[sku] += 1

    def deaths(self, sku: str) -> int:
        """How often a process died over the SKU, in all tries."""
        return self.before[sku] + self.own[sku]


def count_tries(store: ObjectStore, folder: str) -> int:
    """How many tries of a chunk have begun; 0 for one whose task never ran."""
    return len(store.list(f"{folder}/tries/"))


def read_finished(store: ObjectStore, folder: str) -> list[int]:
    """For each try of a chunk, how many SKUs were finished when it began."""
    return [int(store.get_json(item.key)["finished"]) for item in store.list(f"{folder}/tries/")]
