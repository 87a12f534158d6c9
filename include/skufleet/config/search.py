"""The hyperparameter search of a catalogue: which keys of its file are tried with which values, and on how many SKUs.

What does not belong here: drawing configurations, judging them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from include.skufleet.config.base import Model, Text

FIXED = {
    "name": "it says which catalogue this is",
    "description": "it is for people",
    "schedule": "it says when to retrain",
    "landing": "it says what the data is",
    "hierarchy": "it says what the data is",
    "frequency": "it says what is forecast",
    "horizon": "it says what is forecast",
    "season_length": "it says what the baseline is",
    "validation": "it says which SKUs can be trained",
    "intervals": "point forecasts are scored, not intervals",
    "gate": "it says what goes to production",
    "fleet": "it says how the work is cut",
    "notify": "it says who is told",
    "search": "it is the search itself",
}
"""First parts of keys that cannot be searched, and why: trials must forecast and be judged on the same."""


class Range(Model):
    """Numbers between ``low`` and ``high``, drawn at random: evenly, or evenly in their logarithm.

    Whole numbers are drawn where both ends are whole numbers.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _check_ends(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low {self.low}: a logarithm needs numbers above 0")
        return self


def _kind_of_values(value: Any) -> str | None:
    if isinstance(value, Mapping | Range):
        return "range"
    return "values" if isinstance(value, list | tuple) else None


Choices = Annotated[tuple[Any, ...], Field(min_length=1)]
Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("values")],
    Discriminator(
        _kind_of_values,
        custom_error_type="values",
        custom_error_message="expected a list of values to try, or a range with low and high",
    ),
]


class Search(Model):
    """A search over keys of the file by successive halving, judged on windows that no trial may look at.

    Attributes:
        method: ``grid`` tries every combination of the space; ``random`` draws ``configurations`` of them.
        configurations: trials of the first rung, the file's own configuration among them; of a grid, the most allowed.
        sample: SKUs of the first rung; each further rung has three times as many, and a third of the trials.
        rungs: how often the best go on, the first rung included.
        held_back: the last windows of the history, one horizon each, that trials are scored on and never choose on.
        metric: what ranks the trials; ``None`` takes what ``backtest.metric`` comes closest to.
        seed: of the draw and of the sample.
        space: dotted key of the file -> values to try, or a ``Range``; empty takes a default.
    """

    method: Literal["grid", "random"] = "random"
    configurations: Annotated[int, Field(ge=2, le=900)] = 18
    sample: Annotated[int, Field(ge=1)] = 40
    rungs: Annotated[int, Field(ge=1, le=6)] = 3
    held_back: Annotated[int, Field(ge=1, le=12)] = 2
    metric: Literal["wape", "rmsse"] | None = None
    seed: Annotated[int, Field(ge=0)] = 0
    space: dict[Text, Values] = Field(default_factory=dict)

    @field_validator("space")
    @classmethod
    def _check_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        for key in value:
            if reason := FIXED.get(key.split(".")[0]):
                raise ValueError(f"{key} cannot be searched: {reason}; take it out")
        if nested := [key for key in value if any(other.startswith(f"{key}.") for other in value)]:
            raise ValueError(f"{nested[0]} and a key below it are both named; name one of them")
        return value

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        if self.method == "random":
            return self
        if ranges := [key for key, values in self.space.items() if isinstance(values, Range)]:
            raise ValueError(f"space: {ranges[0]}: a grid needs a list of values; use method: random for a range")
        size = 1
        for values in self.space.values():
            size *= len(values) if not isinstance(values, Range) else 1
        if size > self.configurations:
            raise ValueError(
                f"the grid has {size} combinations, configurations allows {self.configurations}; raise it, name fewer "
                "values, or use method: random"
            )
        return self

    def examples(self) -> list[tuple[str, Any]]:
        """Each key with each of its values; of a range, both ends."""
        return [
            (key, value)
            for key, values in self.space.items()
            for value in ((values.low, values.high) if isinstance(values, Range) else values)
        ]


def change_keys(raw: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A catalogue file's content with some dotted keys changed; sections that are not there are made.

    >>> change_keys({"backtest": {"windows": 3}}, {"backtest.windows": 5, "settings.tsb.alphas": [0.1]})
    {'backtest': {'windows': 5}, 'settings': {'tsb': {'alphas': [0.1]}}}
    """
    changed = copy.deepcopy(dict(raw))
    for key, value in changes.items():
        *sections, last = key.split(".")
        place = changed
        for name in sections:
            inner = place.get(name)
            # A value where a section is expected is replaced: the file's model then says what is wrong with the key.
            place[name] = inner if isinstance(inner, dict) else {}
            place = place[name]
        place[last] = copy.deepcopy(value)
    return changed


def read_key(raw: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; ``None`` where there is none.

    >>> read_key({"backtest": {"windows": 3}}, "backtest.windows"), read_key({}, "backtest.windows")
    (3, None)
    """
    place: Any = raw
    for name in key.split("."):
        if not isinstance(place, Mapping) or name not in place:
            return None
        place = place[name]
    return place


def is_about(key: str, at: str, raw: Mapping[str, Any]) -> bool:
    """Whether a complaint at ``at`` is about a searched key, rather than about how it goes with other keys.

    How keys go together depends on the rest of a configuration, so it is judged once one is drawn.

    >>> is_about("backtest.windows", "backtest.windows", {}), is_about("settings.x.y", "settings.x", {"settings": {}})
    (True, True)
    >>> is_about("backtest.windows", "backtest", {"backtest": {"windows": 3}})
    False
    """
    if f"{at}.".startswith(f"{key}."):
        return True
    return f"{key}.".startswith(f"{at}.") and not isinstance(read_key(raw, at), Mapping)
