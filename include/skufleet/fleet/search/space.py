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
from typing import Any

from pydantic import ValidationError

from include.skufleet.config import BASELINE, Catalogue
from include.skufleet.config.problems import describe_problems
from include.skufleet.config.search import Range, Search, change_keys, read_key
from include.skufleet.errors import CatalogueError, PlanError

LISTED_WHOLE = 20_000
"""Combinations up to which all are listed and shuffled, so that none is drawn twice."""
TRIES_PER_CONFIGURATION = 100

Space = Mapping[str, Range | Sequence[Any]]


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


def describe_changes(changes: Mapping[str, Any]) -> str:
    """Changes in one line, keys without their sections.

    >>> describe_changes({"backtest.windows": 5, "candidates": ["seasonal_naive", "tsb"]})
    'windows=5, candidates=tsb'
    >>> describe_changes({})
    'as in the file'
    """
    if not changes:
        return "as in the file"
    return ", ".join(f"{key.rpartition('.')[2]}={_describe(value)}" for key, value in changes.items())


def _describe(value: Any) -> str:
    if isinstance(value, list | tuple):
        shown = [item for item in value if item != BASELINE] or value
        return "+".join(str(item) for item in shown)
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
    """What is worth trying for any catalogue: fewer candidates, and how the choice between them is made."""
    space: dict[str, Sequence[Any]] = {
        "backtest.windows": [2, 3, 4, 6],
        "backtest.simpler_within": [0.0, 0.01, 0.02, 0.05, 0.1],
        "backtest.metric": ["rmsse", "wape"],
    }
    others = [name for name in catalogue.candidates if name != BASELINE]
    if len(others) > 1:
        without_one = [[name for name in catalogue.candidates if name != left_out] for left_out in others]
        # Half of the draws keep all of them: the other keys matter most there.
        space["candidates"] = [list(catalogue.candidates)] * len(others) + without_one
    return space


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
    values = {key: read_key(dump, key) for key in point if _matters(key, drawn)}
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
