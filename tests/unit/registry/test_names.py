from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.skufleet.errors import PermanentError
from include.skufleet.registry.names import MAX_LENGTH, catalogue_of, folder_name, registered_name, sku_of

catalogues = st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)
skus = st.text(st.characters(), min_size=1, max_size=400)  # half characters (surrogates) and NUL included


@pytest.mark.parametrize(
    ("sku", "name"),
    [
        ("FOODS_1_001", "m5-FOODS_1_001"),
        ("85123A", "m5-85123A"),
        ("a/b:c", "m5-a~2Fb~3Ac"),
        ("50%", "m5-50~25"),
        ("..", "m5-~2E~2E"),
        ("\"x' y\n", "m5-~22x~27~20y~0A"),
        ("~", "m5-~7E"),
        ("é☕", "m5-~C3~A9~E2~98~95"),
    ],
)
def test_a_name_is_readable_for_ordinary_codes_and_escaped_for_the_others(sku: str, name: str) -> None:
    assert registered_name("m5", sku) == name
    assert sku_of(name) == sku


@given(catalogues, skus)
@example("demo", "🧦" * 100)
@example("m", "\ud800/../%2F")
def test_a_name_holds_nothing_that_urls_filters_or_mlflow_treat_specially(catalogue: str, sku: str) -> None:
    name = registered_name(catalogue, sku)
    assert re.fullmatch(r"[A-Za-z0-9_~-]+", name)
    assert len(name) <= MAX_LENGTH
    assert catalogue_of(name) == catalogue


@given(catalogues, skus)
def test_the_sku_comes_back_unless_the_name_was_cut(catalogue: str, sku: str) -> None:
    name = registered_name(catalogue, sku)
    if "~~" in name:
        with pytest.raises(PermanentError, match="tag sku"):
            sku_of(name)
    else:
        assert sku_of(name) == sku


@given(catalogues, skus, catalogues, skus)
def test_two_skus_never_share_a_name(catalogue: str, sku: str, other_catalogue: str, other: str) -> None:
    same = (catalogue, sku) == (other_catalogue, other)
    assert (registered_name(catalogue, sku) == registered_name(other_catalogue, other)) == same


def test_two_long_skus_that_differ_at_the_end_only_have_two_names_of_full_length() -> None:
    one, other = (registered_name("demo", "x" * 300 + end) for end in "ab")
    assert one != other
    assert len(one) == len(other) == MAX_LENGTH


def test_the_longest_name_that_fits_is_not_cut() -> None:
    assert registered_name("demo", "x" * 251) == "demo-" + "x" * 251


@pytest.mark.parametrize("name", ["", "demo", "demo-", "-", "demo-~4", "demo-~FF", "demo-ü", "demo-~ZZ"])
def test_a_name_that_no_sku_has_is_refused(name: str) -> None:
    with pytest.raises(PermanentError, match="not one of a SKU"):
        sku_of(name)


@pytest.mark.parametrize(("catalogue", "sku"), [("demo", ""), ("De-mo", "A"), ("", "A")])
def test_an_empty_sku_and_a_catalogue_that_no_file_can_have_are_refused(catalogue: str, sku: str) -> None:
    with pytest.raises(PermanentError, match="no model name"):
        registered_name(catalogue, sku)


def test_a_models_folder_is_short_enough_for_a_file_system_and_its_own() -> None:
    assert folder_name("demo-A") == "demo-A"
    long = [registered_name("demo", "x" * 240 + end) for end in ("a", "b")]
    folders = {folder_name(name) for name in long}
    assert len(folders) == 2
    assert {len(folder) for folder in folders} == {200}
