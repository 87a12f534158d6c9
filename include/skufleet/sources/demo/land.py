"""Landing the simulated chain: the first import lays down its history, later ones add the days since."""

from __future__ import annotations

from datetime import date

from include.skufleet.config import Landing
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources.demo.demand import simulate
from include.skufleet.sources.demo.drops import list_drops
from include.skufleet.sources.demo.spec import DemoSpec
from include.skufleet.sources.upload import LandSummary, Progress, landing_key, upload


def state_key(landing: Landing) -> str:
    """Where the demo's specification is kept: beside the landing, not among the retailer's files."""
    return f"{landing.prefix}.simulator.json"


def land_demo(
    store: ObjectStore,
    landing: Landing,
    end: date,
    *,
    seed: int = 7,
    skus: int = 300,
    stores: int = 5,
    days: int = 913,
    progress: Progress | None = None,
) -> LandSummary:
    """Deliver everything that the simulated chain has delivered up to ``end`` and that is not in the landing yet.

    The first call fixes the chain (``seed``, sizes, ``end`` as its anchor) in a JSON object; later calls take it from
    there, ignore ``seed`` and sizes, and add one sales file per open day. An earlier ``end`` adds nothing.

    Raises:
        LandingError: the sizes are too small, or the JSON object is not what an earlier import wrote.
        ServiceUnavailableError: S3 does not answer; a second call goes on from there.
    """
    key = state_key(landing)
    kept = store.find_json(key)
    if kept is None:
        spec = DemoSpec(anchor=end, seed=seed, skus=skus, stores=stores, days=days)
        store.put_json(key, spec.to_json())
    else:
        spec = DemoSpec.from_json(kept, store.uri(key))
    present = {item.key for item in store.list(f"{landing.prefix}/")}
    drops = list_drops(simulate(spec, max(end, spec.anchor)))
    new = [drop for drop in drops if landing_key(landing, drop.folder, drop.name) not in present]
    return upload(store, landing, new, progress) + LandSummary(unchanged=len(drops) - len(new))
