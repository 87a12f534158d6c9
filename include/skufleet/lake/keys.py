"""Where things lie in the bucket. The landing's folders are the catalogue file's; everything else is named here."""

from __future__ import annotations


def table_key(catalogue: str, kind: str) -> str:
    """The Delta table of one kind of feed: ``history`` or ``prices``."""
    return f"lake/{catalogue}/{kind}"


def index_key(catalogue: str, version: int) -> str:
    """The series index of one version of the history."""
    return f"lake/{catalogue}/index/{version}.parquet"


def dates_key(catalogue: str, version: int) -> str:
    """The dates on which anything was sold, of one version of the history."""
    return f"lake/{catalogue}/index/{version}.dates.parquet"


def prices_index_key(catalogue: str, version: int) -> str:
    """The series index of one version of the price table."""
    return f"lake/{catalogue}/index/prices-{version}.parquet"


def known_drops_key(catalogue: str, kind: str, version: int) -> str:
    """The ids of the drops that are in one version of a table; only a short cut, the table itself decides."""
    return f"lake/{catalogue}/index/{kind}-{version}.drops.json"


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
