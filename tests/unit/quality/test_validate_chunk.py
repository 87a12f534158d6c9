"""What validation says of a chunk's rows and SKUs, against hand-made histories."""

from __future__ import annotations

import json
import logging
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.skufleet.config import Validation
from include.skufleet.errors import DataError
from include.skufleet.quality import (
    ExpectationResult,
    Verdict,
    combine_expectations,
    export_suites,
    validate_chunk,
)
from include.skufleet.quality.engine import RESULTS_STORE, _start

AS_OF = date(2024, 6, 30)
LIMITS = Validation(max_bad_share=0.2, min_history=10, max_staleness=14, inactive_after=60)


def make_series(
    sku: str = "A", days: int = 100, store: str = "S1", end: str = "2024-06-30", units: float = 3.0
) -> pd.DataFrame:
    dates = pd.date_range(end=end, periods=days, unit="us")
    return pd.DataFrame({"sku": sku, "store": store, "date": dates, "units": units, "price": 1.5})


def validate(history: pd.DataFrame, *planned: str, limits: Validation = LIMITS, **more: object) -> Verdict:
    return validate_chunk(history, limits=limits, as_of=AS_OF, planned=planned or ("A",), **more)  # type: ignore[arg-type]


def get_result(verdict: Verdict, name: str) -> ExpectationResult:
    return {result.name: result for result in verdict.expectations}[name]


def test_a_good_chunk_passes_untouched() -> None:
    history = pd.concat([make_series("A"), make_series("B", units=0.5)], ignore_index=True)
    verdict = validate(history, "A", "B")
    pd.testing.assert_frame_equal(verdict.clean, history)
    assert verdict.bad_rows.empty
    assert [(sku, v.status, v.reason) for sku, v in verdict.skus.items()] == [
        ("A", "trainable", ""),
        ("B", "trainable", ""),
    ]
    assert len(verdict.expectations) == 14
    assert all(result.success and result.unexpected_count == 0 for result in verdict.expectations)
    assert get_result(verdict, "units_in_range").checked == 200


@pytest.mark.parametrize(
    ("column", "value", "reason", "expectation"),
    [
        ("units", -3.0, "units -3 is below 0", "units_in_range"),
        ("units", 1e12, "units 1e+12 is above max_units 1000000", "units_in_range"),
        ("units", np.inf, "units inf is not a finite number", "units_in_range"),
        ("units", -np.inf, "units -inf is not a finite number", "units_in_range"),
        ("units", np.nan, "units is missing", "units_present"),
        ("price", 0.0, "price 0 is not above 0", "price_above_zero"),
        ("price", -1.25, "price -1.25 is not above 0", "price_above_zero"),
        ("price", np.inf, "price inf is not a finite number", "price_above_zero"),
        ("date", pd.Timestamp("2024-07-01"), "date 2024-07-01 is after as_of 2024-06-30", "not_after_as_of"),
        ("date", pd.NaT, "date is missing", "date_present"),
        ("store", None, "store is missing", "store_present"),
        ("sku", None, "sku is missing", "sku_present"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_reason_and_the_rest_goes_on(
    column: str, value: object, reason: str, expectation: str
) -> None:
    history = make_series()
    history.loc[7, column] = value
    verdict = validate(history)
    assert verdict.bad_rows[["scope", "reason", "expectation"]].to_numpy().tolist() == [["row", reason, expectation]]
    pd.testing.assert_frame_equal(verdict.clean, make_series().drop(index=7).reset_index(drop=True))
    assert verdict.skus["A"].status == "trainable"
    result = get_result(verdict, expectation)
    assert (result.success, result.unexpected_count) == (False, 1)
    assert result.unexpected_percent == pytest.approx(1.0)


@pytest.mark.parametrize(("units", "price"), [(0.0, 1.5), (1_000_000.0, 1.5), (3.0, np.nan), (0.001, 0.001)])
def test_values_at_the_limits_are_good(units: float, price: float) -> None:
    history = make_series()
    history.loc[7, ["units", "price"]] = [units, price]
    assert validate(history).bad_rows.empty


def test_a_row_with_several_faults_is_listed_once_with_all_of_them() -> None:
    history = make_series()
    history.loc[7, ["units", "price"]] = [-1.0, 0.0]
    bad = validate(history).bad_rows
    assert bad["reason"].tolist() == ["units -1 is below 0; price 0 is not above 0"]
    assert bad["expectation"].tolist() == ["units_in_range"]


def test_of_identical_rows_the_first_stays() -> None:
    history = pd.concat([make_series(), make_series().iloc[[20, 20]]], ignore_index=True)
    verdict = validate(history)
    pd.testing.assert_frame_equal(verdict.clean, make_series())
    assert verdict.bad_rows["reason"].tolist() == ["same row 3 times; the first is kept"] * 2
    assert get_result(verdict, "one_row_per_day").unexpected_count == 3


def test_rows_that_disagree_are_all_set_aside() -> None:
    history = pd.concat([make_series(), make_series(units=8).iloc[[20]]], ignore_index=True)
    verdict = validate(history)
    assert len(verdict.clean) == 99
    assert verdict.bad_rows["reason"].tolist() == ["2 rows of this sku, store and date disagree: units 3, 8"] * 2
    priced = pd.concat([make_series(), make_series().iloc[[20]].assign(price=2.0)], ignore_index=True)
    assert validate(priced).bad_rows["reason"].iloc[0].endswith("disagree: price 1.5, 2")


def test_a_good_row_is_not_punished_for_a_bad_copy() -> None:
    history = pd.concat([make_series(), make_series(units=-8).iloc[[20]]], ignore_index=True)
    verdict = validate(history)
    pd.testing.assert_frame_equal(verdict.clean, make_series())
    assert verdict.bad_rows["reason"].tolist() == ["units -8 is below 0"]


def test_two_stores_on_one_day_are_no_duplicate() -> None:
    assert validate(pd.concat([make_series(), make_series(store="S2")])).bad_rows.empty


def test_a_sku_with_too_many_bad_rows_is_quarantined_as_a_whole() -> None:
    history = pd.concat([make_series("A"), make_series("B")], ignore_index=True)
    history.loc[:20, "units"] = -1.0
    verdict = validate(history, "A", "B")
    reason = (
        "21 of 100 rows are bad: 21.0% (at most 20.0%); mostly (21) against: units are finite and between 0 and 1000000"
    )
    assert (verdict.skus["A"].status, verdict.skus["A"].reason) == ("quarantined", reason)
    assert verdict.skus["B"].status == "trainable"
    assert set(verdict.clean["sku"]) == {"B"}
    whole = verdict.bad_rows[verdict.bad_rows["scope"] == "sku"]
    assert whole[["sku", "reason", "expectation"]].to_numpy().tolist() == [["A", reason, "few_bad_rows"]]
    assert len(verdict.bad_rows) == 22


def test_a_sku_with_just_as_many_bad_rows_as_allowed_is_trained() -> None:
    history = make_series()
    history.loc[:19, "units"] = -1.0
    assert validate(history).skus["A"].status == "trainable"


def test_history_is_counted_in_days_not_in_rows_of_stores() -> None:
    history = pd.concat([make_series(days=9, store=store) for store in ("S1", "S2", "S3")])
    verdict = validate(history)
    assert verdict.skus["A"].status == "too_short"
    assert verdict.skus["A"].reason == "9 days with a known value, 10 needed"
    assert len(verdict.clean) == 27
    assert validate(make_series(days=10)).skus["A"].status == "trainable"


def test_where_a_gap_means_zero_the_days_between_first_and_last_row_count() -> None:
    history = make_series(days=31).iloc[[0, 30]]
    assert validate(history).skus["A"].status == "too_short"
    assert validate(history, gaps="zero").skus["A"].status == "trainable"


def test_weeks_run_from_monday_to_sunday() -> None:
    fortnight = make_series(days=14, end="2024-06-30")  # Monday 17 to Sunday 30 June
    reason = validate(fortnight, frequency="W").skus["A"].reason
    assert reason == "2 weeks with a known value, 10 needed"
    shifted = make_series(days=14, end="2024-06-29")  # Sunday 16 to Saturday 29 June
    assert validate(shifted, frequency="W").skus["A"].reason == "3 weeks with a known value, 10 needed"


def test_a_sku_whose_rows_stopped_is_stale_but_trained() -> None:
    history = pd.concat([make_series("A", end="2024-06-15"), make_series("B", end="2024-06-16"), make_series("C")])
    skus = validate(history, "A", "B", "C").skus
    assert skus["A"].status == "stale"
    assert skus["A"].reason == "last row of 2024-06-15, 15 days before the newest data of 2024-06-30 (at most 14)"
    assert skus["A"].train
    assert skus["B"].status == "trainable"


def test_freshness_is_measured_from_the_newest_data_not_from_as_of() -> None:
    old = make_series(end="2011-12-09")
    assert validate(old).skus["A"].status == "trainable"
    assert validate(old, newest=date(2012, 1, 9)).skus["A"].status == "stale"
    assert validate(make_series(), newest=date(2030, 1, 1)).skus["A"].status == "trainable", "newest is at most as_of"


def test_a_sku_without_a_sale_for_long_is_inactive() -> None:
    history = pd.concat([make_series("A"), make_series("B"), make_series("C", units=0)], ignore_index=True)
    history.loc[39:99, "units"] = 0.0  # the last sale of A is on row 38: 61 days before the end
    history.loc[140:199, "units"] = 0.0  # of B 60 days
    skus = validate(history, "A", "B", "C").skus
    assert skus["A"].status == "inactive"
    assert skus["A"].reason == (
        "no sale above zero since 2024-04-30, 61 days before the newest data of 2024-06-30 (at most 60)"
    )
    assert skus["B"].status == "trainable"
    assert skus["C"].status == "inactive"
    assert skus["C"].reason.startswith("never sold since its first row of 2024-03-23, 100 days before")


def test_a_new_sku_that_has_not_sold_yet_is_too_short_not_inactive() -> None:
    assert validate(make_series(days=5, units=0)).skus["A"].status == "too_short"


def test_a_planned_sku_without_a_row_has_no_data() -> None:
    verdict = validate(make_series(), "A", "ghost")
    assert (verdict.skus["ghost"].status, verdict.skus["ghost"].train) == ("no_data", False)
    assert get_result(verdict, "sku_has_rows").unexpected_count == 1
    assert get_result(verdict, "fresh").checked == 1


def test_rows_of_skus_that_were_not_planned_are_left_out() -> None:
    verdict = validate(pd.concat([make_series("A"), make_series("B", units=-1)]), "A")
    assert set(verdict.clean["sku"]) == {"A"}
    assert verdict.bad_rows.empty
    assert list(verdict.skus) == ["A"]


def test_a_sku_with_only_bad_rows_is_quarantined_or_too_short_where_any_share_is_let_pass() -> None:
    history = make_series(units=-1)
    assert validate(history).skus["A"].status == "quarantined"
    lenient = LIMITS.model_copy(update={"max_bad_share": 1.0})
    assert validate(history, limits=lenient).skus["A"].reason == "0 days with a known value, 10 needed"


@pytest.mark.parametrize(
    "sku", ["🍎 apple/red:1", "x" * 300, "<script>alert(1)</script>", "$PARAMETER", "nan", " ", "{sku}"]
)
def test_any_name_is_a_name(sku: str) -> None:
    history = make_series(sku)
    history.loc[7, "units"] = -1.0
    verdict = validate(history, sku)
    assert list(verdict.skus) == [sku]
    assert verdict.bad_rows["sku"].tolist() == [sku]
    assert len(verdict.clean) == 99


@pytest.mark.parametrize(
    "empty",
    [make_series().head(0), pd.DataFrame(columns=["sku", "store", "date", "units", "price"])],
    ids=["typed", "untyped"],
)
def test_an_empty_frame_leaves_every_sku_without_data(empty: pd.DataFrame) -> None:
    verdict = validate(empty, "A", "B")
    assert {sku: v.status for sku, v in verdict.skus.items()} == {"A": "no_data", "B": "no_data"}
    assert verdict.clean.empty
    assert verdict.bad_rows.empty


def test_nothing_planned_gives_no_verdict() -> None:
    verdict = validate_chunk(make_series(), limits=LIMITS, as_of=AS_OF, planned=[])
    assert verdict.skus == {}
    assert verdict.clean.empty


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="units"), "units is missing, expected number"),
        (lambda frame: frame.assign(units="3"), "units is text, expected number"),
        (lambda frame: frame.assign(units=True), "units is boolean, expected number"),
        (lambda frame: frame.assign(date="2024-01-01"), "date is text, expected date"),
        (lambda frame: frame.assign(date=frame["date"].dt.tz_localize("UTC")), "date is datetime64[us, UTC]"),
        (lambda frame: frame.assign(sku=1, price="x"), "sku is number, expected text; price is text, expected number"),
        (lambda frame: frame.assign(sku=["A", 1] * 50), "sku is object of mixed"),
        (lambda frame: pd.concat([frame, frame[["units"]]], axis=1), "units is there 2 times"),
    ],
)
def test_a_wrong_schema_is_an_error_for_the_chunk(change: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        validate(change(make_series()))  # type: ignore[operator]
    assert message in str(caught.value)


def test_other_column_types_of_the_same_kind_are_welcome() -> None:
    history = make_series().astype({"sku": "category", "store": object, "units": "Int64", "date": "datetime64[ns]"})
    history.loc[3, "units"] = pd.NA
    history["price"] = pd.Series([None] * 100, dtype=object)
    verdict = validate(history)
    assert verdict.bad_rows["reason"].tolist() == ["units is missing"]
    assert verdict.clean.dtypes.to_dict() == history.dtypes.to_dict()


def test_the_index_of_the_input_does_not_matter_and_more_columns_pass_through() -> None:
    history = make_series().assign(drop="d1")
    history.loc[99, "units"] = -1.0
    history.index = pd.Index([5] * 100)
    verdict = validate(history)
    assert verdict.clean.index.tolist() == list(range(99))
    assert verdict.clean["drop"].eq("d1").all()


def test_the_input_is_never_changed() -> None:
    history = pd.concat([make_series("A", units=-1), make_series("B")])
    before = history.copy(deep=True)
    validate(history, "A", "B")
    pd.testing.assert_frame_equal(history, before)


# No shrinking toward the slow: each example runs three suites.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    units=st.lists(st.one_of(st.floats(), st.sampled_from([0.0, 1.0, -1.0, 2e6])), min_size=1, max_size=40),
    days=st.lists(st.integers(-400, 3), min_size=40, max_size=40),
)
def test_every_row_is_either_clean_or_set_aside_and_every_clean_row_is_good(
    units: list[float], days: list[int]
) -> None:
    dates = pd.Timestamp(AS_OF) + pd.to_timedelta(days[: len(units)], unit="D")
    history = pd.DataFrame({"sku": "A", "store": "S1", "date": dates, "units": units, "price": np.nan})
    verdict = validate(history, limits=LIMITS.model_copy(update={"max_bad_share": 1.0}))
    assert len(verdict.clean) + len(verdict.bad_rows) == len(history)
    assert verdict.clean["units"].between(0, LIMITS.max_units).all()
    assert verdict.clean["date"].le(pd.Timestamp(AS_OF)).all()
    assert not verdict.clean.duplicated(["sku", "store", "date"]).any()
    assert verdict.bad_rows["reason"].str.len().gt(0).all()
    assert not validate(verdict.clean).bad_rows["scope"].eq("row").any(), "what is clean stays clean"


def test_results_of_chunks_add_up() -> None:
    one = make_series()
    one.loc[:1, "units"] = -1.0
    parts = [validate(one).expectations, validate(make_series(days=300)).expectations]
    total = {result.name: result for result in combine_expectations(parts)}
    assert len(total) == 14
    assert (total["units_in_range"].unexpected_count, total["units_in_range"].checked) == (2, 400)
    assert total["units_in_range"].unexpected_percent == pytest.approx(0.5)
    assert not total["units_in_range"].success
    assert total["fresh"].success


def test_the_suites_export_as_json_that_great_expectations_reads_back() -> None:
    from great_expectations.core.expectation_suite import ExpectationSuite

    exported = json.loads(json.dumps(export_suites(LIMITS)))
    assert [suite["name"] for suite in exported] == ["schema", "rows", "skus"]
    by_name = {item["meta"]["name"]: item for suite in exported for item in suite["expectations"]}
    assert by_name["enough_history"]["kwargs"] == {"column": "periods", "min_value": 10}
    assert by_name["few_bad_rows"]["meta"]["meaning"] == "at most 20% of a SKU's rows are set aside"
    for suite in exported:
        assert len(ExpectationSuite(**suite).expectations) == len(suite["expectations"])


def test_a_long_lived_worker_keeps_no_results(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        validate(make_series())
    assert _start() is _start()
    assert _start().context.stores[RESULTS_STORE].list_keys() == []
    assert caplog.records == []
    assert capfd.readouterr().err == "", "no progress bar"
