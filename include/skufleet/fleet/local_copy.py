"""A copy of each report on this machine's disk, for the embedded stack; a report's home is S3."""

from __future__ import annotations

from pathlib import Path


def keep_local_copy(folder: Path | None, catalogue: str, name: str, html: bytes) -> Path | None:
    """Write a report below the stack's folder; ``None``, and nothing written, where there is no such folder."""
    if folder is None:
        return None
    path = folder / "reports" / catalogue / f"{name}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(html)
    return path
