"""What a search tries: configurations of the catalogue file, each checked as a whole before anything runs.

What does not belong here: which key may be searched and what it takes (``config``).
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from include.skufleet.config import BASELINE, CandidateName, Catalogue
from include.skufleet.config.problems import describe_problems
from include.skufleet.config.search import Range, Search, change_keys, read_key
from include.skufleet.errors import CatalogueError, PlanError
from include.skufleet.forecasting.candidates import CANDIDATES

LISTED_WHOLE = 20_000
"""Combinations up to which all are listed and shuffled, so that none is drawn twice."""
TRIES_PER_CONFIGURATION = 100

Space = Mapping[str, Range | Sequence[Any]]

_BOTH: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "tsb": {"alphas": [[0.02, 0.05], [0.1, 0.3]], "betas": [[0.01, 0.03], [0.05, 0.15]]},
    "poisson_regression": {"ridge": [0.3, 3.0, 10.0]},
    "profile": {"ridge": [0.3, 3.0], "pooling": [0.0, 0.25, 1.0], "store_pseudo_units": [8.0, 80.0]},
    "hist_gradient_boosting": {"trees": [5, 20], "learning_rate": [0.1]},
    "random_forest": {"trees": [25], "depth": [3, 7]},
}
SETTINGS: Mapping[str, Mapping[str, Mapping[str, Sequence[Any]]]] = {
    "D": {
        **_BOTH,
        "weekday_mean": {"seasons": [4, 13, 26]},
        "exponential_smoothing": {"half_lives": [[7.0, 14.0, 28.0], [28.0, 56.0, 112.0]]},
        "theta": {"half_lives": [[7.0, 14.0, 28.0], [28.0, 56.0, 112.0]]},
    },
    "W": {
        **_BOTH,
        "weekday_mean": {"seasons": [4, 13]},
        "exponential_smoothing": {"half_lives": [[1.0, 2.0, 4.0], [4.0, 8.0, 16.0]]},
        "theta": {"half_lives": [[1.0, 2.0, 4.0], [4.0, 8.0, 16.0]]},
    },
}
"""By frequency and candidate: the values of its settings that the default space tries beside the file's."""


@dataclass(frozen=True)
class Configuration:
    """One configuration of the catalogue file.

    Attributes:
        trial: its name in this search: ``t000`` is the file's own.
        changes: dotted key -> value, where it differs from the file and matters; empty for the file's own.
        catalogue: the file with these changes.
    """

    trial: str
    changes: Mapping[str, Any]
    catalogue: Catalogue


def describe_changes(changes: Mapping[str, Any], file: Mapping[str, Any] | None = None) -> str:
    """Changes in one line, keys without their sections; candidates that come and go where the file's are known.

    >>> describe_changes({"backtest.windows": 5, "settings.tsb.alphas": [0.1, 0.2]})
    'windows=5, tsb.alphas=0.1+0.2'
    >>> describe_changes({"candidates": ["seasonal_naive", "tsb"]}, {"candidates": ["seasonal_naive", "theta"]})
    'candidates without theta, with tsb'
    >>> describe_changes({})
    'as in the file'
    """
    if not changes:
        return "as in the file"
    return ", ".join(describe_change(key, value, read_key(file or {}, key)) for key, value in changes.items())


def describe_change(key: str, value: Any, own: Any = None) -> str:
    """One changed key; ``own`` is the file's value."""
    section, _, name = key.rpartition(".")
    shown = f"{section.removeprefix('settings.')}.{name}" if section.startswith("settings.") else name
    if key == "candidates" and own:
        left, new = ([item for item in one if item not in other] for one, other in ((own, value), (value, own)))
        if 0 < len(left) + len(new) <= 3:
            return f"{shown} " + ", ".join([*(f"without {item}" for item in left), *(f"with {item}" for item in new)])
    return f"{shown}={_write(value)}"


def _write(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "+".join(_write(item) for item in ([item for item in value if item != BASELINE] or value))
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, dict | bool) or value is None else str(value)


def draw_configurations(catalogue: Catalogue, search: Search) -> tuple[Configuration, ...]:
    """The file's own configuration, and those that the search tries beside it; the same for the same file and seed.

    Configurations that would train the very same models count once: settings of a candidate that is not among the
    candidates make no difference.

    Raises:
        CatalogueError: a combination is not a possible catalogue file; the message names its keys and the reason.
        PlanError: the space holds nothing but the file's own configuration.
    """
    space = search.space or default_space(catalogue)
    base = catalogue.model_dump(mode="json", exclude={"search"})
    found = {_identity(catalogue): Configuration("t000", {}, catalogue)}
    most = search.configurations + (search.method == "grid")
    for point in _points(space, search):
        if len(found) >= most:
            break
        drawn = _build(catalogue, base, point)
        changes = _relevant_changes(base, drawn, point)
        found.setdefault(_identity(drawn), Configuration(f"t{len(found):03d}", changes, drawn))
    if len(found) == 1:
        raise PlanError(
            f"search.space of {catalogue.name}.yaml holds nothing but the file's own configuration "
            f"(keys: {', '.join(space)}); give a key a value that the file does not have"
        )
    return tuple(found.values())


def default_space(catalogue: Catalogue) -> dict[str, Sequence[Any]]:
    """What is worth trying for any catalogue: how the choice is made, one candidate more or less, their settings.

    Half of the draws of each key keep the file's value, so that a configuration changes a few keys and not all.
    """
    base = catalogue.model_dump(mode="json", exclude={"search"})
    space: dict[str, Sequence[Any]] = {
        "backtest.windows": [2, 3, 4, 6],
        "backtest.simpler_within": [0.0, 0.005, 0.01, 0.02, 0.05],
        "backtest.metric": ["rmsse", "wape"],
        "candidates": _candidate_lists(catalogue),
    }
    for name in catalogue.candidates:
        space |= {
            f"settings.{name}.{key}": values for key, values in SETTINGS[catalogue.frequency].get(name, {}).items()
        }
    return {key: _mostly(read_key(base, key), values) for key, values in space.items()}


def _candidate_lists(catalogue: Catalogue) -> list[list[str]]:
    """The file's candidates without one of them, or with one of the others."""
    own: list[str] = list(catalogue.candidates)
    others = [name for name in CANDIDATES if name in get_args(CandidateName) and name not in catalogue.candidates]
    fewer = [[name for name in own if name != left_out] for left_out in own if left_out != BASELINE]
    return [*(fewer if len(own) > 2 else []), *([*own, name] for name in others)]


def _mostly(own: Any, values: Sequence[Any]) -> list[Any]:
    """The file's value as often as all others together."""
    others = [value for value in values if value != own]
    return [own] * max(len(others), 1) + others


def _points(space: Space, search: Search) -> Iterator[dict[str, Any]]:
    """Points of the space: all of a grid in its order, else without end or until all were given, at random."""
    keys = list(space)
    axes = [values for values in space.values() if not isinstance(values, Range)]
    if len(axes) == len(keys) and math.prod(len(axis) for axis in axes) <= LISTED_WHOLE:
        points = [dict(zip(keys, values, strict=True)) for values in itertools.product(*axes)]
        if search.method == "random":
            random.Random(search.seed).shuffle(points)  # noqa: S311 -- no secret
        yield from points
        return
    rng = random.Random(search.seed)  # noqa: S311 -- no secret
    for _ in range(TRIES_PER_CONFIGURATION * search.configurations):
        yield {key: _draw(values, rng) for key, values in space.items()}


def _draw(values: Range | Sequence[Any], rng: random.Random) -> Any:
    """One value; of a range to three significant digits, which is as fine as a sample can tell."""
    if not isinstance(values, Range):
        return values[rng.randrange(len(values))]
    if isinstance(values.low, int) and isinstance(values.high, int) and not values.log:
        return rng.randint(values.low, values.high)
    low, high = (math.log(values.low), math.log(values.high)) if values.log else (values.low, values.high)
    drawn = rng.uniform(low, high)
    drawn = min(max(math.exp(drawn) if values.log else drawn, values.low), values.high)
    return round(drawn) if isinstance(values.low, int) and isinstance(values.high, int) else float(f"{drawn:.3g}")


def _build(catalogue: Catalogue, base: Mapping[str, Any], point: Mapping[str, Any]) -> Catalogue:
    """The file with the point's values in it."""
    try:
        drawn = Catalogue.model_validate(change_keys(base, point))
    except ValidationError as error:
        raise CatalogueError(
            f"{catalogue.name}.yaml: search.space: {describe_changes(point)} is not a possible configuration: "
            f"{describe_problems(error)}"
        ) from error
    # What is searched is not searched again; everything else of the file stays.
    return drawn.model_copy(update={"search": catalogue.search})


def _relevant_changes(base: Mapping[str, Any], drawn: Catalogue, point: Mapping[str, Any]) -> dict[str, Any]:
    """The point's keys that differ from the file and make a difference to what is trained."""
    dump = drawn.model_dump(mode="json", exclude={"search"})
    values = {key: read_key(dump, key) for key in sorted(point) if _matters(key, drawn)}
    return {key: value for key, value in values.items() if value != read_key(base, key)}


def _matters(key: str, catalogue: Catalogue) -> bool:
    parts = key.split(".")
    return parts[0] != "settings" or len(parts) < 2 or parts[1] in catalogue.candidates


def _identity(catalogue: Catalogue) -> str:
    """What the models depend on, as text."""
    dump = catalogue.model_dump(mode="json", exclude={"search"})
    settings = dump.get("settings") or {}
    dump["settings"] = {name: values for name, values in settings.items() if name in catalogue.candidates}
    return json.dumps(dump, sort_keys=True)
