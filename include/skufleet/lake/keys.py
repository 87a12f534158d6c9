"""Where things lie in the bucket. The landing's folders are the catalogue file's; everything else is named here."""

from __future__ import annotations


def table_key(catalogue: str, kind: str) -> str:
    """The Delta table of one kind of feed: ``history`` or ``prices``."""
    return f"lake/{catalogue}/{kind}"


def index_folder(catalogue: str) -> str:
    """The indexes of all versions."""
    return f"lake/{catalogue}/index/"


def index_key(catalogue: str, version: int) -> str:
    """The series index of one version of the history."""
    return f"{index_folder(catalogue)}{version}.parquet"


def dates_key(catalogue: str, version: int) -> str:
    """The dates on which anything was sold, of one version of the history."""
    return f"{index_folder(catalogue)}{version}.dates.parquet"


def prices_index_key(catalogue: str, version: int) -> str:
    """The series index of one version of the price table."""
    return f"{index_folder(catalogue)}prices-{version}.parquet"


def known_drops_key(catalogue: str, kind: str) -> str:
    """Which drops of the landing need not be read; only a short cut, table and ledger decide."""
    return f"lake/{catalogue}/{kind}.drops.json"


def ledger_folder(catalogue: str) -> str:
    """The ledger: one JSON record per drop."""
    return f"lake/{catalogue}/ledger/"


def ledger_key(catalogue: str, drop_id: str) -> str:
    """The ledger's record of one drop."""
    return f"{ledger_folder(catalogue)}{drop_id}.json"


def quarantine_key(catalogue: str, drop_id: str) -> str:
    """The rows of one drop that were set aside at ingestion."""
    return f"lake/{catalogue}/quarantine/drops/{drop_id}.parquet"


def reference_key(catalogue: str, digest: str, kind: str) -> str:
    """A normalised reference table: ``attributes`` or ``calendar``."""
    return f"lake/{catalogue}/reference/{digest}/{kind}.parquet"


def reference_pointer_key(catalogue: str, kind: str) -> str:
    """Which normalised reference table was the last good one."""
    return f"lake/{catalogue}/reference/{kind}.json"
