"""What goes wrong between the tills and the landing: rows lost, doubled, garbled, absurd.

Each file gets its dirt from random numbers of its own first day, so a file is the same in every import.
"""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import pandas as pd

SALES_COLUMNS = ("day", "store", "article", "sold")

_LOST = 0.0015
_RETURNED = 0.004
_DOUBLED = 0.0006
_CONTRADICTED = 0.0004
_ABSURD = 0.00003
_GARBLED = 0.0004
_BROKEN_SCANNER = 0.35

_GARBLES = ("no number", "no field", "no such date", "other date format", "far future", "nothing", "not finite")


def soil_rows(rows: pd.DataFrame, broken: Any, rng: np.random.Generator) -> pd.DataFrame:
    """Lose, double and distort some rows of a sales file.

    Args:
        rows: ``day, store, article, sold`` (float) as the tills counted.
        broken: whether each row is of a SKU with a broken scanner, shape (rows,).
        rng: the file's own random numbers.

    Returns:
        The rows with some lost, a few idle days turned into returns (negative), a few units absurd, some rows twice,
        and some preceded by a row that says otherwise (the later row is the right one).
    """
    n = len(rows)
    chance = rng.random((4, n))
    rows = rows.copy()
    idle = rows["sold"].to_numpy() == 0
    sold = np.where(idle & (chance[0] < _RETURNED), -rng.integers(1, 4, n), rows["sold"])
    sold = np.where(chance[1] < _ABSURD, rng.choice((9_999_999.0, -40_000.0), n), sold)
    rows["sold"] = np.where(broken & (chance[2] < _BROKEN_SCANNER), rng.integers(40_000, 90_000, n), sold).astype(float)
    doubled = chance[3] < _DOUBLED
    contradicted = (chance[3] >= _DOUBLED) & (chance[3] < _DOUBLED + _CONTRADICTED)
    lost = (chance[3] >= 0.5) & (chance[3] < 0.5 + _LOST)
    wrong = rows[contradicted].copy()
    wrong["sold"] = wrong["sold"] + rng.integers(1, 6, len(wrong))
    soiled: pd.DataFrame = pd.concat([wrong, rows[~lost], rows[doubled]], ignore_index=True)
    return soiled


def write_csv(rows: pd.DataFrame, rng: np.random.Generator, *, every_kind: bool = False) -> bytes:
    """A sales file as the tills' export writes it: CSV, some lines garbled.

    Args:
        rows: ``day, store, article, sold`` (whole numbers).
        rng: the file's own random numbers.
        every_kind: garble at least one line in each way, and add one SKU that nobody knows.
    """
    days = np.datetime_as_string(rows["day"].to_numpy().astype("datetime64[D]"))
    units = rows["sold"].astype("int64").astype(str)
    lines = [list(line) for line in zip(days, rows["store"], rows["article"], units, strict=True)]
    hit = np.flatnonzero(rng.random(len(lines)) < _GARBLED)
    kinds = rng.integers(0, len(_GARBLES), len(hit))
    if every_kind and len(lines) >= 2 * len(_GARBLES):
        hit = rng.choice(len(lines), len(_GARBLES), replace=False)
        kinds = np.arange(len(_GARBLES))
    for index, kind in zip(hit, kinds, strict=True):
        lines[index] = _garble(lines[index], _GARBLES[kind])
    if every_kind and lines:
        lines.append([days[0], rows["store"].iloc[0], "TMP-NEW-ITEM", "3"])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SALES_COLUMNS)
    writer.writerows(lines)
    return text.getvalue().encode()


def _garble(line: list[str], kind: str) -> list[str]:
    """One line made unusable (``no field`` leaves it one short)."""
    day, store, article, sold = line
    year, month, dom = day.split("-")
    return {
        "no number": [day, store, article, f"{sold} pcs?"],
        "no field": [day, store, article],
        "no such date": [f"{year}-02-30", store, article, sold],
        "other date format": [f"{dom}.{month}.{year}", store, article, sold],
        "far future": [f"{int(year) + 30}-{month}-01", store, article, sold],
        "nothing": [day, store, article, ""],
        "not finite": [day, store, article, "inf"],
    }[kind]
