"""Where a retailer's files land, and how their columns are called."""

from __future__ import annotations

import codecs
import re
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from include.skufleet.config.base import Folder, Model, Name, Prefix, Text


class TableFormat(Model):
    """How the objects of one landing folder are written.

    ``auto`` takes the format from the object's ending: ``.csv``, ``.csv.gz`` or ``.parquet``. The text settings
    (``encoding, delimiter, decimal, date_format``) are for CSV only. ``date_format`` is a strftime pattern; without
    it dates are read as ISO 8601, a time of day is cut off.
    """

    format: Literal["auto", "csv", "parquet"] = "auto"
    encoding: Text = "utf-8"
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    date_format: Text | None = None

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError as error:
            raise ValueError("not an encoding that Python knows, for example utf-8 or cp1252") from error
        return value

    @field_validator("date_format")
    @classmethod
    def _check_date_format(cls, value: str | None) -> str | None:
        """A pattern that cannot write a date and read it back says less than a date, or nothing at all."""
        if value is not None:
            day = datetime(2023, 11, 30)  # noqa: DTZ001  (a date; no zone is meant)
            try:
                read = datetime.strptime(day.strftime(value), value)  # noqa: DTZ007
            except ValueError:
                read = None
            if read != day:
                raise ValueError("expected a strftime pattern with year, month and day, for example %d.%m.%Y")
        return value

    @model_validator(mode="after")
    def _check_decimal(self) -> Self:
        if self.decimal == self.delimiter:
            raise ValueError(f"decimal and delimiter are both {self.decimal!r}; a number could not be told from two")
        return self


def _check_used_once(columns: Model) -> None:
    """Refuse columns of the retailer's that stand for two of ours."""
    names = [name for name in columns.model_dump().values() if name is not None]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} stands for more than one of our columns")


class SalesColumns(Model):
    """The names that the retailer's sales files give to our columns. ``store`` may be absent: see ``Sales.store``."""

    sku: Text
    date: Text
    units: Text
    store: Text | None = None
    price: Text | None = None

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        _check_used_once(self)
        return self


class Delivered(TableFormat):
    """Drops that add up to a table, and of which a run of the past sees what was known then.

    ``known_from``: since when a row counts as known. ``delivery``: since its drop was delivered; drops that lay there
    when the catalogue was ingested for the first time (the backlog) are taken as known in time. ``date``: whichever
    moment it was delivered, for archives that were landed at once and long after.
    """

    known_from: Literal["delivery", "date"] = "delivery"


class Sales(Delivered):
    """The sales drops: one object is one drop, delivered once, corrected by a later drop.

    Attributes:
        path: folder under the landing prefix.
        columns: the retailer's names of our columns.
        store: the store of every row where the files have no store column.
        repeated: what several rows of one SKU, store and date inside one drop mean. ``sum``: they are invoice lines and
            are added up. ``last``: they are daily totals and the last one counts, the others are set aside.
        identical: what rows that are the same in every column mean: ``keep`` them or ``drop`` all but one.
        returns: negative units. ``net`` them against the day's sales (a day below zero becomes zero, with the
            excess recorded), ``drop`` them, or ``reject`` them as bad rows.
        gaps: a day without a row between a series' first and last day is ``zero`` sales, or ``missing`` knowledge.
        sku_pattern: a regular expression that a SKU code must match in full; other rows are set aside.
    """

    path: Folder = "sales/"
    columns: SalesColumns
    store: Text | None = None
    repeated: Literal["sum", "last"] = "last"
    identical: Literal["keep", "drop"] = "drop"
    returns: Literal["net", "drop", "reject"] = "net"
    gaps: Literal["zero", "missing"] = "missing"
    sku_pattern: Text | None = None

    @field_validator("sku_pattern")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
        return value

    @model_validator(mode="after")
    def _check_store(self) -> Self:
        if (self.columns.store is None) == (self.store is None):
            raise ValueError("give either columns.store (a column) or store (one name for all rows), not both or none")
        return self


class Attributes(TableFormat):
    """What the catalogue says of a SKU: one row per SKU; the newest object of the folder counts.

    ``columns`` maps our names to the retailer's: ``sku`` is required, every other name (``department, category,
    description, ...``) becomes an attribute. ``department`` groups the report and tags the models.
    """

    path: Folder = "attributes/"
    columns: dict[Name, Text]

    @field_validator("columns")
    @classmethod
    def _check_sku(cls, value: dict[str, str]) -> dict[str, str]:
        if "sku" not in value:
            raise ValueError("needs the key sku: the column that holds the SKU code")
        return value


class Flag(Model):
    """A 0/1 column of the calendar, for the stores whose name matches ``stores`` (shell pattern)."""

    column: Text
    stores: Text = "*"


def _check_window(value: object) -> object:
    """One day (``-1``) or a first and a last one (``[-7, -4]``), as a pair."""
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Day = Annotated[int, Field(ge=-60, le=60)]
Window = Annotated[tuple[Day, Day], BeforeValidator(_check_window)]


class Calendar(TableFormat):
    """What is known ahead of a day: one row per date; the newest object of the folder counts.

    Attributes:
        path: folder under the landing prefix.
        date: the date column.
        events: columns with an event's name, empty on other days.
        windows: event, or a shell pattern of events -> the days around it that sell differently too, counted from it:
            ``-1`` the eve, ``[-7, -4]`` four days that share an effect. The first entry that matches an event counts.
        flags: our name of a flag -> the columns that hold it, each for some stores.
        closed: a 0/1 column: 1 on days when every store is closed.
    """

    path: Folder = "calendar/"
    date: Text
    events: tuple[Text, ...] = ()
    windows: dict[Text, tuple[Window, ...]] = Field(default_factory=dict)
    flags: dict[Name, Annotated[tuple[Flag, ...], Field(min_length=1)]] = Field(default_factory=dict)
    closed: Text | None = None

    @field_validator("windows")
    @classmethod
    def _check_windows(cls, value: dict[str, tuple[Window, ...]]) -> dict[str, tuple[Window, ...]]:
        for event, windows in value.items():
            for first, last in windows:
                if first > last or first <= 0 <= last:
                    raise ValueError(
                        f"{event}: window [{first}, {last}], expected days before the event, or days after it, "
                        "the first one first; the event's own day always counts"
                    )
        return value


class PriceColumns(Model):
    """The names that the retailer's price files give to our columns."""

    sku: Text
    date: Text
    price: Text
    store: Text | None = None

    @model_validator(mode="after")
    def _check_distinct(self) -> Self:
        _check_used_once(self)
        return self


class Prices(Delivered):
    """Price changes: a price holds from its date until the next row of the same SKU and store; every object counts."""

    path: Folder = "prices/"
    columns: PriceColumns


class Landing(Model):
    """Where the retailer drops its files: folders under one prefix of the bucket."""

    prefix: Prefix
    sales: Sales
    attributes: Attributes | None = None
    calendar: Calendar | None = None
    prices: Prices | None = None

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        """One folder inside another would make its files count as both."""
        tables = {name: getattr(self, name) for name in ("sales", "attributes", "calendar", "prices")}
        paths = [(name, table.path) for name, table in tables.items() if table is not None]
        for place, (name, path) in enumerate(paths):
            for other, inside in paths[place + 1 :]:
                if path.startswith(inside) or inside.startswith(path):
                    raise ValueError(f"{name}.path {path} and {other}.path {inside} overlap; use folders side by side")
        return self
