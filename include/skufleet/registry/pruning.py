"""Take old versions out of MLflow."""

from __future__ import annotations

from collections.abc import Iterable

from include.skufleet.errors import PermanentError
from include.skufleet.registry.connection import Connection, error_code
from include.skufleet.registry.names import catalogue_filter, catalogue_of
from include.skufleet.registry.parallel import do_all
from include.skufleet.registry.records import RegisteredVersion

_PER_PAGE = 10_000  # MLflow's limit


def list_versions(connection: Connection, catalogue: str) -> list[RegisteredVersion]:
    """Every version of the catalogue's models."""
    found = connection.pages(
        f"list the versions of {catalogue}",
        lambda client, token: client.search_model_versions(
            catalogue_filter(catalogue), max_results=_PER_PAGE, page_token=token
        ),
    )
    return [RegisteredVersion.from_mlflow(item) for item in found if catalogue_of(item.name) == catalogue]


def delete_versions(connection: Connection, versions: Iterable[tuple[str, int]], threads: int) -> None:
    """Delete versions with several threads; the first outage stops those that have not begun."""
    do_all(lambda item: _delete(connection, *item), list(versions), threads)


def _delete(connection: Connection, name: str, number: int) -> None:
    try:
        connection.call(
            f"delete version {number} of {name}", lambda client: client.delete_model_version(name, str(number))
        )
    except PermanentError as error:
        if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
            raise
