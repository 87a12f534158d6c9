"""Which old versions go: never one that anybody needs."""

from __future__ import annotations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.lifecycle.retention import choose_versions_to_prune

FLEETS = st.dictionaries(st.sampled_from("abcd"), st.sets(st.integers(1, 12), min_size=1), min_size=1)


def frame(fleet: dict[str, set[int]]) -> pd.DataFrame:
    rows = [(name, number, f"s3://{name}/{number}") for name, numbers in fleet.items() for number in numbers]
    return pd.DataFrame(rows, columns=["name", "version", "artifact_uri"])


@given(FLEETS, st.data(), st.integers(1, 6))
def test_aliased_and_newest_versions_stay_and_all_others_go(fleet: dict[str, set[int]], data, keep: int) -> None:
    aliased = {name: data.draw(st.sets(st.sampled_from(sorted(numbers)))) for name, numbers in fleet.items()}
    old = choose_versions_to_prune(frame(fleet), aliased, keep=keep, most=1000)
    pruned = {name: set(rows["version"]) for name, rows in old.groupby("name")}
    for name, numbers in fleet.items():
        newest = set(sorted(numbers)[-keep:])
        assert pruned.get(name, set()) == numbers - newest - aliased[name]


@given(FLEETS, st.integers(0, 5))
def test_a_backlog_is_worked_off_from_the_oldest(fleet: dict[str, set[int]], most: int) -> None:
    aliased: dict[str, set[int]] = {name: set() for name in fleet}
    everything = choose_versions_to_prune(frame(fleet), aliased, keep=1, most=1000)
    some = choose_versions_to_prune(frame(fleet), aliased, keep=1, most=most)
    assert some["artifact_uri"].tolist() == everything["artifact_uri"].tolist()[:most]
    assert everything["version"].is_monotonic_increasing


def test_what_is_left_of_a_model_that_was_deleted_by_hand_goes() -> None:
    old = choose_versions_to_prune(frame({"a": {1, 2}, "b": {1}}), {"b": {1}}, keep=5, most=10)
    assert old[["name", "version"]].to_numpy().tolist() == [["a", 1], ["a", 2]]


def test_nothing_in_nothing_out() -> None:
    assert choose_versions_to_prune(frame({}), {}, keep=1, most=10).empty
