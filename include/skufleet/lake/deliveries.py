"""Which deliveries a run may know of: those that had come by its date.

What does not belong here: the dates of the rows themselves, and which run is of the past.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Known:
    """Deliveries before a moment, and those of the backlog, which were there when the catalogue went live.

    When the backlog was delivered says nothing of when its rows were known: they count as known in time.

    Attributes:
        before: microseconds since 1970, UTC; what was delivered then or later is not known.
        backlog: ``seq`` of the last delivery that belongs to the backlog.
    """

    before: int
    backlog: int

    @classmethod
    def at_the_end_of(cls, day: date, backlog: int) -> Self:
        """What had been delivered by midnight (UTC) after a day.

        >>> Known.at_the_end_of(date(1970, 1, 1), 0).before
        86400000000
        """
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
        return cls((midnight - _EPOCH) // timedelta(microseconds=1), backlog)

    @classmethod
    def parse(cls, raw: Mapping[str, Any] | None) -> Self | None:
        """What ``to_json`` gave; ``None``: everything is known."""
        return None if raw is None else cls(int(raw["before"]), int(raw["backlog"]))

    def to_json(self) -> dict[str, int]:
        """As small JSON."""
        return asdict(self)

    def includes(self, seq: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of some deliveries are known.

        >>> Known(before=100, backlog=120).includes(np.array([99, 100, 120, 121])).tolist()
        [True, True, True, False]
        """
        found: npt.NDArray[np.bool_] = (seq < self.before) | (seq <= self.backlog)
        return found

    def misses(self, seq: int) -> bool:
        """Whether a delivery is not known yet."""
        return seq >= self.before and seq > self.backlog
