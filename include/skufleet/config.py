"""Settings from the environment, and catalogue files: frozen models that refuse what they do not know.

A catalogue is one YAML file in ``include/catalogues/``. It says where a retailer's data lands, how its columns are
called, and how its models are trained and promoted. Nothing else in the code knows a retailer.
What does not belong here: reading data, clients, clocks.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from include.skufleet.errors import CatalogueError, ConfigError

CATALOGUES_FOLDER = Path(__file__).resolve().parents[1] / "catalogues"

Metric = Literal["wape", "rmsse", "mase", "mae", "rmse"]
CandidateName = Literal["seasonal_naive", "exponential_smoothing", "tsb", "poisson_regression"]
BASELINE: CandidateName = "seasonal_naive"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Share = Annotated[float, Field(ge=0, le=1)]


def _check_folder(value: str) -> str:
    if not value.endswith("/"):
        raise ValueError("a folder ends in /, for example sales/")
    _check_prefix(value[:-1])
    return value


def _check_prefix(value: str) -> str:
    """Names with one ``/`` between them, and none that a file system would take for another folder."""
    if any(part in {"", ".", ".."} for part in value.split("/")) or re.search(r"\s", value):
        raise ValueError("expected names with one / between them and no spaces, for example landing/demo")
    return value


Folder = Annotated[str, AfterValidator(_check_folder)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]


class Model(BaseModel):
    """Base of every configuration record: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


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


class Sales(TableFormat):
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


class Calendar(TableFormat):
    """What is known ahead of a day: one row per date; the newest object of the folder counts.

    Attributes:
        path: folder under the landing prefix.
        date: the date column.
        events: columns with an event's name, empty on other days.
        flags: our name of a flag -> the columns that hold it, each for some stores.
        closed: a 0/1 column: 1 on days when every store is closed.
    """

    path: Folder = "calendar/"
    date: Text
    events: tuple[Text, ...] = ()
    flags: dict[Name, Annotated[tuple[Flag, ...], Field(min_length=1)]] = Field(default_factory=dict)
    closed: Text | None = None


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


class Prices(TableFormat):
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


class Validation(Model):
    """Limits of the Great Expectations suite, per chunk.

    Attributes:
        max_units: units of one SKU, store and day above this are absurd: the row is set aside.
        max_bad_share: a SKU with a larger share of bad rows than this is set aside as a whole.
        min_history: fewer periods with a known value than this: not trainable, the fallback serves.
        max_staleness: periods since the SKU's last row; older than this is reported as stale.
        inactive_after: periods since the last sale above zero; a longer silence retires the series.
    """

    max_units: Annotated[float, Field(gt=0)] = 1_000_000
    max_bad_share: Share = 0.2
    min_history: Annotated[int, Field(ge=1)] = 56
    max_staleness: Annotated[int, Field(ge=0)] = 14
    inactive_after: Annotated[int, Field(ge=1)] = 182


class Backtest(Model):
    """Rolling-origin evaluation: ``windows`` cutoffs, ``step`` periods apart, each ``horizon`` periods long."""

    windows: Annotated[int, Field(ge=1, le=26)] = 3
    step: Annotated[int, Field(ge=1)] | None = None
    metric: Metric = "rmsse"
    simpler_within: Share = 0.05


class Gate(Model):
    """When a new version becomes production: metric not worse than these relative margins, on the same windows.

    Attributes:
        max_loss_to_baseline: 0 means at least as good as the seasonal naive.
        max_loss_to_production: 0.02 means at most 2 % worse than the version in production.
    """

    max_loss_to_baseline: Annotated[float, Field(ge=0)] = 0.0
    max_loss_to_production: Annotated[float, Field(ge=0)] = 0.02


class Fleet(Model):
    """How the catalogue is cut into mapped tasks.

    ``chunks`` is an upper limit on the mapped tasks of a run, ``skus_per_chunk`` the size aimed at. ``buckets`` is the
    number of partitions of the history table; it cannot change once the table exists.
    """

    buckets: Annotated[int, Field(ge=1, le=1024)] = 16
    skus_per_chunk: Annotated[int, Field(ge=1)] = 100
    chunks: Annotated[int, Field(ge=1, le=900)] = 200


class Catalogue(Model):
    """One retailer's catalogue: data source and settings. See ``docs/catalogue-file.md`` for every key."""

    name: Name
    description: Text = "A retail catalogue."
    frequency: Literal["D", "W"] = "D"
    horizon: Annotated[int, Field(ge=1, le=730)] = 28
    season_length: Annotated[int, Field(ge=1, le=366)] = 7
    schedule: Text | None = "0 3 * * *"
    known_future: tuple[Literal["price", "events", "flags"], ...] = ()
    hierarchy: tuple[Name, ...] = ()
    candidates: tuple[CandidateName, ...] = ("seasonal_naive", "exponential_smoothing", "tsb", "poisson_regression")
    landing: Landing
    validation: Validation = Validation()
    backtest: Backtest = Backtest()
    gate: Gate = Gate()
    fleet: Fleet = Fleet()

    @field_validator("candidates")
    @classmethod
    def _check_candidates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if BASELINE not in value:
            raise ValueError(f"must contain {BASELINE}: every model is judged against it")
        if len(set(value)) != len(value):
            raise ValueError("names a candidate twice")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: str | None) -> str | None:
        if value is not None:
            from croniter import croniter

            if not croniter.is_valid(value):
                raise ValueError(f"{value!r} is not a cron expression (five fields, for example '0 3 * * *')")
        return value

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        landing, columns = self.landing, self.landing.attributes.columns if self.landing.attributes else {}
        if missing := [name for name in self.hierarchy if name not in columns]:
            raise ValueError(f"hierarchy names {missing}, which landing.attributes.columns does not map")
        if "price" in self.known_future and landing.prices is None and landing.sales.columns.price is None:
            raise ValueError(
                "known_future names price, but neither landing.prices nor landing.sales.columns.price is given"
            )
        for kind in ("events", "flags"):
            if kind in self.known_future and not (landing.calendar and getattr(landing.calendar, kind)):
                raise ValueError(f"known_future names {kind}, but landing.calendar.{kind} is not given")
        return self

    @property
    def step(self) -> int:
        """Periods between two cutoffs of the backtest: the horizon where the file does not say."""
        return self.backtest.step or self.horizon


class _Loader(yaml.SafeLoader):
    """The safe loader, but a key given twice is an error: the last one would win in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Check the keys, then read the mapping as ever."""
        seen = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def load_catalogue(path: Path) -> Catalogue:
    """Read and check one catalogue file.

    Raises:
        CatalogueError: the file cannot be read, is not YAML, has an unknown key or an impossible value, or its name
            is not its file's name. The message lists every wrong key with the reason.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path.name}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise CatalogueError(f"{path.name}: is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise CatalogueError(f"{path.name}: expected keys and values, got {type(raw).__name__}")
    raw.setdefault("name", path.stem)
    try:
        catalogue = Catalogue.model_validate(raw)
    except ValidationError as error:
        raise CatalogueError(f"{path.name}: {_describe(error)}") from error
    if catalogue.name != path.stem:
        raise CatalogueError(f"{path.name}: name: got {catalogue.name!r}, expected the file's name {path.stem!r}")
    return catalogue


def _describe(error: ValidationError) -> str:
    """Every complaint as ``key: reason (got value)``, in one line."""
    parts = []
    for item in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "file"
        if item["type"] == "extra_forbidden":
            parts.append(f"{key}: unknown key; take it out or correct its spelling")
        elif item["type"] == "missing":
            parts.append(f"{key}: is required")
        else:
            reason = item["msg"].removeprefix("Value error, ")
            shown = repr(item["input"])
            parts.append(f"{key}: {reason}" + (f" (got {shown})" if len(shown) <= 60 else ""))
    return "; ".join(parts)


def catalogue_files(folder: Path = CATALOGUES_FOLDER) -> dict[str, Path]:
    """The catalogue files of a folder by catalogue name, sorted. A file that cannot be right is listed all the same."""
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_catalogue(name: str, folder: Path = CATALOGUES_FOLDER) -> Catalogue:
    """Load the catalogue of that name.

    Raises:
        CatalogueError: there is no such file, or it is wrong.
    """
    files = catalogue_files(folder)
    if name not in files:
        raise CatalogueError(f"no catalogue {name!r}: {folder} has {', '.join(files) or 'no catalogue file'}")
    return load_catalogue(files[name])


class Settings(Model):
    """What the environment says. Secrets are not here: clients take them from the environment or an Airflow connection.

    Attributes:
        bucket: the S3 bucket of lake, landing, artifacts and reports.
        mlflow_tracking_uri: the MLflow server, or its database.
        mlflow_ui_url: where a browser finds MLflow; the tracking URI where it is HTTP and nothing else is said.
        airflow_ui_url: where a browser finds Airflow; empty leaves links to it out.
        local_dir: the embedded stack's state, and where reports are copied to; ``None`` outside the embedded stack.
    """

    bucket: Text = "skufleet"
    mlflow_tracking_uri: Text
    mlflow_ui_url: str = ""
    local_dir: Path | None = None
    airflow_ui_url: str = ""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from environment variables (``.env.example`` explains each).

    Raises:
        ConfigError: a variable is missing or wrong; the message names it.
    """
    env = os.environ if environment is None else environment
    uri = env.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise ConfigError("MLFLOW_TRACKING_URI is not set; set it in .env (see .env.example) or run `make up`")
    values: dict[str, Any] = {
        "bucket": env.get("SKUFLEET_BUCKET"),
        "mlflow_tracking_uri": uri,
        "mlflow_ui_url": env.get("SKUFLEET_MLFLOW_UI_URL") or (uri if uri.startswith("http") else ""),
        "local_dir": env.get("SKUFLEET_LOCAL_DIR"),
        "airflow_ui_url": env.get("SKUFLEET_AIRFLOW_UI_URL"),
    }
    try:
        return Settings.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(f"environment: {_describe(error)}") from error
