"""A retailer's own files, landed as they are: one object per file, not a byte changed."""

from __future__ import annotations

from functools import partial

from include.skufleet.config import Landing
from include.skufleet.errors import LandingError
from include.skufleet.sources.archive import Archive
from include.skufleet.sources.upload import FOLDERS, Content, Drop, Folder

_ENDINGS = (".csv", ".csv.gz", ".parquet")


def list_file_drops(archive: Archive, landing: Landing) -> tuple[list[Drop], tuple[str, ...]]:
    """Say where each file of a source belongs.

    Files under ``sales/``, ``attributes/``, ``calendar/`` and ``prices/`` go to the catalogue's folder of that kind,
    all others to its sales.

    Returns:
        The drops, folder by folder in the order of their names (a correction is named after what it corrects); and the
        names of the files that are left out: of a kind that the catalogue does not describe, or with an ending that
        it cannot read.

    Raises:
        LandingError: no file is left.
    """
    drops: list[Drop] = []
    left_out = []
    for name in archive.names:
        folder, rest = _place(name)
        table = getattr(landing, folder)
        if table is None or (table.format == "auto" and not rest.lower().endswith(_ENDINGS)):
            left_out.append(name)
        else:
            drops.append(Drop(folder, rest, partial(_read, archive, name)))
    if not drops:
        held = ", ".join(archive.names[:5]) or "nothing"
        raise LandingError(
            f"{archive.source}: no file that this catalogue reads: expected names that end in {', '.join(_ENDINGS)}, "
            f"in sub-folders {', '.join(FOLDERS)} or loose (sales); got {held}"
        )
    drops.sort(key=lambda drop: (FOLDERS.index(drop.folder), drop.name))
    return drops, tuple(left_out)


def _place(name: str) -> tuple[Folder, str]:
    """The kind of folder a file belongs to, and its name in there."""
    top, _, rest = name.partition("/")
    for folder in FOLDERS:
        if rest and top == folder:
            return folder, rest
    return "sales", name


def _read(archive: Archive, name: str) -> Content:
    return Content(archive.read(name))
