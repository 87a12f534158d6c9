"""One SKU's data as arrays: the panel that candidates are fitted on, and the cut that a backtest makes of it.

``build_panels`` (module ``building``) makes panels from long frames. What does not belong here: reading frames, models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from include.skufleet.errors import DataError

Frequency = Literal["D", "W"]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Dates = NDArray[np.datetime64]

PERIOD_DAYS: dict[str, int] = {"D": 1, "W": 7}


def zero_unknown(values: Floats) -> Floats:
    """The values with 0 in place of NaN; a quarter of the time of ``np.nan_to_num``, which looks for infinity too."""
    return np.where(np.isnan(values), 0.0, values)


@dataclass(frozen=True, slots=True, eq=False)
class Future:
    """What is known ahead of the h periods after a cutoff. Arrays are views; NaN in ``price`` means unknown."""

    dates: Dates
    price: Floats | None
    events: tuple[str, ...]
    indicators: Floats
    flags: Mapping[str, Floats]
    closed: Bools

    def find_events(self) -> list[int]:
        """Numbers of the events that happen in these periods."""
        found: list[int] = np.flatnonzero(self.indicators.any(axis=1)).tolist()
        return found

    def head(self, horizon: int) -> Future:
        """The first ``horizon`` periods."""
        return Future(
            dates=self.dates[:horizon],
            price=None if self.price is None else self.price[:, :horizon],
            events=self.events,
            indicators=self.indicators[:, :horizon],
            flags={name: values[:, :horizon] for name, values in self.flags.items()},
            closed=self.closed[:horizon],
        )


@dataclass(frozen=True, slots=True)
class Prior:
    """A department's profile, which a SKU's is shrunk to.

    Attributes:
        department: its name.
        as_of: the last date that it was fitted on, ISO 8601.
        coefficients: ``group|name`` -> coefficient of the profile's regression.
    """

    department: str
    as_of: str
    coefficients: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One SKU in S stores over T periods, and what is known ahead of the h periods that follow.

    Arrays are shared, never copied and never written to.

    Attributes:
        sku: the SKU code.
        stores: S store names, in ascending order.
        dates: (T,) datetime64[D], one per period: the day, or the Monday of the week.
        units: (S, T) units sold, >= 0. NaN means not known (before the launch, closed, never delivered), not zero.
        price: (S, T+h) or ``None``. NaN means not known.
        price_known_ahead: the prices after T were announced. Without it the last h columns repeat the last price, and
            a cut repeats the price at its own cutoff.
        events: names of the E events.
        indicators: (E, T+h) 1 in periods with the event, else 0.
        flags: name -> (S, T+h), 0 to 1.
        closed: (T+h,) no store is open.
        frequency: ``D`` days or ``W`` weeks.
        season_length: periods in a season, >= 1.
        priors: profiles of its department, by date, each fitted on nothing later than its ``as_of``.
        answers: what has been found of this panel already; see ``sharing.once_per_panel``.
    """

    sku: str
    stores: tuple[str, ...]
    dates: Dates
    units: Floats
    closed: Bools
    price: Floats | None = None
    price_known_ahead: bool = False
    events: tuple[str, ...] = ()
    indicators: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    flags: Mapping[str, Floats] = field(default_factory=dict)
    frequency: Frequency = "D"
    season_length: int = 7
    priors: tuple[Prior, ...] = ()
    answers: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.events and self.indicators.shape != (0, self.closed.size):
            object.__setattr__(self, "indicators", np.zeros((0, self.closed.size)))
        stores, periods, known = len(self.stores), self.dates.size, self.closed.size
        shapes: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
            ("units", self.units.shape, (stores, periods)),
            ("indicators", self.indicators.shape, (len(self.events), known)),
            *((f"flags[{name!r}]", values.shape, (stores, known)) for name, values in self.flags.items()),
        ]
        if self.price is not None:
            shapes.append(("price", self.price.shape, (stores, known)))
        for name, got, expected in shapes:
            if got != expected:
                raise DataError(f"panel of SKU {self.sku!r}: {name} has shape {got}, expected {expected}")
        if periods < 1 or stores < 1 or known < periods:
            raise DataError(f"panel of SKU {self.sku!r}: {stores} stores, {periods} periods, {known} known ahead")
        if self.season_length < 1 or self.frequency not in PERIOD_DAYS:
            raise DataError(f"panel of SKU {self.sku!r}: season {self.season_length}, frequency {self.frequency!r}")
        if np.any(self.units < 0) or np.any(np.isinf(self.units)):
            raise DataError(f"panel of SKU {self.sku!r}: units must be NaN or finite and >= 0")
        if self.price is not None and (np.any(self.price <= 0) or np.any(np.isinf(self.price))):
            raise DataError(f"panel of SKU {self.sku!r}: prices must be NaN or finite and > 0")
        if not all(np.isfinite(values).all() for values in (self.indicators, *self.flags.values())):
            raise DataError(f"panel of SKU {self.sku!r}: events and flags must be finite")

    @property
    def horizon(self) -> int:
        """Periods after T for which inputs are known."""
        return int(self.closed.size - self.dates.size)

    @property
    def future(self) -> Future:
        """The inputs of the h periods after the last one, as views."""
        start, days = self.dates.size, PERIOD_DAYS[self.frequency]
        steps = np.arange(1, self.horizon + 1) * days
        return Future(
            dates=self.dates[-1].astype("datetime64[D]") + steps.astype("timedelta64[D]"),
            price=None if self.price is None else self.price[:, start:],
            events=self.events,
            indicators=self.indicators[:, start:],
            flags={name: values[:, start:] for name, values in self.flags.items()},
            closed=self.closed[start:],
        )

    def until(self, cutoff: int) -> Panel:
        """The panel as it was known after its first ``cutoff`` periods, with the same horizon.

        Views, except prices that nobody announced: there the price at the cutoff is repeated.

        Raises:
            ValueError: ``cutoff`` is not in 1..T.
        """
        if not 1 <= cutoff <= self.dates.size:
            raise ValueError(f"panel of SKU {self.sku!r}: cutoff {cutoff}, expected 1 to {self.dates.size}")
        end, price = cutoff + self.horizon, self.price
        if price is not None and self.price_known_ahead:
            price = price[:, :end]
        elif price is not None:
            price = np.concatenate([price[:, :cutoff], np.repeat(price[:, cutoff - 1 : cutoff], self.horizon, 1)], 1)
        return self._derive(
            dates=self.dates[:cutoff],
            units=self.units[:, :cutoff],
            price=price,
            indicators=self.indicators[:, :end],
            flags={name: values[:, :end] for name, values in self.flags.items()},
            closed=self.closed[:end],
            priors=tuple(prior for prior in self.priors if prior.as_of <= str(self.dates[cutoff - 1])),
        )

    def with_priors(self, priors: tuple[Prior, ...]) -> Panel:
        """The same panel with these profiles of its department, by date; without any it stands alone."""
        return self._derive(priors=priors)

    def _derive(self, **changed: Any) -> Panel:
        """The same but for some fields, which are parts of this panel's: checked once, not once more per cut."""
        panel = object.__new__(Panel)
        for item in fields(Panel):
            object.__setattr__(panel, item.name, changed.get(item.name, getattr(self, item.name)))
        object.__setattr__(panel, "answers", {})
        return panel
