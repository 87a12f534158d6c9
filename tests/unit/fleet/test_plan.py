"""What a run trains: selection, cost, departments, and the accounts of what it leaves out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.errors import PlanError
from include.skufleet.fleet.selection import UNKNOWN_DEPARTMENT, select_skus
from tests.unit.fleet.small_fleet import DAYS, END, SmallFleet, day, weekly

KNOWN = ["FRE-1", "FRE-2", "GRO-1", "[x]", "a*"]


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), KNOWN),
        (("", "  "), KNOWN),
        (("GRO-1",), ["GRO-1"]),
        (("FRE-*",), ["FRE-1", "FRE-2"]),
        (("GRO-1", "FRE-2"), ["FRE-2", "GRO-1"]),
        (("FRE-*", "FRE-1", " GRO-1 "), ["FRE-1", "FRE-2", "GRO-1"]),
        (("*-1",), ["FRE-1", "GRO-1"]),
        (("fre-?",), None),
        (("a*",), ["a*"]),
        (("[x]",), ["[x]"]),
        (("[[]*",), ["[x]"]),
    ],
)
def test_codes_and_patterns_select_in_the_catalogues_order(wanted: tuple[str, ...], chosen: list[str] | None) -> None:
    if chosen is None:
        with pytest.raises(PlanError):
            select_skus(KNOWN, wanted, "shop")
    else:
        assert select_skus(KNOWN, wanted, "shop") == chosen


def test_one_code_that_does_not_exist_fails_the_whole_selection() -> None:
    with pytest.raises(PlanError) as caught:
        select_skus(KNOWN, ("FRE-1", "DRK-*"), "shop")
    assert str(caught.value) == (
        "skus: 'DRK-*' matches none of the 5 SKUs of catalogue 'shop' (they look like: FRE-1, FRE-2, GRO-1); "
        "give codes or shell patterns, for example FRE*"
    )


def test_an_empty_catalogue_matches_nothing() -> None:
    with pytest.raises(PlanError, match="none of the 0 SKUs"):
        select_skus([], ("A",), "shop")


@given(st.lists(st.text(min_size=1), unique=True).map(sorted), st.data())
def test_a_code_always_selects_itself(known: list[str], data: st.DataObject) -> None:
    named = [sku for sku in known if sku.strip() == sku]
    if named:
        sku = data.draw(st.sampled_from(named))
        assert select_skus(known, [sku], "shop") == [sku] or sku.strip() == ""


@pytest.fixture(scope="module")
def fleet() -> SmallFleet:
    """``B`` in two stores; ``LATE`` since 10 days; ``GONE`` for 20 days only; one unlisted, one never sold."""
    opened = SmallFleet.open(attributes=True, fleet={"buckets": 4, "skus_per_chunk": 2})
    opened.deliver(
        [
            *weekly("A"),
            *weekly("B"),
            *weekly("B", store="S2"),
            *weekly("LATE", days=range(DAYS - 10, DAYS)),
            *weekly("GONE", days=range(20)),
            *weekly("UNLISTED"),
        ]
    )
    opened.list_skus({"A": "Food", "B": "Drinks", "LATE": "", "GONE": "Food", "NEVER": "Food"})
    return opened


def plan_of(fleet: SmallFleet, **params: object) -> tuple[dict, dict]:
    """The plan with the SKUs that it leaves out, and SKU -> what its chunk's manifest says of it."""
    run = fleet.new_run(**params)
    fleet.plan(run)
    plan = fleet.store.get_json(run.plan_key)
    manifests = [fleet.store.get_json(f"{run.chunk_folder(c['chunk'])}/manifest.json") for c in plan["chunks"]]
    plan["not_planned"] = fleet.store.get_frame(run.not_planned_key).to_dict("records")
    return plan, {sku: item for manifest in manifests for sku, item in manifest["skus"].items()}


def test_every_known_sku_is_planned_or_left_out_with_a_reason(fleet: SmallFleet) -> None:
    plan, skus = plan_of(fleet)
    assert set(skus) == {"A", "B", "LATE", "GONE"}
    assert {item["sku"]: (item["outcome"], item["department"]) for item in plan["not_planned"]} == {
        "NEVER": ("skipped", "Food"),
        "UNLISTED": ("quarantined", UNKNOWN_DEPARTMENT),
    }
    assert all(item["reason"] for item in plan["not_planned"])
    counts = {"skus": 6, "planned": 4, "to_train": 4, "unchanged": 0, "not_planned": 2, "chunks": 2}
    assert plan["counts"] == counts


def test_the_rows_of_a_sku_are_the_days_of_its_series_up_to_as_of(fleet: SmallFleet) -> None:
    plan, _ = plan_of(fleet)
    assert sum(chunk["rows"] for chunk in plan["chunks"]) == DAYS + 2 * DAYS + 10 + 20
    plan, _ = plan_of(fleet, as_of=day(9))
    assert sum(chunk["rows"] for chunk in plan["chunks"]) == 10 + 2 * 10 + 10


def test_a_sku_first_sold_after_as_of_is_not_known_yet(fleet: SmallFleet) -> None:
    plan, skus = plan_of(fleet, as_of=END - timedelta(days=20))
    assert "LATE" not in skus
    assert {item["sku"]: item["reason"] for item in plan["not_planned"]}["LATE"] == (
        "in the catalogue, but never sold up to as_of"
    )


def test_departments_come_from_the_attributes_and_an_empty_one_has_a_name(fleet: SmallFleet) -> None:
    _, skus = plan_of(fleet)
    assert {sku: item["department"] for sku, item in skus.items()} == {
        "A": "Food",
        "B": "Drinks",
        "GONE": "Food",
        "LATE": UNKNOWN_DEPARTMENT,
    }


def test_a_selection_limits_the_plan_and_its_accounts(fleet: SmallFleet) -> None:
    plan, skus = plan_of(fleet, skus=("A", "N*"))
    assert set(skus) == {"A"}
    assert [item["sku"] for item in plan["not_planned"]] == ["NEVER"]
    assert plan["counts"]["skus"] == 2
    assert plan["params"]["skus"] == ["A", "N*"]


def test_a_dry_run_hands_out_no_chunk_but_plans_them(fleet: SmallFleet) -> None:
    run = fleet.new_run(dry_run=True)
    assert fleet.plan(run) == []
    assert fleet.store.get_json(run.plan_key)["counts"]["chunks"] == 2


def test_a_catalogue_without_attributes_trains_whatever_was_sold(fleet: SmallFleet) -> None:
    landing = fleet.catalogue.landing.model_copy(update={"attributes": None})
    bare = replace(fleet, catalogue=fleet.catalogue.model_copy(update={"landing": landing}))
    plan, skus = plan_of(bare)
    assert set(skus) == {"A", "B", "LATE", "GONE", "UNLISTED"}
    assert plan["not_planned"] == []
    assert {item["department"] for item in skus.values()} == {UNKNOWN_DEPARTMENT}


def test_the_plan_names_the_version_in_production(fleet: SmallFleet) -> None:
    run = fleet.new_run(skus=("A",))
    for chunk in fleet.plan(run):
        fleet.retrain(run, chunk)
    fleet.promote(run)
    _, skus = plan_of(fleet, skus=("A", "B"))
    assert skus["A"]["production"]["version"] == 1
    assert skus["A"]["production"]["outcome"] == "trained"
    assert skus["B"]["production"] is None


def test_planning_again_gives_the_same_chunks(fleet: SmallFleet) -> None:
    run = fleet.new_run(skus=("B", "LATE", "A"))
    handed_out, plan = fleet.plan(run), fleet.store.get_json(run.plan_key)
    assert fleet.again().plan(run) == handed_out
    assert fleet.store.get_json(run.plan_key)["chunks"] == plan["chunks"]
