"""Which Dags a Dag file makes: one per catalogue file, and in a task's process its own only."""

from __future__ import annotations

from collections.abc import Iterator

from airflow.sdk import get_parsing_context

from include.skufleet.config import Catalogue, catalogue_files, load_catalogue
from include.skufleet.errors import CatalogueError


def wanted_catalogues(do: str) -> Iterator[Catalogue]:
    """The catalogues whose Dag ``<do>_<catalogue>`` is wanted: all by the Dag processor, one by a task's process.

    A file that is wrong is left out: ``dags/catalogues.py`` shows the reason, and the other catalogues go on.
    """
    asked = get_parsing_context().dag_id
    for name, path in catalogue_files().items():
        if asked in (None, f"{do}_{name}"):
            try:
                yield load_catalogue(path)
            except CatalogueError:
                continue
