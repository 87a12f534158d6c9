"""Which version of each SKU is in which stage: aliases decide.

The tag ``stage`` of a version repeats it for whoever looks at its page. A version that no alias names is a candidate
that the gate did not let through, or archived: it served once, or its trial is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import methodcaller
from typing import Any

from include.skufleet.errors import PermanentError
from include.skufleet.registry.connection import Connection, error_code, name_filters
from include.skufleet.registry.names import catalogue_filter, catalogue_of, sku_of
from include.skufleet.registry.parallel import do_all
from include.skufleet.registry.records import PREVIOUS, PRODUCTION, STAGING, RegisteredVersion, tag_text

Known = Mapping[tuple[str, int], RegisteredVersion]

_MODELS_PER_PAGE = 1000  # MLflow's limit


@dataclass(frozen=True, slots=True)
class ModelState:
    """What one SKU's registered model points at.

    Attributes:
        sku: the SKU's code.
        name: the registered model's name.
        aliases: alias -> version.
        production: the version in production, if any.
        tags: of the registered model.
    """

    sku: str
    name: str
    aliases: Mapping[str, int]
    production: RegisteredVersion | None
    tags: Mapping[str, str] = field(default_factory=dict)


def find_models(connection: Connection, names: Iterable[str]) -> dict[str, Any]:
    """MLflow's registered models of these names with aliases, tags and latest version: a request per 100 or so."""
    models: dict[str, Any] = {}
    for condition in name_filters(list(names)):
        models |= {model.name: model for model in _search_models(connection, condition)}
    return models


def find_states(connection: Connection, catalogue: str, known: Known) -> dict[str, ModelState]:
    """The state of every SKU that the catalogue ever registered.

    Cost: one request per 1,000 registered models, and one for each version in production that is neither its model's
    latest nor among those ``known`` by name and number.
    """
    found = _search_models(connection, catalogue_filter(catalogue))
    states = (_state(connection, model, known) for model in found if catalogue_of(model.name) == catalogue)
    return {state.sku: state for state in states}


def find_state(connection: Connection, name: str) -> ModelState | None:
    """The state of one registered model; ``None`` where there is no such model."""
    models = find_models(connection, [name])
    return _state(connection, models[name], {}) if name in models else None


def point_production(connection: Connection, state: ModelState, version: int) -> None:
    """Make the version production, and the one before it ``previous``.

    The alias ``production`` moves last: whatever breaks off before, the old version serves and a second try does all
    of it again.
    """
    before = state.aliases.get(PRODUCTION)
    if before and before != version:
        _point(connection, state.name, PREVIOUS, before)
    _point(connection, state.name, PRODUCTION, version)


def point_staging(connection: Connection, name: str, version: int) -> None:
    """Let ``staging`` name the version; 0 takes it away, also where there is none."""
    if version:
        _point(connection, name, STAGING, version)
        return
    connection.call(f"take {STAGING} from {name}", lambda client: client.delete_registered_model_alias(name, STAGING))


def tag_version(connection: Connection, name: str, version: int, tags: Mapping[str, str]) -> None:
    """Set tags of a version, a request each."""
    for key, value in tags.items():
        request = methodcaller("set_model_version_tag", name, str(version), key, tag_text(value))
        connection.call(f"tag version {version} of {name}", request)


def tag_versions(connection: Connection, tags: Iterable[tuple[str, int, Mapping[str, str]]], threads: int) -> None:
    """Set tags of many versions; one that was deleted by hand is left out."""

    def work(item: tuple[str, int, Mapping[str, str]]) -> None:
        try:
            tag_version(connection, *item)
        except PermanentError as error:
            if error_code(error) != "RESOURCE_DOES_NOT_EXIST":
                raise

    do_all(work, list(tags), threads)


def _search_models(connection: Connection, condition: str) -> Iterator[Any]:
    return connection.pages(
        "search registered models",
        lambda client, token: client.search_registered_models(
            condition, max_results=_MODELS_PER_PAGE, page_token=token
        ),
    )


def _state(connection: Connection, model: Any, known: Known) -> ModelState:
    aliases = {alias: int(number) for alias, number in model.aliases.items()}
    number = aliases.get(PRODUCTION)
    production = None if number is None else _find_version(connection, model, number, known)
    return ModelState(model.tags.get("sku") or sku_of(model.name), model.name, aliases, production, dict(model.tags))


def _find_version(connection: Connection, model: Any, number: int, known: Known) -> RegisteredVersion:
    if (model.name, number) in known:
        return known[model.name, number]
    latest = {int(item.version): item for item in model.latest_versions}
    return RegisteredVersion.from_mlflow(
        latest.get(number)
        or connection.call(
            f"read version {number} of {model.name}", lambda client: client.get_model_version(model.name, str(number))
        )
    )


def _point(connection: Connection, name: str, alias: str, version: int) -> None:
    connection.call(
        f"point {alias} of {name} at version {version}",
        lambda client: client.set_registered_model_alias(name, alias, str(version)),
    )
