"""Every SKU of a dirty delivery ends with one outcome and a reason, and none keeps another from being trained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from include.skufleet.errors import LandingError, PlanError
from include.skufleet.fleet.publish_report import raise_if_incomplete
from include.skufleet.fleet.run import Run
from include.skufleet.registry.names import registered_name
from tests.unit.fleet.small_fleet import DAYS, END, HORIZON, SmallFleet, day, same, weekly

HOSTILE = (
    "A/B",
    "A:B",
    "100%",
    'it\'s "so-called"',
    "..",
    "two\nlines",
    "🧀 brie",
    "x" * 300,
    "[/red]",
    "{{ label }}",
    "<script>alert(1)</script>",
    "a|b;c,d",
)
ODD = {
    "ONE-ROW": same("ONE-ROW", 4, [DAYS - 1]),
    "ALL-ZEROS": same("ALL-ZEROS", 0),
    "NEW-ZEROS": same("NEW-ZEROS", 0, range(DAYS - 40, DAYS)),
    "CONSTANT": same("CONSTANT", 5),
    "NAN": same("NAN", 3, range(0, DAYS, 2)) + same("NAN", "nan", range(1, DAYS, 2)),
    "INFINITE": same("INFINITE", 3, range(0, DAYS, 2)) + same("INFINITE", "inf", range(1, DAYS, 2)),
    "ABSURD": same("ABSURD", 3, range(DAYS - 30)) + same("ABSURD", 1e12, range(DAYS - 30, DAYS)),
    "ALL-ABSURD": same("ALL-ABSURD", 1e12),
    "ONE-ABSURD": weekly("ONE-ABSURD", days=range(DAYS - 1)) + same("ONE-ABSURD", 1e12, [DAYS - 1]),
    "NEGATIVE": weekly("NEGATIVE", days=range(DAYS - 1)) + same("NEGATIVE", -8, [DAYS - 1]),
    "DUPLICATES": weekly("DUPLICATES") + same("DUPLICATES", 40, range(DAYS - 7, DAYS)),
    "SILENT": weekly("SILENT", days=range(20)),
    "FUTURE": [*weekly("FUTURE"), ("FUTURE", "S1", END + timedelta(days=9), 5)],
    "UNLISTED": weekly("UNLISTED"),
}


@dataclass
class Dirty:
    fleet: SmallFleet
    run: Run
    summary: dict[str, Any]
    results: dict[str, dict[str, Any]]
    forecasts: pd.DataFrame

    def forecast_of(self, sku: str) -> pd.DataFrame:
        return self.forecasts[self.forecasts["sku"] == sku]


@pytest.fixture(scope="module")
def dirty() -> Dirty:
    fleet = SmallFleet.open(attributes=True)
    good = [f"GOOD-{number}" for number in range(3)]
    rows = [row for sku in (*good, *HOSTILE) for row in weekly(sku)] + [row for rows in ODD.values() for row in rows]
    fleet.deliver(rows)
    listed = (*good, *HOSTILE, *(sku for sku in ODD if sku != "UNLISTED"), "NEVER-SOLD")
    fleet.list_skus(dict.fromkeys(listed, "Food") | {"ONE-ROW": ""})
    run = fleet.new_run()
    summary = fleet.do_all(run)
    return Dirty(fleet, run, summary, fleet.results(run), fleet.forecasts(run))


def test_every_sku_has_one_outcome_with_a_reason_and_the_run_is_complete(dirty: Dirty) -> None:
    expected = {*ODD, *HOSTILE, "GOOD-0", "GOOD-1", "GOOD-2", "NEVER-SOLD"}
    assert set(dirty.results) == expected
    assert [sku for sku, row in dirty.results.items() if not row["reason"]] == []
    assert dirty.summary["outcomes"]["failed"] == 0
    assert dirty.summary["complete"]
    raise_if_incomplete(dirty.summary)


@pytest.mark.parametrize("sku", ["GOOD-0", "GOOD-1", "GOOD-2"])
def test_what_is_wrong_with_others_does_not_stop_a_good_sku(dirty: Dirty, sku: str) -> None:
    assert dirty.results[sku]["outcome"] == "trained"
    assert set(dirty.forecast_of(sku)["served_by"]) == {"production"}


@pytest.mark.parametrize("sku", HOSTILE, ids=lambda sku: sku[:12])
def test_a_name_may_be_anything(dirty: Dirty, sku: str) -> None:
    row, forecast = dirty.results[sku], dirty.forecast_of(sku)
    assert row["outcome"] == "trained"
    assert row["registered_name"] == registered_name(dirty.fleet.catalogue.name, sku)
    assert dirty.fleet.versions()[sku[:1000]] == [1]
    assert len(forecast) == HORIZON
    assert set(forecast["served_by"]) == {"production"}


@pytest.mark.parametrize(
    ("sku", "outcome", "reason"),
    [
        ("ONE-ROW", "fallback", "1 days with a known value, 28 needed"),
        ("ALL-ZEROS", "skipped", "never sold since its first row"),
        ("CONSTANT", "trained", ""),
        ("ABSURD", "quarantined", "30 of 84 rows are bad: 35.7% (at most 20.0%)"),
        ("ALL-ABSURD", "quarantined", "84 of 84 rows are bad"),
        ("ONE-ABSURD", "trained", ""),
        ("NEGATIVE", "trained", ""),
        ("DUPLICATES", "trained", ""),
        ("SILENT", "skipped", "no sale above zero since"),
        ("FUTURE", "trained", ""),
        ("UNLISTED", "quarantined", "sold, but not in the catalogue's attributes"),
        ("NEVER-SOLD", "skipped", "in the catalogue, but never sold up to as_of"),
    ],
)
def test_odd_skus_end_as_they_should_and_say_why(dirty: Dirty, sku: str, outcome: str, reason: str) -> None:
    row = dirty.results[sku]
    assert (row["outcome"], reason in row["reason"]) == (outcome, True), row["reason"]


def test_units_that_are_no_numbers_never_reach_a_model(dirty: Dirty) -> None:
    for sku in ("NAN", "INFINITE"):
        assert dirty.results[sku]["outcome"] in {"trained", "quarantined"}
        assert dirty.results[sku]["periods"] == DAYS // 2
        assert np.allclose(dirty.forecast_of(sku)["y_hat"], 3, atol=0.5)


def test_zeros_of_a_sku_that_is_new_forecast_zero(dirty: Dirty) -> None:
    assert dirty.results["NEW-ZEROS"]["outcome"] in {"trained", "fallback"}
    assert (dirty.forecast_of("NEW-ZEROS")["y_hat"] == 0).all()
    assert len(dirty.forecast_of("NEW-ZEROS")) == HORIZON


def test_constant_demand_is_forecast_as_it_is(dirty: Dirty) -> None:
    assert np.allclose(dirty.forecast_of("CONSTANT")["y_hat"], 5)


def test_absurd_rows_do_not_show_in_the_forecast_of_a_quarantined_sku(dirty: Dirty) -> None:
    assert dirty.results["ABSURD"]["version"] == 1
    assert dirty.forecast_of("ABSURD")["y_hat"].between(0, 3.5).all()
    assert set(dirty.forecast_of("ABSURD")["served_by"]) == {"fallback"}
    assert dirty.forecast_of("ONE-ABSURD")["y_hat"].max() < 20


def test_of_two_rows_for_a_day_the_later_counts(dirty: Dirty) -> None:
    assert dirty.summary["set_aside_at_ingestion"]["repeated"] == 7
    assert dirty.results["DUPLICATES"]["periods"] == DAYS
    folder = dirty.run.chunk_folder(dirty.results["DUPLICATES"]["chunk"])
    backtest = dirty.fleet.store.get_frame(f"{folder}/backtest.parquet").query("sku == 'DUPLICATES'")
    assert (backtest.set_index("date")["y"][pd.Timestamp(day(DAYS - 7)) :] == 40).all()


def test_a_row_of_the_future_is_set_aside_at_ingestion(dirty: Dirty) -> None:
    assert dirty.summary["set_aside_at_ingestion"]["date_future"] == 1
    assert dirty.results["FUTURE"]["last_date"] == END.isoformat()


def test_every_row_set_aside_is_kept_with_its_reason(dirty: Dirty) -> None:
    keys = [key.key for key in dirty.fleet.store.list(dirty.run.folder) if key.key.endswith("quarantine.parquet")]
    kept = pd.concat([dirty.fleet.store.get_frame(key) for key in keys])
    rows = kept[kept["scope"] == "row"]
    assert len(rows) == dirty.summary["quarantined_rows"]
    assert (rows["reason"].str.len() > 0).all()
    absurd = rows[rows["units"] == 1e12].groupby("sku").size().to_dict()
    assert absurd == {"ABSURD": 30, "ALL-ABSURD": DAYS, "ONE-ABSURD": 1}


def test_all_that_is_forecast_is_finite_and_not_below_zero(dirty: Dirty) -> None:
    assert np.isfinite(dirty.forecasts["y_hat"]).all()
    assert (dirty.forecasts["y_hat"] >= 0).all()
    assert not dirty.forecasts.duplicated(["sku", "store", "date"]).any()
    assert {"SILENT", "ALL-ZEROS", "UNLISTED", "NEVER-SOLD"} & set(dirty.forecasts["sku"]) == set()


def test_the_report_shows_hostile_names_as_text(dirty: Dirty) -> None:
    html = dirty.fleet.store.get(dirty.run.report_key).decode()
    assert "<script>alert(1)" not in html
    assert "UNLISTED" in html


def test_an_empty_department_has_a_name_to_be_grouped_by(dirty: Dirty) -> None:
    assert dirty.results["ONE-ROW"]["department"] == "(none)"
    assert dirty.results["GOOD-0"]["department"] == "Food"


def test_an_empty_landing_is_said_with_the_place_and_the_command() -> None:
    fleet = SmallFleet.open()
    with pytest.raises(LandingError, match=r"holds no sales drop under this prefix.*make import"):
        fleet.ingest()


def test_a_pattern_that_matches_nothing_is_said_with_examples(dirty: Dirty) -> None:
    with pytest.raises(PlanError, match=r"'Z-\*' matches none of the \d+ SKUs"):
        dirty.fleet.plan(dirty.fleet.new_run(skus=("Z-*",)))


def test_a_date_before_the_first_sale_is_said_with_that_date(dirty: Dirty) -> None:
    with pytest.raises(PlanError, match=f"as_of 2020-01-01 is before the first sale of catalogue .* \\({day(0)}\\)"):
        dirty.fleet.plan(dirty.fleet.new_run(as_of=date(2020, 1, 1)))
