"""One catalogue: its landing, and how its models are validated, backtested, promoted and cut into chunks."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from include.skufleet.config.base import Model, Name, Share, Text
from include.skufleet.config.candidates import CandidateSettings
from include.skufleet.config.landing import Landing
from include.skufleet.config.notify import Notify
from include.skufleet.config.problems import describe_each
from include.skufleet.config.search import Search, change_keys, is_about

Metric = Literal["wape", "rmsse", "mase", "mae", "rmse"]
CandidateName = Literal[
    "seasonal_naive",
    "weekday_mean",
    "exponential_smoothing",
    "theta",
    "tsb",
    "poisson_regression",
    "profile",
    "hist_gradient_boosting",
    "random_forest",
    "ensemble",
]
BASELINE: CandidateName = "seasonal_naive"


class Validation(Model):
    """Limits of the Great Expectations suite, per chunk.

    Attributes:
        max_units: units of one SKU, store and day above this are absurd: the row is set aside.
        max_bad_share: a SKU with a larger share of bad rows than this is set aside as a whole.
        min_history: fewer periods with a known value than this: not trainable, the fallback serves.
        max_staleness: periods since the SKU's last row; older than this is reported as stale.
        inactive_after: periods since the last sale above zero; a longer silence retires the series.
    """

    max_units: Annotated[float, Field(gt=0)] = 1_000_000
    max_bad_share: Share = 0.2
    min_history: Annotated[int, Field(ge=1)] = 56
    max_staleness: Annotated[int, Field(ge=0)] = 14
    inactive_after: Annotated[int, Field(ge=1)] = 182


class Backtest(Model):
    """Rolling-origin evaluation: ``windows`` cutoffs, ``step`` periods apart, each ``horizon`` periods long.

    Attributes:
        metric: what is compared, and what the gate looks at.
        simpler_within: the preferred candidate stays unless another is better by more than this (relative), after
            what may be noise was discounted.
    """

    windows: Annotated[int, Field(ge=1, le=26)] = 3
    step: Annotated[int, Field(ge=1)] | None = None
    metric: Metric = "rmsse"
    simpler_within: Share = 0.01


class Budget(Model):
    """What may be spent on one SKU, and how costly candidates earn it.

    The costs are the candidates' nominal ones, so that what is left out is the same on every machine.

    Attributes:
        cpu_seconds_per_sku: nominal CPU seconds of all fits of one SKU; ``None``: no limit. The baseline, the preferred
            candidate and the recipe in production are always tried.
        cheap: a candidate that needs no more than this share of it is tried on every window; a costlier one goes from
            one window to the next only while it may win (successive halving).
        within: how much worse (relative, by the backtest's metric) than the best one it may be on the windows so far.
        keep: share of the costly candidates that goes on after each rung, the best first; one always may.
    """

    cpu_seconds_per_sku: Annotated[float, Field(gt=0)] | None = 1.0
    cheap: Share = 0.05
    within: Annotated[float, Field(ge=0)] = 0.0
    keep: Annotated[float, Field(gt=0, le=1)] = 0.5


class Intervals(Model):
    """Prediction intervals: shares of the actuals that they are to cover, in whole per cent; none without levels."""

    levels: tuple[Annotated[float, Field(ge=0.01, le=0.99)], ...] = (0.8, 0.95)

    @field_validator("levels")
    @classmethod
    def _check_levels(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        percents = [round(100 * level) for level in value]
        if any(abs(100 * level - percent) > 1e-6 for level, percent in zip(value, percents, strict=True)):
            raise ValueError(f"{list(value)}: levels are whole per cents, for example 0.8")
        if len(set(percents)) != len(percents):
            raise ValueError(f"{list(value)} names a level twice")
        return tuple(percent / 100 for percent in sorted(percents))


Mode = Literal["disabled", "dry_run", "enabled"]


class Gate(Model):
    """When a SKU's new version becomes production. See ``lifecycle.gate``.

    Attributes:
        mode: ``disabled``: whatever could be trained goes to production. ``dry_run``: so it does, and what would have
            been held back is told. ``enabled``: it is held back.
        max_loss_to_baseline: by how much (relative) a recipe may be worse than the seasonal naive, beside noise.
        min_gain: another recipe than production's must be expected to be better by this (relative).
        min_probability: and with this probability it must be better at all (``lifecycle.evidence``).
        hold_days: days that a recipe stays once it has replaced another.
        min_windows: backtest windows that must speak for another recipe.
        shadow_days: days for which another recipe's forecasts are written beside production's, and not served.
        canary_share: share of the SKUs in which another recipe is tried first; 0: none, all change at once.
        canary_days: days after which the canaries' forecasts are held against what production's recipe forecast.
        max_times_history: a forecast above so many times the most that the store ever sold is refused.
        max_bias: relative bias beyond which another recipe is refused, unless production's is no better.
        max_bytes: the largest model that is registered for production.
    """

    mode: Mode = "enabled"
    max_loss_to_baseline: Annotated[float, Field(ge=0)] = 0.0
    min_gain: Share = 0.005
    min_probability: Share = 0.75
    hold_days: Annotated[int, Field(ge=0)] = 7
    min_windows: Annotated[int, Field(ge=1)] = 2
    shadow_days: Annotated[int, Field(ge=0, le=365)] = 0
    canary_share: Share = 0.0
    canary_days: Annotated[int, Field(ge=1, le=365)] = 7
    max_times_history: Annotated[float, Field(gt=0)] = 10.0
    max_bias: Annotated[float, Field(gt=0)] = 1.0
    max_bytes: Annotated[int, Field(ge=1)] = 1_000_000

    @model_validator(mode="after")
    def _check_trials(self) -> Self:
        if self.shadow_days and self.canary_share:
            raise ValueError("shadow_days and canary_share are both given; a recipe is tried in one way, choose one")
        return self


class Release(Model):
    """When the versions of a run are released together, beside the release in force. See ``lifecycle.fleet_gate``.

    Attributes:
        mode: as the gate's.
        max_wape_loss: by how much (relative) the WAPE of the fleet, or of a department, may be worse.
        max_bias_change: by how much its bias may be further from zero.
        max_volume_change: by how much (relative) the sales that the backtest sees, per series and period, may rise, or
            would have to rise to be what they were: 1.0 lets them double or halve.
        min_skus: the errors of fewer measured SKUs than this say too little: such departments are judged with the fleet
            only, and such fleets not at all.
        max_changed: share of the SKUs in production whose recipe may change in one run.
        min_coverage: share of the catalogue's SKUs that must have a version in production.
        max_quarantined: share of the catalogue's SKUs that may be quarantined in one run.
        approval: ``required``: a person must approve in Airflow before anything goes to production.
        approval_hours: how long the run waits; then it goes on as if rejected.
    """

    mode: Mode = "enabled"
    max_wape_loss: Annotated[float, Field(ge=0)] = 0.25
    max_bias_change: Annotated[float, Field(ge=0)] = 0.25
    max_volume_change: Annotated[float, Field(ge=0)] = 1.0
    min_skus: Annotated[int, Field(ge=1)] = 10
    max_changed: Share = 0.5
    min_coverage: Share = 0.8
    max_quarantined: Share = 0.2
    approval: Literal["none", "required"] = "none"
    approval_hours: Annotated[float, Field(gt=0, le=720)] = 24


class Fleet(Model):
    """How the catalogue is cut into mapped tasks.

    Attributes:
        buckets: partitions of the history table; it cannot change once the table exists.
        chunks: upper limit on the mapped tasks of a run.
        rows_per_chunk: series times periods of a task at the most, give or take a quarter, which bounds its memory.
        skus_per_chunk: SKUs aimed at per task; ``None``: decided by what the SKUs took last time, and by the slots.
        max_age: days after which a SKU is trained again although nothing is new.
        keep_versions: days for which a superseded version of the history can still be read.
        retry_seconds: how long a task that failed waits before its first retry; twice as long before the next.
        sku_seconds: what trains for longer hangs: its process is ended, and a SKU that hangs twice is quarantined.
    """

    buckets: Annotated[int, Field(ge=1, le=1024)] = 16
    chunks: Annotated[int, Field(ge=1, le=900)] = 200
    rows_per_chunk: Annotated[int, Field(ge=1)] = 750_000
    skus_per_chunk: Annotated[int, Field(ge=1)] | None = None
    max_age: Annotated[int, Field(ge=0)] = 28
    keep_versions: Annotated[int, Field(ge=1)] = 7
    retry_seconds: Annotated[int, Field(ge=1, le=3600)] = 15
    sku_seconds: Annotated[int, Field(ge=1, le=3600)] = 600


class Retention(Model):
    """What is kept of the past. What serves, what served before it and what waits in staging always is.

    Attributes:
        versions: newest versions of each SKU's model.
        releases: newest releases, with every version that they name: what can be rolled back to.
        runs: newest runs, with their tables, forecasts and report.
    """

    versions: Annotated[int, Field(ge=1)] = 5
    releases: Annotated[int, Field(ge=1)] = 5
    runs: Annotated[int, Field(ge=1)] = 30


class Catalogue(Model):
    """One retailer's catalogue: data source and settings. See ``docs/catalogue-file.md`` for every key."""

    name: Name
    description: Text = "A retail catalogue."
    frequency: Literal["D", "W"] = "D"
    horizon: Annotated[int, Field(ge=1, le=730)] = 28
    season_length: Annotated[int, Field(ge=1, le=366)] = 7
    schedule: Text | None = "0 3 * * *"
    known_future: tuple[Literal["price", "events", "flags"], ...] = ()
    hierarchy: tuple[Name, ...] = ()
    candidates: tuple[CandidateName, ...] = (
        "seasonal_naive",
        "exponential_smoothing",
        "tsb",
        "poisson_regression",
        "profile",
        "ensemble",
    )
    settings: CandidateSettings = CandidateSettings()
    landing: Landing
    validation: Validation = Validation()
    backtest: Backtest = Backtest()
    budget: Budget = Budget()
    intervals: Intervals = Intervals()
    gate: Gate = Gate()
    release: Release = Release()
    fleet: Fleet = Fleet()
    retention: Retention = Retention()
    notify: Notify = Notify()
    search: Search | None = Search()

    @field_validator("candidates")
    @classmethod
    def _check_candidates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if BASELINE not in value:
            raise ValueError(f"must contain {BASELINE}: every model is judged against it")
        if len(set(value)) != len(value):
            raise ValueError("names a candidate twice")
        return value

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: str | None) -> str | None:
        if value is not None:
            from croniter import croniter

            if not croniter.is_valid(value):
                raise ValueError(f"{value!r} is not a cron expression (five fields, for example '0 3 * * *')")
        return value

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        landing, columns = self.landing, self.landing.attributes.columns if self.landing.attributes else {}
        if missing := [name for name in self.hierarchy if name not in columns]:
            raise ValueError(f"hierarchy names {missing}, which landing.attributes.columns does not map")
        if "price" in self.known_future and landing.prices is None and landing.sales.columns.price is None:
            raise ValueError(
                "known_future names price, but neither landing.prices nor landing.sales.columns.price is given"
            )
        for kind in ("events", "flags"):
            if kind in self.known_future and not (landing.calendar and getattr(landing.calendar, kind)):
                raise ValueError(f"known_future names {kind}, but landing.calendar.{kind} is not given")
        return self

    @model_validator(mode="after")
    def _check_search(self) -> Self:
        """Every value of the search's space must be one that its key takes."""
        examples = self.search.examples() if self.search else []
        raw = self.model_dump(mode="json", exclude={"search"}) if examples else {}
        problems = []
        for key, value in examples:
            try:
                type(self).model_validate(change_keys(raw, {key: value}))
            except ValidationError as error:
                problems += [said for at, said in describe_each(error).items() if is_about(key, at, raw)]
        if problems:
            raise ValueError("; ".join(f"search.space.{problem}" for problem in dict.fromkeys(problems)))
        return self

    @property
    def step(self) -> int:
        """Periods between two cutoffs of the backtest: the horizon where the file does not say."""
        return self.backtest.step or self.horizon

    @property
    def pools_departments(self) -> bool:
        """Whether a candidate borrows from its department."""
        return "profile" in self.candidates and self.settings.profile.pooling > 0
