"""The one way in: from a source on disk, or from the simulator, to a catalogue's landing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from include.skufleet.config import Catalogue
from include.skufleet.errors import LandingError
from include.skufleet.lake.store import ObjectStore
from include.skufleet.sources import m5
from include.skufleet.sources.archive import open_archive
from include.skufleet.sources.demo import dirt
from include.skufleet.sources.demo.land import land_demo
from include.skufleet.sources.files import list_file_drops
from include.skufleet.sources.upload import LandSummary, Progress, upload


def land(
    store: ObjectStore,
    catalogue: Catalogue,
    source: Path | None,
    *,
    stores: Sequence[str] = (),
    end: date | None = None,
    progress: Progress | None = None,
) -> LandSummary:
    """Write a source into a catalogue's landing; what is there unchanged is left alone.

    What the source looks like decides how: no source is the simulator, M5's files are turned into long tables, and any
    other file, folder or zip is landed as it is.

    Args:
        store: where the landing is.
        catalogue: whose landing it is.
        source: a file, a folder or a zip; ``None`` for the simulated chain.
        stores: only these stores (M5).
        end: last day of the simulated chain's deliveries; required without a source.
        progress: called after each object.

    Raises:
        LandingError: the source does not exist, is corrupt, holds nothing that the catalogue reads, or ``stores`` or
            ``end`` does not fit it.
        ServiceUnavailableError: S3 does not answer; a second call goes on from there.
    """
    if source is None:
        _check_columns(catalogue, dirt.SALES_COLUMNS, "the simulator (no FROM)")
        _check_no_stores(stores, "the simulator")
        if end is None:
            raise LandingError(f"{catalogue.name}: the simulator needs the last day to deliver (end), got none")
        return land_demo(store, catalogue.landing, end, progress=progress)
    archive = open_archive(source)
    if m5.looks_like_m5(archive):
        _check_columns(catalogue, m5.SALES_COLUMNS, f"the M5 importer (of {source})")
        return upload(store, catalogue.landing, m5.list_m5_drops(archive, stores), progress)
    _check_no_stores(stores, str(source))
    drops, left_out = list_file_drops(archive, catalogue.landing)
    return upload(store, catalogue.landing, drops, progress) + LandSummary(skipped=left_out)


def _check_columns(catalogue: Catalogue, written: Sequence[str], importer: str) -> None:
    """Refuse to fill a landing with tables that its catalogue cannot read."""
    read = {name for name in catalogue.landing.sales.columns.model_dump().values() if name is not None}
    if missing := sorted(read - set(written)):
        raise LandingError(
            f"{catalogue.name}: {importer} writes the sales columns {', '.join(written)}, but the catalogue file reads "
            f"{', '.join(missing)}; give the catalogue's own files as FROM, or use the catalogue made for this source"
        )


def _check_no_stores(stores: Sequence[str], importer: str) -> None:
    if stores:
        raise LandingError(f"STORES={','.join(stores)}: {importer} lands every store; STORES is for M5 only")
