"""Rows of a drop that do not go into the history: who, why, and the verdict when they are too many.

What does not belong here: the rules themselves (``sales.py``, ``prices.py``).
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from include.skufleet.errors import DropError
from include.skufleet.lake.tables import RawRows

MAX_MALFORMED_SHARE = 0.5
SCHEMA = pa.schema([("row", pa.int64()), ("text", pa.string()), ("reason", pa.string()), ("detail", pa.string())])

REASONS = {
    "identical": "the same in every column as an earlier row of the drop",
    "repeated": "a later row of the drop is for the same SKU, store and date",
    "returns_exceed_sales": "more returned than sold that day: the day counts as zero, the excess is recorded",
    "return": "a return, left out by the catalogue's rule",
    "units_negative": "negative units, refused by the catalogue's rule",
    "units_unreadable": "units that are no number",
    "units_infinite": "infinite units",
    "date_unreadable": "a date that cannot be read",
    "date_future": "a date in the future",
    "date_implausible": "a date before there were tills",
    "sku_missing": "no SKU",
    "sku_pattern": "a code that is no product",
    "store_missing": "no store",
    "price_unreadable": "a price that is no number",
    "price_not_positive": "a price that is not above zero",
    "flag_unreadable": "a flag of the calendar that is neither 0 nor 1",
    "fields": "too few or too many fields",
}
"""What the reasons mean, in words for people; the row's own detail says more."""

Mask = npt.NDArray[np.bool_]


def explain_reason(reason: str) -> str:
    """A reason in words; those of price files (``prices.<reason>``) say so."""
    kind, _, name = reason.rpartition(".")
    words = REASONS.get(name, name.replace("_", " "))
    return f"{words} (in a price file)" if kind else words


@dataclass(frozen=True)
class CleanDrop:
    """What one drop gives: what goes on, and what does not.

    Attributes:
        rows: Arrow table ``sku, store`` (dictionary-encoded text), ``date`` (date32), for sales ``units`` and for all
            ``price`` (float64; null where unknown or not above zero); one row per SKU, store and date.
        set_aside: Arrow table ``row, text, reason, detail``.
    """

    rows: Any
    set_aside: Any


class SetAside:
    """Collects the rows of one drop that are set aside. The first reason of a row counts."""

    def __init__(self, raw: RawRows) -> None:
        self._raw = raw
        self._codes = np.zeros(raw.table.num_rows, dtype=np.int16)
        self._reasons: list[tuple[str, str, str | None]] = [("", "", None)]
        self._notes: list[tuple[int, str, str]] = []

    @property
    def kept(self) -> Mask:
        """The rows without a reason so far, bool (rows,)."""
        return np.asarray(self._codes == 0, dtype=np.bool_)

    def mark(self, rows: Mask, reason: str, detail: str, column: str | None = None) -> None:
        """Set rows aside. ``{value}`` in ``detail`` becomes the row's cell of ``column``."""
        rows = rows & self.kept
        if rows.any():
            self._reasons.append((reason, detail, column))
            self._codes[rows] = len(self._reasons) - 1

    def note(self, index: int, reason: str, detail: str) -> None:
        """Record something about a row that stays."""
        self._notes.append((index, reason, detail))

    def check_share(self, key: str) -> None:
        """Refuse a drop of which more than half cannot be read: then the settings or the file are wrong, not the rows.

        Raises:
            DropError: with the most frequent reason, an example, and what to look at.
        """
        marked = self._codes[self._codes > 0]
        bad, rows = len(marked) + len(self._raw.broken), len(self._codes) + len(self._raw.broken)
        if bad <= MAX_MALFORMED_SHARE * rows:
            return
        if len(self._raw.broken) > len(marked):
            row = self._raw.broken[0]
            example = f"row {row.number}: {row.detail}: {row.text[:80]!r}"
        else:
            code = np.bincount(marked).argmax()
            index = int(np.flatnonzero(self._codes == code)[0])
            example = f"row {self._raw.numbers[index]}: {self._explain([index])[0]}"
        raise DropError(
            f"{key}: {bad} of {rows} rows cannot be read, for example {example}; check `delimiter`, `decimal`, "
            "`date_format`, `encoding` and `columns` in the catalogue file, or deliver the file again"
        )

    def to_table(self) -> Any:
        """The rows set aside as ``row, text, reason, detail``, in the order of the file."""
        marked = np.flatnonzero(self._codes)
        indices = np.concatenate([marked, np.array([note[0] for note in self._notes], dtype=marked.dtype)])
        reasons = [self._reasons[code][0] for code in self._codes[marked]] + [note[1] for note in self._notes]
        details = self._explain(marked.tolist()) + [note[2] for note in self._notes]
        broken = self._raw.broken
        table = pa.table(
            {
                "row": [*self._raw.numbers[indices].tolist(), *(row.number for row in broken)],
                "text": [*self._show(indices), *(row.text for row in broken)],
                "reason": [*reasons, *("fields" for _ in broken)],
                "detail": [*details, *(row.detail for row in broken)],
            },
            schema=SCHEMA,
        )
        return table.sort_by("row")

    def _explain(self, indices: Sequence[int]) -> list[str]:
        """The sentences of marked rows."""
        details = [""] * len(indices)
        codes = self._codes[list(indices)]
        for code in np.unique(codes):
            _, detail, column = self._reasons[code]
            places = np.flatnonzero(codes == code)
            if column is None:
                values: list[Any] = [None] * len(places)
            else:
                values = self._raw.table.column(column).take(pa.array(np.asarray(indices)[places])).to_pylist()
            for place, value in zip(places, values, strict=True):
                details[place] = detail.replace("{value}", repr(value)[:80])
        return details

    def _show(self, indices: npt.NDArray[np.int64]) -> list[str]:
        """Rows as lines of text, cells joined as in the file."""
        columns = [column.to_pylist() for column in self._raw.table.take(pa.array(indices)).columns]
        lines = []
        for cells in zip(*columns, strict=True):
            line = io.StringIO()
            csv.writer(line, delimiter=self._raw.delimiter, lineterminator="").writerow(cells)
            lines.append(line.getvalue())
        return lines


def count_reasons(table: Any) -> dict[str, int]:
    """How many rows each reason set aside, by name."""
    return dict(sorted(Counter(table.column("reason").to_pylist()).items()))
