"""Are the columns there, and of the right kind? A chunk with a wrong schema cannot be validated row by row."""

from __future__ import annotations

import pandas as pd
from pandas.api import types

from include.skufleet.config import Validation
from include.skufleet.errors import DataError
from include.skufleet.quality.engine import run_suite
from include.skufleet.quality.records import ExpectationResult

EXPECTED = {"sku": "text", "store": "text", "date": "date", "units": "number", "price": "number"}


def check_schema(history: pd.DataFrame, limits: Validation) -> tuple[ExpectationResult, ...]:
    """Check that the columns of ``EXPECTED`` are there, once each, and of the right kind.

    A column without a single value passes as any kind: an empty frame has no types to speak of.

    Raises:
        DataError: a column is missing, there twice, or of another kind; the message names them all.
    """
    found = {column: _name_kind(history, column, expected) for column, expected in EXPECTED.items()}
    frame = pd.DataFrame({"found": found, "expected": EXPECTED})
    frame.index.name = "column"
    outcome = run_suite("schema", frame, limits)
    if wrong := list(outcome.failing["schema"]):
        got = "; ".join(f"{column} is {found[column]}, expected {EXPECTED[column]}" for column in wrong)
        raise DataError(
            f"chunk history: wrong schema: {got}. Read it through the history table, which has fixed types."
        )
    return outcome.results


def _name_kind(history: pd.DataFrame, name: str, expected: str) -> str:
    """The kind of a column in words: ``text``, ``date``, ``number``, ``missing`` or what else it is."""
    count = list(history.columns).count(name)
    if count != 1:
        return "missing" if count == 0 else f"there {count} times"
    column = history[name]
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        column = pd.Series(column.cat.categories)
        dtype = column.dtype
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_numeric_dtype(dtype):
        return "number" if not types.is_complex_dtype(dtype) else str(dtype)
    if types.is_datetime64_dtype(dtype):
        return "date"
    if isinstance(dtype, pd.StringDtype):
        return "text"
    inferred = types.infer_dtype(column, skipna=True)
    return {"string": "text", "empty": expected}.get(inferred, f"{dtype} of {inferred}")
