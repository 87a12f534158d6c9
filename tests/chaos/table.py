"""The table in docs/reliability.md, from what several runs of the suite printed.

.venv/bin/python -m tests.chaos.table first.jsonl second.jsonl third.jsonl
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.faults import FAULTS

HEADER = "| fault | recovered | seconds to recover | SKUs redone, at the most | tries |\n|---|--:|--:|--:|--:|"


def make_table(lines: list[dict[str, Any]]) -> str:
    """A row per fault: the middle one of its runs, and the least and the most where they differ."""
    rows = [HEADER]
    for name, fault in FAULTS.items():
        held = [line for line in lines if line.get("fault") == name and line["state"] != "skipped"]
        if not held:
            continue
        what = (fault.__doc__ or "").splitlines()[0].rstrip(".")
        recovered = f"{sum(line['recovered'] and not line['broken'] for line in held)} of {len(held)}"
        spans = [_span([line[key] for line in held]) for key in ("seconds_to_recover", "skus_redone", "tries")]
        rows.append(f"| {what} | {recovered} | {' | '.join(spans)} |")
    return "\n".join(rows)


def _span(values: list[float]) -> str:
    least, middle, most = (round(value) for value in (min(values), median(values), max(values)))
    return str(middle) if least == most else f"{middle} ({least} to {most})"


def _read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines() if line.startswith("{")]


if __name__ == "__main__":
    print(make_table([line for path in sys.argv[1:] for line in _read(path)]))  # noqa: T201 -- the result
