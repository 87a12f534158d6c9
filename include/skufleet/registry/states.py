"""Which version of each SKU is in which stage: aliases decide, tags mirror them for people and for searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from include.skufleet.registry.connection import Connection, name_filters
from include.skufleet.registry.names import catalogue_filter, catalogue_of, sku_of
from include.skufleet.registry.records import PREVIOUS, PRODUCTION, STAGING, RegisteredVersion, tag_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

_MODELS_PER_PAGE = 1000  # MLflow's limit
_VERSIONS_PER_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class ModelState:
    """What one SKU's registered model points at.

    Attributes:
        sku: the SKU's code.
        name: the registered model's name.
        aliases: alias -> version.
        production: the version in production, if any.
    """

    sku: str
    name: str
    aliases: Mapping[str, int]
    production: RegisteredVersion | None


def find_models(connection: Connection, names: Iterable[str]) -> dict[str, Any]:
    """MLflow's registered models of these names with aliases, tags and latest version: a request per 100 or so."""
    models: dict[str, Any] = {}
    for condition in name_filters(list(names)):
        models |= {model.name: model for model in _search_models(connection, condition)}
    return models


def find_version(connection: Connection, model: Any, number: int) -> RegisteredVersion:
    """A version of a registered model; needs a request only where it is not the latest."""
    latest = {int(item.version): item for item in model.latest_versions}
    item = latest.get(number) or connection.call(
        f"read version {number} of {model.name}", lambda client: client.get_model_version(model.name, str(number))
    )
    return RegisteredVersion.from_tags(model.name, number, item.run_id or "", item.tags)


def find_states(connection: Connection, catalogue: str) -> dict[str, ModelState]:
    """The state of every SKU that the catalogue ever registered.

    Cost: one request per 1,000 registered models, one per 10,000 versions in production, and one for each version whose
    tag ``stage`` someone changed by hand.
    """
    found = _search_models(connection, catalogue_filter(catalogue))
    models = [model for model in found if catalogue_of(model.name) == catalogue]
    known = _find_production_versions(connection, catalogue) if any(PRODUCTION in m.aliases for m in models) else {}
    states = (_state(connection, model, known) for model in models)
    return {state.sku: state for state in states}


def move_to_production(connection: Connection, state: ModelState, version: int, reason: str) -> None:
    """Make the version production, and the one before it ``previous``.

    The alias ``production`` moves last: whatever breaks off before, the old version serves and a second try does all
    of it again.
    """
    name, before = state.name, state.aliases.get(PRODUCTION)
    _tag(connection, name, version, stage="production", reason=reason, promoted_at=_now())
    if before and before != version:
        _tag(connection, name, before, stage="archived")
        _point(connection, name, PREVIOUS, before)
    if state.aliases.get(STAGING) == version:
        connection.call(
            f"take {STAGING} from {name}", lambda client: client.delete_registered_model_alias(name, STAGING)
        )
    _point(connection, name, PRODUCTION, version)


def hold_in_staging(connection: Connection, name: str, version: int, reason: str) -> None:
    """Leave the version where it is and say why on its page."""
    _tag(connection, name, version, reason=reason)


def _search_models(connection: Connection, condition: str) -> Iterator[Any]:
    return connection.pages(
        "search registered models",
        lambda client, token: client.search_registered_models(
            condition, max_results=_MODELS_PER_PAGE, page_token=token
        ),
    )


def _find_production_versions(connection: Connection, catalogue: str) -> dict[tuple[str, int], Any]:
    found = connection.pages(
        f"list the versions of {catalogue} in production",
        lambda client, token: client.search_model_versions(
            f"{catalogue_filter(catalogue)} AND tags.stage = 'production'",
            max_results=_VERSIONS_PER_PAGE,
            page_token=token,
        ),
    )
    return {(item.name, int(item.version)): item for item in found}


def _state(connection: Connection, model: Any, known: Mapping[tuple[str, int], Any]) -> ModelState:
    aliases = {alias: int(number) for alias, number in model.aliases.items()}
    production = None
    if (number := aliases.get(PRODUCTION)) is not None:
        item = known.get((model.name, number))
        production = (
            RegisteredVersion.from_tags(model.name, number, item.run_id or "", item.tags)
            if item
            else find_version(connection, model, number)
        )
    return ModelState(model.tags.get("sku") or sku_of(model.name), model.name, aliases, production)


def _tag(connection: Connection, name: str, version: int, **tags: str) -> None:
    for key, value in tags.items():
        request = partial(_set_tag, name=name, version=version, key=key, value=tag_text(value))
        connection.call(f"tag version {version} of {name}", request)


def _set_tag(client: MlflowClient, name: str, version: int, key: str, value: str) -> None:
    client.set_model_version_tag(name, str(version), key, value)


def _point(connection: Connection, name: str, alias: str, version: int) -> None:
    connection.call(
        f"point {alias} of {name} at version {version}",
        lambda client: client.set_registered_model_alias(name, alias, str(version)),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
