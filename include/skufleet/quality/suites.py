"""The three suites, as data: what is expected of the columns, of each row, and of each SKU.

The limits of a catalogue come in as suite parameters, so that one validation definition per process serves them all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from include.skufleet.config import Validation

SuiteName = Literal["schema", "rows", "skus"]


def _limit(name: str) -> dict[str, str]:
    """Refer to a limit that is given when the suite runs."""
    return {"$PARAMETER": name}


@dataclass(frozen=True)
class Expectation:
    """One expectation: its short name, Great Expectations' class, the arguments, and its meaning in words."""

    name: str
    expects: str
    meaning: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The name that Great Expectations gives to the class in its JSON."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.expects).lower()


def _not_null(column: str) -> Expectation:
    return Expectation(f"{column}_present", "ExpectColumnValuesToNotBeNull", f"{column} is given", {"column": column})


SUITES: Mapping[SuiteName, tuple[Expectation, ...]] = {
    "schema": (
        Expectation(
            "schema",
            "ExpectColumnPairValuesToBeEqual",
            "sku and store are text, date is a date, units and price are numbers",
            {"column_A": "found", "column_B": "expected"},
        ),
    ),
    "rows": (
        *(_not_null(column) for column in ("sku", "store", "date", "units")),
        Expectation(
            "units_in_range",
            "ExpectColumnValuesToBeBetween",
            "units are finite and between 0 and {max_units:.10g}",
            {"column": "units", "min_value": 0, "max_value": _limit("max_units")},
        ),
        Expectation(
            "price_above_zero",
            "ExpectColumnValuesToBeBetween",
            "price is missing, or finite and above 0",
            {"column": "price", "min_value": 0, "strict_min": True, "max_value": sys.float_info.max},
        ),
        Expectation(
            "not_after_as_of",
            "ExpectColumnValuesToBeBetween",
            "date is not after as_of",
            {"column": "days_after_as_of", "max_value": 0},
        ),
        Expectation(
            "one_row_per_day",
            "ExpectCompoundColumnsToBeUnique",
            "at most one row per SKU, store and date",
            {"column_list": ["sku", "store", "date"], "ignore_row_if": "any_value_is_missing"},
        ),
    ),
    "skus": (
        Expectation(
            "sku_has_rows",
            "ExpectColumnValuesToBeBetween",
            "a planned SKU has at least one row",
            {"column": "rows", "min_value": 1},
        ),
        Expectation(
            "few_bad_rows",
            "ExpectColumnValuesToBeBetween",
            "at most {max_bad_share:.0%} of a SKU's rows are set aside",
            {"column": "bad_share", "max_value": _limit("max_bad_share")},
        ),
        Expectation(
            "still_sold",
            "ExpectColumnValuesToBeBetween",
            "the last sale above zero is at most {inactive_after} periods before the newest data",
            {"column": "periods_without_sale", "max_value": _limit("inactive_after")},
        ),
        Expectation(
            "enough_history",
            "ExpectColumnValuesToBeBetween",
            "at least {min_history} periods with a known value",
            {"column": "periods", "min_value": _limit("min_history")},
        ),
        Expectation(
            "fresh",
            "ExpectColumnValuesToBeBetween",
            "the last row is at most {max_staleness} periods before the newest data",
            {"column": "periods_behind", "max_value": _limit("max_staleness")},
        ),
    ),
}


def state_meaning(expectation: Expectation, limits: Validation) -> str:
    """What is expected, in words, with a catalogue's limits filled in."""
    return expectation.meaning.format(**limits.model_dump())


def export_suites(limits: Validation) -> list[dict[str, Any]]:
    """The suites with a catalogue's limits filled in, as JSON: the form that Great Expectations stores its suites in.

    Each expectation's ``meta`` holds our short ``name`` for it and its ``meaning`` in words.
    """
    values = limits.model_dump()

    def fill(value: Any) -> Any:
        return values[value["$PARAMETER"]] if isinstance(value, dict) else value

    return [
        {
            "name": name,
            "expectations": [
                {
                    "type": item.type,
                    "kwargs": {key: fill(value) for key, value in item.arguments.items()},
                    "meta": {"name": item.name, "meaning": state_meaning(item, limits)},
                }
                for item in suite
            ],
        }
        for name, suite in SUITES.items()
    ]
