"""What the simulated chain is: its specification, its departments, stores and SKUs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from include.skufleet.errors import LandingError

AHEAD = 90
"""Days of calendar and prices known beyond the end of an import."""

CLASSES = ("smooth", "erratic", "intermittent", "lumpy")
_CLASS_SHARES = (0.27, 0.16, 0.42, 0.15)


@dataclass(frozen=True)
class Department:
    """A department: how its week and its year look, what its goods cost, and how shoppers react to a lower price.

    ``weekdays`` are factors of Monday to Sunday, ``peak`` the day of the year of the highest season, ``season`` its
    log amplitude, ``elasticity`` the exponent of (price / regular price) and ``promoted`` the share of SKUs on offer.
    """

    code: str
    name: str
    categories: dict[str, tuple[str, ...]]
    weekdays: tuple[float, ...]
    peak: int
    season: float
    price: float
    elasticity: float
    promoted: float


DEPARTMENTS = (
    Department(
        "GRO",
        "Grocery",
        {
            "Pasta and rice": ("spaghetti", "penne", "basmati rice", "couscous"),
            "Canned food": ("chopped tomatoes", "sweetcorn", "tuna", "chickpeas"),
            "Snacks": ("crisps", "salted peanuts", "oat biscuits", "dark chocolate"),
            "Breakfast": ("muesli", "strawberry jam", "honey", "cornflakes"),
        },
        (0.86, 0.83, 0.87, 0.97, 1.24, 1.45, 0.78),
        15,
        0.12,
        2.2,
        2.3,
        0.30,
    ),
    Department(
        "FRE",
        "Fresh",
        {
            "Dairy": ("whole milk", "plain yoghurt", "butter", "mild cheddar"),
            "Bakery": ("rye bread", "croissants", "bread rolls", "apple cake"),
            "Fruit and vegetables": ("tomatoes", "bananas", "carrots", "strawberries"),
        },
        (0.95, 0.88, 0.90, 0.98, 1.18, 1.38, 0.73),
        170,
        0.18,
        1.8,
        1.8,
        0.20,
    ),
    Department(
        "DRK",
        "Drinks",
        {
            "Soft drinks": ("cola", "lemonade", "sparkling water", "iced tea"),
            "Juice": ("orange juice", "apple juice", "grape juice"),
            "Coffee and tea": ("ground coffee", "espresso beans", "green tea"),
        },
        (0.80, 0.78, 0.84, 1.00, 1.35, 1.55, 0.68),
        200,
        0.35,
        2.6,
        2.8,
        0.35,
    ),
    Department(
        "HOM",
        "Household",
        {
            "Cleaning": ("dish soap", "laundry liquid", "glass cleaner"),
            "Paper goods": ("kitchen roll", "tissues", "baking paper"),
            "Kitchen": ("mixing bowl", "frying pan", "storage box", "wooden spoon"),
        },
        (0.92, 0.90, 0.92, 0.95, 1.10, 1.42, 0.79),
        100,
        0.08,
        4.5,
        2.0,
        0.25,
    ),
    Department(
        "PER",
        "Personal care",
        {
            "Hair care": ("shampoo", "conditioner", "styling gel"),
            "Body care": ("shower gel", "hand cream", "sun lotion"),
            "Oral care": ("toothpaste", "toothbrush", "mouthwash"),
        },
        (0.95, 0.94, 0.95, 0.98, 1.08, 1.30, 0.80),
        190,
        0.15,
        3.5,
        1.6,
        0.25,
    ),
    Department(
        "LEI",
        "Leisure",
        {
            "Toys": ("wooden train", "jigsaw puzzle", "building blocks"),
            "Garden": ("flower pot", "bird seed", "watering can"),
            "Stationery": ("notebook", "gel pens", "gift wrap"),
        },
        (0.75, 0.74, 0.80, 0.92, 1.20, 1.75, 0.84),
        340,
        0.40,
        7.5,
        1.9,
        0.15,
    ),
)

_VARIANTS = ("classic", "organic", "family pack", "mini", "premium", "value", "farmhouse", "light")
_AWKWARD = ("KÜCHE/{n:05d}", "HOME:{n:05d}", "TOYS {n:05d} blue", "CAFÉ/ROAST:{n:05d}", "50% {n:05d} & more")
_AWKWARD_EVERY = 25
_STORE_SIZES = (1.6, 1.2, 1.0, 0.7, 0.5)


@dataclass(frozen=True)
class DemoSpec:
    """What makes a simulated chain: two equal specifications deliver equal bytes for every day.

    Attributes:
        anchor: last day of the first import; launches, discontinuations and special drops are placed around it.
        seed: picks the chain among all others of these sizes.
        skus: SKUs, at least 20 (so that every kind of SKU occurs).
        stores: stores, named ``N01``, ``S01``, ``N02`` ...: north and south have school holidays of their own.
        days: days of history up to the anchor, at least 120.
    """

    anchor: date
    seed: int = 7
    skus: int = 300
    stores: int = 5
    days: int = 913

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("skus", 20), ("stores", 1), ("days", 120)):
            if (got := getattr(self, name)) < least:
                raise LandingError(f"demo simulator: {name}: got {got}, expected at least {least}")

    @property
    def start(self) -> date:
        """First day of the history."""
        return self.anchor - timedelta(days=self.days - 1)

    @cached_property
    def assortment(self) -> pd.DataFrame:
        """One row per SKU; see ``draw_assortment``."""
        return draw_assortment(self)

    @cached_property
    def store_names(self) -> tuple[str, ...]:
        """North and south in turn, the biggest first."""
        return tuple(f"{'NS'[index % 2]}{index // 2 + 1:02d}" for index in range(self.stores))

    @cached_property
    def store_sizes(self) -> Any:
        """Size factors of the stores, shape (stores,), repeating every five stores."""
        return np.array([_STORE_SIZES[index % len(_STORE_SIZES)] for index in range(self.stores)])

    def rng(self, stream: str, index: int = 0) -> np.random.Generator:
        """The random numbers of one purpose on one day (or in one cycle): the same whatever else was drawn before."""
        return np.random.default_rng([self.seed, int.from_bytes(stream.encode(), "big") % (2**61 - 1), index])

    def to_json(self) -> dict[str, Any]:
        """A JSON-able record that ``from_json`` reads back."""
        return {**asdict(self), "anchor": self.anchor.isoformat()}

    @classmethod
    def from_json(cls, raw: Any, where: str) -> DemoSpec:
        """Read a record of ``to_json``.

        Raises:
            LandingError: it is not such a record.
        """
        try:
            return cls(**{**raw, "anchor": date.fromisoformat(raw["anchor"])})
        except (TypeError, KeyError, ValueError) as error:
            raise LandingError(
                f"{where}: is not the demo's state ({error}); delete it and the demo's landing, and import again"
            ) from error


def draw_assortment(spec: DemoSpec) -> pd.DataFrame:
    """Every SKU of the chain with what drives its demand.

    Returns:
        One row per SKU: ``sku, description, department`` (index into ``DEPARTMENTS``), ``category, kind`` (of
        ``CLASSES``), ``rate`` (units a day in a store of size 1), ``size`` (units per purchase), ``shape`` (of the
        gamma noise), ``price, elasticity, trend`` (log per year), ``launch`` and ``end`` (day numbers from
        ``spec.start``; sold from launch on and before end), ``listed`` (is in the attributes), ``broken`` (its units
        are often absurd).
    """
    rng, n = spec.rng("assortment"), spec.skus
    department = rng.choice(len(DEPARTMENTS), n, p=(0.26, 0.18, 0.16, 0.15, 0.13, 0.12))
    kind = np.array(CLASSES)[rng.choice(len(CLASSES), n, p=_CLASS_SHARES)]
    frame = pd.DataFrame({"department": department, "kind": kind})
    rates = {"smooth": (14.0, 0.55), "erratic": (7.0, 0.5), "intermittent": (0.28, 0.6), "lumpy": (1.3, 0.5)}
    spread = rng.standard_normal(n)
    frame["rate"] = [rates[k][0] * np.exp(rates[k][1] * z) for k, z in zip(kind, spread, strict=True)]
    frame["size"] = np.select(
        [kind == "lumpy", kind == "erratic", kind == "intermittent"],
        [rng.uniform(4, 10, n), rng.uniform(1.5, 3, n), rng.uniform(1, 1.2, n)],
        1.0,
    )
    shapes = {"smooth": 25.0, "erratic": 1.6, "intermittent": 6.0, "lumpy": 3.0}
    frame["shape"] = [shapes[k] for k in kind]
    levels = np.array([d.price for d in DEPARTMENTS])[department] * np.exp(0.45 * rng.standard_normal(n))
    frame["price"] = np.maximum(np.round(levels * 2) / 2, 0.5) - 0.01
    elasticity = np.array([d.elasticity for d in DEPARTMENTS])[department]
    frame["elasticity"] = np.clip(elasticity + 0.4 * rng.standard_normal(n), 0.6, 4.0)
    frame["trend"] = 0.02 + 0.10 * rng.standard_normal(n)
    _name_skus(frame, rng)
    _place_in_time(frame, spec, rng)
    return frame


def _name_skus(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """Add ``sku, description, category``: readable codes, one in 25 with characters that URLs and paths dislike."""
    codes, categories, descriptions = [], [], []
    picks = rng.integers(0, 1_000_000, (len(frame), 3))
    for number, (department, pick) in enumerate(zip(frame["department"], picks, strict=True), start=1):
        entry = DEPARTMENTS[department]
        category = list(entry.categories)[pick[0] % len(entry.categories)]
        nouns = entry.categories[category]
        awkward = number % _AWKWARD_EVERY == 0
        pattern = _AWKWARD[number // _AWKWARD_EVERY % len(_AWKWARD)] if awkward else "{code}-{n:05d}"
        codes.append(pattern.format(code=entry.code, n=number))
        categories.append(category)
        descriptions.append(f"{nouns[pick[1] % len(nouns)]}, {_VARIANTS[pick[2] % len(_VARIANTS)]}".capitalize())
    frame["sku"], frame["category"], frame["description"] = codes, categories, descriptions


def _place_in_time(frame: pd.DataFrame, spec: DemoSpec, rng: np.random.Generator) -> None:
    """Add ``launch, end, listed, broken``: most SKUs are always there; the first rows hold one of each oddity."""
    n, last, never = len(frame), spec.days - 1, 10**6
    launch, end = np.zeros(n, dtype=int), np.full(n, never)
    chance, when = rng.random(n), rng.random(n)
    during, recent = chance < 0.08, (chance >= 0.08) & (chance < 0.11)
    launch[during] = (when[during] * (last - 60)).astype(int)
    launch[recent] = last - (when[recent] * 27).astype(int)
    gone = (chance >= 0.11) & (chance < 0.15)
    end[gone] = last - 10 - (when[gone] * min(last - 60, 400)).astype(int)
    coming = (chance >= 0.15) & (chance < 0.16)
    launch[coming] = last + 5 + (when[coming] * 120).astype(int)
    launch[:14], end[:14] = 0, never
    launch[0], launch[1] = last - 25, last - 3  # launched last month, and this week
    launch[2] = last + 9  # in the attributes, and not yet on sale
    end[3], end[4] = last - 230, last - 45  # discontinued long ago, and lately
    launch[5] = never  # in the attributes for good, and never on sale
    frame["launch"], frame["end"] = launch, end
    frame.loc[6, "rate"] = 0.0  # on the shelf, and nobody buys it
    frame["listed"] = True
    frame.loc[[7, 8], "listed"] = False  # on sale, and missing in the attributes
    frame["broken"] = False
    frame.loc[9, "broken"] = True
