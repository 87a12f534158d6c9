"""Catalogue files and settings: what is right is read, what is wrong is refused with a sentence that says why."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.skufleet.config import (
    CATALOGUES_FOLDER,
    Catalogue,
    catalogue_files,
    find_catalogue,
    load_catalogue,
    read_settings,
)
from include.skufleet.errors import CatalogueError, ConfigError

ABSENT = object()
SHORTEST = """\
landing:
  prefix: landing/shop
  sales:
    columns: {sku: product, store: shop, date: day, units: quantity}
"""


def write(folder: Path, content: dict[str, Any] | str | bytes, name: str = "shop.yaml") -> Path:
    path = folder / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def full() -> dict[str, Any]:
    """The demo's file under another name: it uses every section."""
    raw: dict[str, Any] = yaml.safe_load((CATALOGUES_FOLDER / "demo.yaml").read_text(encoding="utf-8"))
    return {**copy.deepcopy(raw), "name": "shop"}


def with_value(path: str, value: object) -> dict[str, Any]:
    """The full file with one value changed, or taken out."""
    raw = full()
    *parents, last = path.split(".")
    place = raw
    for key in parents:
        place = place[key]
    if value is ABSENT:
        del place[last]
    else:
        place[last] = value
    return raw


WRONG = [
    ("colour", "red", "colour: unknown key; take it out or correct its spelling"),
    ("landing.sales.delimeter", ";", "landing.sales.delimeter: unknown key; take it out or correct its spelling"),
    ("landing", ABSENT, "landing: is required"),
    ("landing.sales", ABSENT, "landing.sales: is required"),
    ("landing.sales.columns.sku", ABSENT, "landing.sales.columns.sku: is required"),
    ("name", "other", "name: got 'other', expected the file's name 'shop'"),
    ("name", "Shop 1", "name: String should match pattern '^[a-z][a-z0-9_]{0,62}$' (got 'Shop 1')"),
    ("frequency", "M", "frequency: Input should be 'D' or 'W' (got 'M')"),
    ("horizon", 0, "horizon: Input should be greater than or equal to 1 (got 0)"),
    ("horizon", 28.5, "horizon: Input should be a valid integer, got a number with a fractional part (got 28.5)"),
    ("horizon", "soon", "horizon: Input should be a valid integer, unable to parse string as an integer (got 'soon')"),
    ("season_length", 400, "season_length: Input should be less than or equal to 366 (got 400)"),
    (
        "schedule",
        "at three",
        "schedule: 'at three' is not a cron expression (five fields, for example '0 3 * * *') (got 'at three')",
    ),
    ("known_future", ["weather"], "known_future.0: Input should be 'price', 'events' or 'flags' (got 'weather')"),
    ("hierarchy", ["brand"], "file: hierarchy names ['brand'], which landing.attributes.columns does not map"),
    (
        "candidates",
        ["tsb"],
        "candidates: must contain seasonal_naive: every model is judged against it (got ['tsb'])",
    ),
    (
        "candidates",
        ["seasonal_naive", "seasonal_naive"],
        "candidates: names a candidate twice (got ['seasonal_naive', 'seasonal_naive'])",
    ),
    (
        "candidates",
        ["seasonal_naive", "prophet"],
        (
            "candidates.1: Input should be 'seasonal_naive', 'weekday_mean', 'exponential_smoothing', 'theta', 'tsb', "
            "'poisson_regression', 'profile', 'hist_gradient_boosting', 'random_forest' or 'ensemble' "
            "(got 'prophet')"
        ),
    ),
    (
        "landing.prices",
        ABSENT,
        "file: known_future names price, but neither landing.prices nor landing.sales.columns.price is given",
    ),
    ("landing.calendar", ABSENT, "file: known_future names events, but landing.calendar.events is not given"),
    ("landing.calendar.flags", ABSENT, "file: known_future names flags, but landing.calendar.flags is not given"),
    (
        "landing.calendar.flags",
        {"holiday": []},
        "landing.calendar.flags.holiday: Tuple should have at least 1 item after validation, not 0 (got [])",
    ),
    (
        "landing.attributes.columns.sku",
        ABSENT,
        "landing.attributes.columns: needs the key sku: the column that holds the SKU code",
    ),
    (
        "landing.prefix",
        "/landing/shop",
        (
            "landing.prefix: expected names with one / between them and no spaces, for example landing/demo "
            "(got '/landing/shop')"
        ),
    ),
    (
        "landing.prefix",
        "landing/../lake",
        (
            "landing.prefix: expected names with one / between them and no spaces, for example landing/demo "
            "(got 'landing/../lake')"
        ),
    ),
    ("landing.sales.path", "sales", "landing.sales.path: a folder ends in /, for example sales/ (got 'sales')"),
    (
        "landing.attributes.path",
        "sales/items/",
        "landing: sales.path sales/ and attributes.path sales/items/ overlap; use folders side by side",
    ),
    (
        "landing.sales.store",
        "MAIN",
        "landing.sales: give either columns.store (a column) or store (one name for all rows), not both or none",
    ),
    (
        "landing.sales.columns.store",
        ABSENT,
        "landing.sales: give either columns.store (a column) or store (one name for all rows), not both or none",
    ),
    (
        "landing.sales.columns.units",
        "article",
        "landing.sales.columns: article stands for more than one of our columns",
    ),
    ("landing.prices.columns.price", "article", "landing.prices.columns: article stands for more than one of our"),
    (
        "landing.sales.decimal",
        ",",
        "landing.sales: decimal and delimiter are both ','; a number could not be told from two",
    ),
    ("landing.sales.delimiter", ";;", "landing.sales.delimiter: String should have at most 1 character (got ';;')"),
    ("landing.sales.format", "xlsx", "landing.sales.format: Input should be 'auto', 'csv' or 'parquet' (got 'xlsx')"),
    (
        "landing.sales.encoding",
        "utf-99",
        "landing.sales.encoding: not an encoding that Python knows, for example utf-8 or cp1252 (got 'utf-99')",
    ),
    (
        "landing.sales.date_format",
        "DD.MM.YYYY",
        (
            "landing.sales.date_format: expected a strftime pattern with year, month and day, for example %d.%m.%Y "
            "(got 'DD.MM.YYYY')"
        ),
    ),
    (
        "landing.calendar.date_format",
        "%d.%m.",
        (
            "landing.calendar.date_format: expected a strftime pattern with year, month and day, for example %d.%m.%Y "
            "(got '%d.%m.')"
        ),
    ),
    (
        "landing.sales.sku_pattern",
        "[",
        "landing.sales.sku_pattern: not a regular expression: unterminated character set at position 0 (got '[')",
    ),
    ("landing.sales.repeated", "first", "landing.sales.repeated: Input should be 'sum' or 'last' (got 'first')"),
    ("landing.sales.gaps", "nan", "landing.sales.gaps: Input should be 'zero' or 'missing' (got 'nan')"),
    ("validation.max_units", 0, "validation.max_units: Input should be greater than 0 (got 0)"),
    ("validation.max_units", float("inf"), "validation.max_units: Input should be a finite number (got inf)"),
    ("validation.max_bad_share", 1.5, "validation.max_bad_share: Input should be less than or equal to 1 (got 1.5)"),
    ("validation.min_history", 0, "validation.min_history: Input should be greater than or equal to 1 (got 0)"),
    ("backtest.windows", 0, "backtest.windows: Input should be greater than or equal to 1 (got 0)"),
    (
        "backtest.metric",
        "mape",
        "backtest.metric: Input should be 'wape', 'rmsse', 'mase', 'mae' or 'rmse' (got 'mape')",
    ),
    (
        "gate.max_loss_to_baseline",
        -0.1,
        "gate.max_loss_to_baseline: Input should be greater than or equal to 0 (got -0.1)",
    ),
    ("fleet.buckets", 0, "fleet.buckets: Input should be greater than or equal to 1 (got 0)"),
    ("fleet.chunks", 901, "fleet.chunks: Input should be less than or equal to 900 (got 901)"),
]


@pytest.mark.parametrize(
    ("path", "value", "said"), WRONG, ids=[f"{path}-{place}" for place, (path, *_) in enumerate(WRONG)]
)
def test_a_wrong_value_is_refused_with_file_key_and_reason(tmp_path: Path, path: str, value: object, said: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, with_value(path, value)))
    assert str(caught.value).startswith(f"shop.yaml: {said}")


def test_every_wrong_key_is_named_at_once(tmp_path: Path) -> None:
    raw = full() | {"colour": "red", "horizon": 0}
    raw["landing"]["sales"]["gaps"] = "?"
    with pytest.raises(CatalogueError, match=r"horizon: .*; landing\.sales\.gaps: .*; colour: unknown key"):
        load_catalogue(write(tmp_path, raw))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "shop.yaml: expected keys and values, got NoneType"),
        ("- a\n- b\n", "shop.yaml: expected keys and values, got list"),
        ("a: [", "shop.yaml: is not YAML: while parsing a flow node"),
        ("horizon: 7\nhorizon: 28\n", "shop.yaml: is not YAML: the key 'horizon' is given twice"),
        ("a: {b: 1, b: 2}\n", "shop.yaml: is not YAML: the key 'b' is given twice"),
        ("schedule: !!python/object:os.system x\n", "shop.yaml: is not YAML: could not determine a constructor"),
        (b"\xff\xfe\x00", "shop.yaml: cannot be read: 'utf-8' codec"),
    ],
)
def test_what_is_no_catalogue_file_is_refused(tmp_path: Path, content: str | bytes, said: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(write(tmp_path, content))
    assert str(caught.value).startswith(said)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_yaml_at_all_gives_a_catalogue_or_a_catalogue_error(
    tmp_path_factory: pytest.TempPathFactory, raw: Any
) -> None:
    """No other exception ever comes out, whatever the file holds."""
    with pytest.raises(CatalogueError, match=r"^shop\.yaml: "):
        load_catalogue(write(tmp_path_factory.mktemp("any"), yaml.safe_dump(raw)))


def test_the_shortest_file_is_read_with_defaults(tmp_path: Path) -> None:
    shop = load_catalogue(write(tmp_path, SHORTEST))
    assert (shop.name, shop.frequency, shop.horizon, shop.season_length) == ("shop", "D", 28, 7)
    assert shop.landing.sales.path == "sales/"
    assert shop.step == 28
    assert shop.landing.prices is None


def test_the_step_of_the_file_wins_over_the_horizon(tmp_path: Path) -> None:
    assert load_catalogue(write(tmp_path, f"{SHORTEST}backtest: {{step: 7}}\n")).step == 7


def test_a_catalogue_is_frozen(tmp_path: Path) -> None:
    shop = load_catalogue(write(tmp_path, SHORTEST))
    with pytest.raises(ValidationError, match="frozen"):
        shop.horizon = 7  # type: ignore[misc]


@pytest.mark.parametrize("name", sorted(catalogue_files()))
def test_every_catalogue_of_the_repository_is_right(name: str) -> None:
    catalogue = find_catalogue(name)
    assert catalogue.name == name
    assert catalogue.landing.prefix == f"landing/{name}"


def test_the_catalogues_of_the_repository_are_these() -> None:
    assert set(catalogue_files()) == {"demo", "m5", "online_retail"}


def test_a_wrong_file_is_listed_beside_the_others(tmp_path: Path) -> None:
    write(tmp_path, "][", "broken.yaml")
    write(tmp_path, SHORTEST)
    (tmp_path / "notes.txt").write_text("no catalogue")
    assert list(catalogue_files(tmp_path)) == ["broken", "shop"]
    assert find_catalogue("shop", tmp_path).name == "shop"


def test_an_unknown_catalogue_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"no catalogue 'shop': .* has no catalogue file"):
        find_catalogue("shop", tmp_path)
    write(tmp_path, SHORTEST)
    with pytest.raises(CatalogueError, match=r"no catalogue 'shp': .* has shop"):
        find_catalogue("shp", tmp_path)


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    settings = read_settings({"MLFLOW_TRACKING_URI": "http://localhost:5000", "SKUFLEET_LOCAL_DIR": str(tmp_path)})
    assert (settings.bucket, settings.local_dir) == ("skufleet", tmp_path)
    assert settings.mlflow_ui_url == "http://localhost:5000"


def test_a_database_is_no_address_for_a_browser() -> None:
    assert read_settings({"MLFLOW_TRACKING_URI": "sqlite:///x.db"}).mlflow_ui_url == ""
    both = {"MLFLOW_TRACKING_URI": "sqlite:///x.db", "SKUFLEET_MLFLOW_UI_URL": "http://localhost:5001"}
    assert read_settings(both).mlflow_ui_url == "http://localhost:5001"


def test_a_setting_that_is_missing_or_empty_is_named() -> None:
    with pytest.raises(ConfigError, match=r"MLFLOW_TRACKING_URI is not set; set it in \.env"):
        read_settings({})
    with pytest.raises(ConfigError, match="environment: bucket: String should have at least 1 character"):
        read_settings({"MLFLOW_TRACKING_URI": "sqlite:///x.db", "SKUFLEET_BUCKET": " "})


def documented_keys(text: str) -> set[str]:
    """The keys in the tables of the page: the first cell of each row, in backticks."""
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {part for cell in cells for part in cell.replace("`", " ").replace(",", " ").split()}


def model_keys(model: Any, prefix: str = "") -> set[str]:
    """Every key of a configuration model, with dots between levels."""
    found: set[str] = set()
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        options = [option for option in getattr(field.annotation, "__args__", ()) if hasattr(option, "model_fields")]
        nested = field.annotation if hasattr(field.annotation, "model_fields") else (options or [None])[0]
        found |= model_keys(nested, f"{key}.") if nested is not None else {key}
    return found


def test_every_key_is_explained_and_no_other() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "catalogue-file.md"
    text_settings = {"format", "encoding", "delimiter", "decimal", "date_format"}
    keys = {key for key in model_keys(Catalogue) if key.rpartition(".")[2] not in text_settings}
    assert documented_keys(page.read_text(encoding="utf-8")) == keys | text_settings


@pytest.mark.parametrize("page", ["docs/catalogue-file.md", "README.md"])
def test_the_example_of_the_documentation_is_a_catalogue(tmp_path: Path, page: str) -> None:
    text = (Path(__file__).resolve().parents[2] / page).read_text(encoding="utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    assert load_catalogue(write(tmp_path, example)).landing.prefix == "landing/shop"


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"email": ["nobody"]}, "notify.email.0: String should match pattern"),
        ({"webhook": "https://hooks.example.com/secret"}, "notify.webhook: String should match pattern"),
        ({"deadline_minutes": 0}, "notify.deadline_minutes: Input should be greater than 0"),
        ({"password": "x"}, "notify.password: unknown key"),
    ],
)
def test_who_is_told_is_checked_and_an_address_with_a_secret_is_no_connection(
    tmp_path: Path, section: dict[str, Any], says: str
) -> None:
    with pytest.raises(CatalogueError, match=re.escape(says)):
        load_catalogue(write(tmp_path, full() | {"notify": section}))
