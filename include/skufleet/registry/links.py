"""Addresses of pages in MLflow's web interface, as its version 3.17 routes them. Pure functions of text."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

LONGEST_SEARCH = 6000  # characters: the page sends its search in the address of a request


def registry_search_url(
    ui_url: str, catalogue: str, *, department: str = "", name_part: str = "", names: Sequence[str] = ()
) -> str:
    """The registered models of a catalogue, narrowed to a department, to names that contain a part, or to some names.

    The page's search field takes a filter string as soon as it contains ``tags.``; a quote inside a value cannot be
    written in that language, so the value is cut before it and matched from its beginning. Names that are too many for
    an address are left out: the page then shows the whole catalogue.
    """
    parts = [f"tags.catalogue = '{catalogue}'"]
    if department:
        parts.append(f"tags.department {_matches(department)}")
    if name_part:
        parts.append(f"name ILIKE '%{name_part.partition(chr(39))[0]}%'")
    listed = ", ".join(f"'{name}'" for name in names)
    if listed and len(quote(listed, safe="")) <= LONGEST_SEARCH:
        parts.append(f"name IN ({listed})")
    return f"{ui_url.rstrip('/')}/#/models?searchInput={quote(' AND '.join(parts), safe='')}"


def run_url(ui_url: str, experiment_id: str, run_id: str) -> str:
    """The page of an MLflow run: a chunk, its metrics and its models."""
    return f"{ui_url.rstrip('/')}/#/experiments/{quote(experiment_id, safe='')}/runs/{quote(run_id, safe='')}"


def model_url(ui_url: str, name: str, version: int | None = None) -> str:
    """The page of a registered model, or of one of its versions."""
    page = f"{ui_url.rstrip('/')}/#/models/{quote(name, safe='')}"
    return page if version is None else f"{page}/versions/{version}"


def _matches(value: str) -> str:
    before, found, _ = value.partition("'")
    return f"LIKE '{before}%'" if found else f"= '{value}'"
