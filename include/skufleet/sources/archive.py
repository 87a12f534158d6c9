"""A source of files to import: a folder, a zip or a single file, looked at in one way."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from include.skufleet.errors import LandingError
from include.skufleet.sources.upload import FOLDERS

_UNREADABLE = (OSError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
_ZIP_START = b"PK\x03\x04"


@dataclass(frozen=True)
class Archive:
    """Files by their path inside the source, sorted, with ``/`` between folders; hidden files are not listed.

    A zip inside a folder is a file like any other. A folder that wraps everything else is left out of the paths.
    """

    source: Path
    names: tuple[str, ...]
    wrapper: str = ""

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open one file for reading.

        Raises:
            LandingError: it cannot be read, or what is read from it is corrupt.
        """
        try:
            if self.source.is_dir():
                with (self.source / f"{self.wrapper}{name}").open("rb") as stream:
                    yield stream
            elif is_zip(self.source):
                with zipfile.ZipFile(self.source) as packed, packed.open(f"{self.wrapper}{name}") as stream:
                    yield stream
            else:
                with self.source.open("rb") as stream:
                    yield stream
        except _UNREADABLE as error:
            raise LandingError(f"{self.source}: {name}: cannot be read: {error}; fetch the source again") from error

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            LandingError: it cannot be read.
        """
        with self.open(name) as stream:
            return stream.read()


def open_archive(source: Path) -> Archive:
    """Look at what a source holds.

    Raises:
        LandingError: there is no such file or folder, it may not be read, or it is a corrupt zip.
    """
    if not source.exists():
        raise LandingError(f"{source}: no such file or folder; check the path given as FROM")
    try:
        if source.is_dir():
            found = [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
        elif is_zip(source):
            with zipfile.ZipFile(source) as packed:
                found = [info.filename for info in packed.infolist() if not info.is_dir()]
        else:
            return Archive(source, (source.name,))
    except _UNREADABLE as error:
        raise LandingError(f"{source}: cannot be read: {error}; fetch the source again") from error
    names = sorted(name for name in found if not _is_hidden(name))
    wrapper = _wrapper(names)
    return Archive(source, tuple(name.removeprefix(wrapper) for name in names), wrapper)


def is_zip(path: Path) -> bool:
    """Whether a file is a zip, or says so by its name."""
    if path.suffix.lower() == ".zip":
        return True
    with path.open("rb") as stream:
        return stream.read(len(_ZIP_START)) == _ZIP_START


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _wrapper(names: list[str]) -> str:
    """The folder, with its ``/``, in which everything lies together with sub-folders or alone; else nothing.

    ``sales/``, ``attributes/``, ``calendar/`` and ``prices/`` mean something and are never taken for a wrapper.
    """
    tops = {name.split("/", 1)[0] if "/" in name else "" for name in names}
    top = tops.pop() if len(tops) == 1 else ""
    return f"{top}/" if top and top not in FOLDERS else ""
