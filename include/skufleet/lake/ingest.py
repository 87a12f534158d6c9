"""Ingest a catalogue's landing: new sales and price drops into their tables, reference tables normalised.

What does not belong here: how one folder becomes one table (``feed.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from include.skufleet.config import Catalogue
from include.skufleet.errors import LandingError
from include.skufleet.lake.delta import read_backlog
from include.skufleet.lake.drops import settings_digest
from include.skufleet.lake.feed import Feed, FeedResult, ingest_feed
from include.skufleet.lake.history import HISTORY_SCHEMA, PRICES_SCHEMA
from include.skufleet.lake.index import (
    Index,
    find_index,
    find_price_index,
    merge_indexes,
    rebuild_index,
    write_index,
    write_price_index,
)
from include.skufleet.lake.keys import dates_key, index_key, prices_index_key
from include.skufleet.lake.prices import clean_prices
from include.skufleet.lake.reference import find_reference
from include.skufleet.lake.sales import clean_sales
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lake.tables import read_rows
from include.skufleet.lake.vacuum import remove_indexes

MAX_REJECTIONS = 10


@dataclass(frozen=True)
class IngestSummary:
    """What one ingestion did, and what a run trains on.

    Attributes:
        table_version: version of the history after it.
        drops_ingested: sales and price drops added.
        drops_rejected: objects that could not be read.
        drops_left: drops that kept changing while they were read; the next ingestion takes them.
        rows: rows added to the history.
        set_aside: rows of sales and price drops set aside, by reason (those of prices begin with ``prices.``).
        rejections: the first sentences that say why objects were rejected.
        attributes_key: the normalised attributes; ``None`` where the catalogue has none.
        calendar_key: the normalised calendar; ``None`` where the catalogue has none.
        prices_version: version of the price table; ``None`` where the catalogue has none.
        prices_index_key: its series index; ``None`` likewise.
        index_key: the series index of ``table_version``.
        dates_key: the dates on which anything was sold, of ``table_version``.
        first_date: the first date of the whole history.
        last_date: the last date of the whole history.
        deliveries: ``history`` and ``prices`` -> ``last``, the ``seq`` of the last delivery that has a row in the
            table, and ``backlog``, that of the last one from before the catalogue went live.
    """

    table_version: int
    drops_ingested: int
    drops_rejected: int
    drops_left: int
    rows: int
    set_aside: Mapping[str, int]
    rejections: tuple[str, ...]
    attributes_key: str | None
    calendar_key: str | None
    prices_version: int | None
    prices_index_key: str | None
    index_key: str
    dates_key: str
    first_date: date
    last_date: date
    deliveries: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """Small JSON: dates as ISO 8601."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {
            "set_aside": dict(self.set_aside),
            "rejections": list(self.rejections),
            "first_date": self.first_date.isoformat(),
            "last_date": self.last_date.isoformat(),
            "deliveries": {kind: dict(moments) for kind, moments in self.deliveries.items()},
        }


def ingest(store: ObjectStore, catalogue: Catalogue, today: date) -> IngestSummary:
    """Bring every drop that is not yet in the history into it, whole and once, in the order of delivery.

    A drop that cannot be read is rejected with a sentence in the ledger, and the others go on; it is read again when it
    is delivered anew or the catalogue file's settings of its folder change. Rows dated after ``today`` are set aside.

    Raises:
        LandingError: there is nothing to train on: no sales drop, or none with a usable row, and no history.
        ConfigError: the history has another number of buckets than the catalogue file says.
        ServiceUnavailableError: S3 does not answer; what was committed stays, a second call goes on from there.
    """
    sales = ingest_feed(store, _sales_feed(catalogue, today))
    if sales.table is None:
        raise LandingError(_nothing(store, catalogue, sales))
    index = _update_index(store, catalogue, sales, find_index, write_index)
    if index.series.empty:
        raise LandingError(_nothing(store, catalogue, sales))
    prices = None if catalogue.landing.prices is None else ingest_feed(store, _prices_feed(catalogue))
    if prices is not None and prices.table is None:
        raise LandingError(_no_prices(store, catalogue, prices))
    indexes = {"history": (sales, index)}
    if prices is not None:
        indexes["prices"] = (prices, _update_index(store, catalogue, prices, find_price_index, write_price_index))
    attributes, attribute_rejections = find_reference(store, catalogue, "attributes")
    calendar, calendar_rejections = find_reference(store, catalogue, "calendar")
    feeds = [sales, *([prices] if prices is not None else [])]
    rejections = [*(text for feed in feeds for text in feed.rejections), *attribute_rejections, *calendar_rejections]
    if any(feed.ingested for feed in feeds):
        remove_indexes(store, catalogue.name, catalogue.fleet.keep_versions)
    set_aside = dict(sales.set_aside)
    if prices is not None:
        set_aside |= {f"prices.{reason}": count for reason, count in prices.set_aside.items()}
    return IngestSummary(
        table_version=sales.version,
        drops_ingested=sum(feed.ingested for feed in feeds),
        drops_rejected=len(rejections),
        drops_left=sum(feed.left for feed in feeds),
        rows=sales.rows,
        set_aside=set_aside,
        rejections=tuple(rejections[:MAX_REJECTIONS]),
        attributes_key=attributes,
        calendar_key=calendar,
        prices_version=prices.version if prices is not None else None,
        prices_index_key=prices_index_key(catalogue.name, prices.version) if prices is not None else None,
        index_key=index_key(catalogue.name, sales.version),
        dates_key=dates_key(catalogue.name, sales.version),
        first_date=index.dates["date"].min().date(),
        last_date=index.dates["date"].max().date(),
        deliveries={kind: _describe_deliveries(feed, own) for kind, (feed, own) in indexes.items()},
    )


def _describe_deliveries(feed: FeedResult, index: Index) -> dict[str, int]:
    last = index.series["delivered"].max()
    return {"last": 0 if index.series.empty else int(last), "backlog": read_backlog(feed.table)}


def _sales_feed(catalogue: Catalogue, today: date) -> Feed:
    sales = catalogue.landing.sales
    names = sales.columns
    required = [name for name in (names.sku, names.date, names.units, names.store) if name is not None]
    optional = [names.price] if names.price is not None else []
    return Feed(
        catalogue=catalogue.name,
        kind="history",
        folder=f"{catalogue.landing.prefix}/{sales.path}",
        schema=HISTORY_SCHEMA,
        buckets=catalogue.fleet.buckets,
        keep_versions=catalogue.fleet.keep_versions,
        settings=settings_digest(sales),
        clean=lambda key, data: clean_sales(key, read_rows(key, data, sales, required, optional), sales, today),
    )


def _prices_feed(catalogue: Catalogue) -> Feed:
    prices = catalogue.landing.prices
    assert prices is not None, "only asked for where the catalogue has prices"  # noqa: S101 - for the type checker
    names = prices.columns
    required = [name for name in (names.sku, names.date, names.price, names.store) if name is not None]
    return Feed(
        catalogue=catalogue.name,
        kind="prices",
        folder=f"{catalogue.landing.prefix}/{prices.path}",
        schema=PRICES_SCHEMA,
        buckets=catalogue.fleet.buckets,
        keep_versions=catalogue.fleet.keep_versions,
        settings=settings_digest(prices),
        clean=lambda key, data: clean_prices(key, read_rows(key, data, prices, required), prices),
    )


def _update_index(
    store: ObjectStore,
    catalogue: Catalogue,
    feed: FeedResult,
    find: Callable[[ObjectStore, str, int], Index | None],
    write: Callable[[ObjectStore, str, int, Index], None],
) -> Index:
    """The index of a table's version after the ingestion: from the one before and what was added, or made anew."""
    stored = find(store, catalogue.name, feed.version)
    if stored is not None:
        return stored
    before = merge_indexes([]) if feed.base <= 0 else find(store, catalogue.name, feed.base)
    index = _bring_up_to_date(store, catalogue, feed, before)
    write(store, catalogue.name, feed.version, index)
    return index


def _bring_up_to_date(store: ObjectStore, catalogue: Catalogue, feed: FeedResult, before: Index | None) -> Index:
    if before is not None and feed.added is not None:
        return merge_indexes([before, feed.added])
    return rebuild_index(store, feed.table, catalogue.fleet.buckets)


def _nothing(store: ObjectStore, catalogue: Catalogue, sales: FeedResult) -> str:
    """Why there is no history, and what to do about it."""
    where = store.uri(f"{catalogue.landing.prefix}/{catalogue.landing.sales.path}")
    command = f"make import CATALOGUE={catalogue.name} FROM=<folder or zip>"
    if sales.listed == 0:
        return (
            f"{where}: bucket {store.bucket!r} holds no sales drop under this prefix; expected .csv, .csv.gz or "
            f".parquet objects with the columns of landing.sales; land them with `{command}`"
        )
    if sales.rejections:
        return f"{where}: none of {sales.listed} drops can be read; the first: {sales.rejections[0]}"
    if sales.table is not None or sales.left:
        return f"{where}: {sales.listed} drops, and not one usable row in them; see the ledger and `{command}`"
    return (
        f"{where}: all {sales.listed} drops were rejected by earlier ingestions under the same settings; the reasons "
        f"are in {store.uri(f'lake/{catalogue.name}/ledger/')}; correct landing.sales or deliver them again"
    )


def _no_prices(store: ObjectStore, catalogue: Catalogue, prices: FeedResult) -> str:
    where = store.uri(_prices_feed(catalogue).folder)
    if prices.rejections:
        return f"{where}: none of {prices.listed} price files can be read; the first: {prices.rejections[0]}"
    return (
        f"{where}: holds no readable price file, which landing.prices of {catalogue.name}.yaml asks for; land one, or "
        "take landing.prices out"
    )
