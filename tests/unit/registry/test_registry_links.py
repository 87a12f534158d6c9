from __future__ import annotations

from urllib.parse import unquote

from include.skufleet.registry.links import model_url, registry_search_url, run_url

UI = "http://127.0.0.1:5000/"


def test_the_registry_link_searches_by_catalogue_and_department() -> None:
    url = registry_search_url(UI, "m5", department="FOODS 1", name_part="A_1")
    page, _, query = url.partition("?searchInput=")
    assert page == "http://127.0.0.1:5000/#/models"
    assert unquote(query) == "tags.catalogue = 'm5' AND tags.department = 'FOODS 1' AND name ILIKE '%A_1%'"
    assert not set(query) & set(" '&#+")


def test_a_quote_in_a_department_does_not_end_the_filter() -> None:
    assert unquote(registry_search_url(UI, "m5", department="Men's wear")).endswith("tags.department LIKE 'Men%'")


def test_run_and_model_links_lead_to_their_pages() -> None:
    assert run_url(UI, "3", "abc") == "http://127.0.0.1:5000/#/experiments/3/runs/abc"
    assert model_url(UI, "m5-a~2Fb") == "http://127.0.0.1:5000/#/models/m5-a~2Fb"
    assert model_url(UI, "m5-a", 7) == "http://127.0.0.1:5000/#/models/m5-a/versions/7"


def test_the_search_can_be_narrowed_to_the_models_of_a_chunk() -> None:
    url = unquote(registry_search_url(UI, "m5", names=["m5-A", "m5-B~2F1"]))
    assert url.endswith("searchInput=tags.catalogue = 'm5' AND name IN ('m5-A', 'm5-B~2F1')")


def test_names_too_many_for_an_address_leave_the_whole_catalogue() -> None:
    url = registry_search_url(UI, "m5", names=[f"m5-{number:060d}" for number in range(200)])
    assert unquote(url).endswith("searchInput=tags.catalogue = 'm5'")
