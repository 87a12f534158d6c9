"""Faults of deliveries: late, double, cut off, replaced while they are read, from a clock that is ahead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.chaos.drill import Drill, Fault, day_after
from tests.integration.waiting import wait_for


def ingest_killed_with_a_delivery_in_hand(drill: Drill) -> None:
    """The process that brings a new day into the history is killed."""
    day_after(drill.arena)
    drill.start()
    drill.wait_for_process("ingest")
    drill.sleep(0, 0.3)
    drill.kill_task("ingest")


def s3_breaks_off_while_a_delivery_is_ingested(drill: Drill) -> None:
    """Two thirds of the requests of an ingestion are broken off."""
    from tests.chaos.proxy import Trouble

    day_after(drill.arena)
    proxy = drill.arena.proxy
    proxy.make(Trouble(share=0.66, reset=True))
    drill.start()
    wait_for(lambda: proxy.struck > 10, "a dozen broken requests", pause=0.05)
    proxy.calm()
    drill.note(f"{proxy.struck} requests were broken off")


def delivery_replaced_while_it_is_read(drill: Drill) -> None:
    """A drop is replaced by another between its listing and its reading."""
    shop, proxy = drill.arena.shop, drill.arena.proxy
    day = day_after(drill.arena)
    key = next(item.key for item in shop.store.list(f"{shop.catalogue.landing.prefix}/sales/{day}.csv"))
    content, replaced = shop.store.get(key), []

    def replace(path: str) -> None:
        if path.endswith(key) and not replaced:
            replaced.append(path)
            shop.store.put(key, content + b"\n" if not key.endswith(".gz") else content + b"")
            drill.note(f"replaced {key}")

    proxy.before_read = replace
    try:
        drill.start()
        wait_for(lambda: replaced, "the reading of the drop", pause=0.05)
    finally:
        proxy.before_read = None


def delivery_cut_in_half(drill: Drill) -> None:
    """A drop arrives as half a file, is rejected, and arrives again whole while the run goes on."""
    shop = drill.arena.shop
    prefix = f"{shop.catalogue.landing.prefix}/sales"
    whole = shop.store.get(next(item.key for item in shop.store.list(f"{prefix}/") if item.key.endswith(".parquet")))
    key = f"{prefix}/zz_cut_{drill.chance.randint(0, 10**6)}.parquet"
    shop.store.put(key, whole[: len(whole) // 2])
    run = drill.start()
    drill.note(f"delivered half of {key}")
    drill.wait_for_state("plan", "success")
    assert any(key in text for text in shop.store.get_json(run.plan_key)["ingested"]["rejections"]), "not rejected"
    shop.store.put(key, whole)
    drill.note("delivered all of it")
    drill.finish()
    drill.start()


def delivery_made_twice(drill: Drill) -> None:
    """The same day is delivered a second time under another name, and once more under its own."""
    shop = drill.arena.shop
    day = day_after(drill.arena)
    stored = next(iter(shop.store.list(f"{shop.catalogue.landing.prefix}/sales/{day}.csv")))
    content = shop.store.get(stored.key)
    shop.store.put(stored.key.replace(f"{day}.csv", f"{day}_again.csv"), content)
    shop.store.put(stored.key, content)
    drill.start()
    drill.note(f"delivered {day} twice")


def delivery_from_a_clock_that_is_ahead(drill: Drill) -> None:
    """By the server's clock a drop was delivered tomorrow; a run later the clock is right again."""
    shop, proxy = drill.arena.shop, drill.arena.proxy
    day = day_after(drill.arena)
    proxy.clock_of, proxy.clock_ahead = str(day), timedelta(hours=drill.chance.randint(20, 50))
    try:
        drill.start()
        drill.note(f"the drop of {day} comes from {proxy.clock_ahead} ahead")
        drill.finish()
    finally:
        proxy.clock_ahead = timedelta()
    drill.start()
    drill.finish()
    plan = shop.store.get_json(drill.run.plan_key) if drill.run else {}
    assert plan["ingested"]["last_date"] == day.isoformat(), "the day is not in the history"


def delivery_dated_in_the_future(drill: Drill) -> None:
    """A drop holds rows of days that are still to come."""
    shop = drill.arena.shop
    prefix = f"{shop.catalogue.landing.prefix}/sales"
    known = next(item.key for item in shop.store.list(f"{prefix}/") if item.key.endswith(".parquet"))
    frame = shop.store.get_frame(known).tail(50)
    later = datetime.now(UTC).date() + timedelta(days=drill.chance.randint(2, 400))
    shop.store.put(f"{prefix}/zz_future_{later}.csv", frame.assign(day=later).to_csv(index=False).encode())
    drill.start()
    drill.note(f"delivered rows of {later}")


FAULTS: list[Fault] = [
    ingest_killed_with_a_delivery_in_hand,
    s3_breaks_off_while_a_delivery_is_ingested,
    delivery_replaced_while_it_is_read,
    delivery_cut_in_half,
    delivery_made_twice,
    delivery_from_a_clock_that_is_ahead,
    delivery_dated_in_the_future,
]
