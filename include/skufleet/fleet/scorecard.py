"""What the forecasts of a past date turned out to be worth: beside what was then sold, and beside the seasonal naive.

A run of the past knows how its forecasts would have fared, for the history goes on after its date. What was known then
makes the forecasts, the seasonal naive's and the scale of RMSSE; what is known now judges them, and nothing else.
What does not belong here: the records (``scores.py``), how a scorecard looks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Self

import numpy as np
import pandas as pd

from include.skufleet.config import Catalogue
from include.skufleet.fleet.bounds import bound_columns
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.forecast import list_forecasts
from include.skufleet.fleet.known_then import parse_known
from include.skufleet.fleet.layout import Layout
from include.skufleet.fleet.report.figures import divide
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.scores import FLEET, Score, Scorecard, scorecard_key
from include.skufleet.forecasting.candidates import fallback, forecast_panel
from include.skufleet.forecasting.metrics import squared_scale
from include.skufleet.forecasting.panel import PERIOD_DAYS, Panel
from include.skufleet.lake.buckets import bucket_of
from include.skufleet.lake.deliveries import Known
from include.skufleet.lake.history import read_history
from include.skufleet.lake.store import ObjectStore

_KEYS = ["sku", "store", "date"]


def score_run(
    clients: Clients, catalogue: Catalogue, run: Run, plan: Mapping[str, Any], results: pd.DataFrame
) -> Scorecard | None:
    """Judge a run's forecasts by what is known at its table's version, and write the scorecard.

    One bucket of the history is in memory at a time.

    Args:
        clients: the services.
        catalogue: the catalogue's settings.
        run: the run.
        plan: its plan.
        results: a row per SKU that the run was about, with its department.

    Returns:
        ``None`` where nothing after the run's date is known yet, or the run made no forecasts: nothing is written.
    """
    history = _Then.read(clients, catalogue, run, plan["ingested"])
    if history is None or results.empty:
        return None
    compared = history.compare(_read_forecasts(clients.store, run, results))
    if compared.sums.empty:
        return None
    named = compared.sums.merge(results[["sku", "department"]], on="sku", how="left")
    card = Scorecard(
        catalogue=catalogue.name,
        run_id=run.run_id,
        as_of=run.as_of,
        horizon=catalogue.horizon,
        known=len(compared.periods),
        frequency=catalogue.frequency,
        table_version=int(plan["ingested"]["table_version"]),
        last_date=history.last,
        fleet=pool_scores(FLEET, named),
        departments=[pool_scores(str(name), rows) for name, rows in named.groupby("department", sort=True)],
    )
    clients.store.put_json(scorecard_key(run), card.to_json())
    return card


def pool_scores(group: str, sums: pd.DataFrame) -> Score:
    """One score of the sums of some SKUs: numerators and denominators are added up, RMSSE is averaged.

    >>> sums = pd.DataFrame({
    ...     "actuals": [2, 2], "units": [8.0, 2.0], "abs_error": [2.0, 2.0], "signed_error": [2.0, -1.0],
    ...     "squared_error": [4.0, 4.0], "scale": [4.0, 1.0], "baseline_abs_error": [4.0, 4.0],
    ...     "baseline_signed_error": [0.0, 0.0], "baseline_squared_error": [16.0, 4.0],
    ...     "bounded_80": [2, 2], "inside_80": [2, 1]})
    >>> score = pool_scores("Food", sums)
    >>> score.wape, score.bias, score.rmsse, score.baseline_wape, score.baseline_rmsse, score.coverage
    (0.4, 0.1, 1.2, 0.8, 2.0, {80: 0.75})
    """
    judged = sums[sums["actuals"] > 0]
    total = judged.drop(columns=["sku", "department"], errors="ignore").sum()
    units, scaled = float(total["units"]), judged[(judged["scale"] > 0) & (judged["units"] > 0)]
    levels = [int(name.removeprefix("bounded_")) for name in map(str, judged) if name.startswith("bounded_")]
    figures: dict[str, float] = {}
    for side in ("", "baseline_"):
        root = np.sqrt(scaled[f"{side}squared_error"] / scaled["scale"])
        figures |= {
            f"{side}wape": divide(float(total[f"{side}abs_error"]), units),
            f"{side}bias": divide(float(total[f"{side}signed_error"]), units),
            f"{side}rmsse": float((root * scaled["units"]).sum() / scaled["units"].sum()) if len(scaled) else math.nan,
        }
    return Score(
        group=group,
        skus=len(judged),
        actuals=int(total["actuals"]),
        units=units,
        coverage={
            level: float(total[f"inside_{level}"] / total[f"bounded_{level}"])
            for level in levels
            if total[f"bounded_{level}"]
        },
        **figures,
    )


@dataclass(frozen=True)
class _Compared:
    """Sums by SKU over its series and the known periods of the horizon, and which periods these are."""

    sums: pd.DataFrame
    periods: set[Any]


@dataclass(frozen=True)
class _Then:
    """The history as it was known on a run's date, and as it is known now.

    Attributes:
        clients: the services.
        catalogue: the catalogue's settings.
        version: of the history table.
        then: what panels are laid out by, as known then.
        now: the same as known now, up to the end of the horizon.
        known: the deliveries that were known then.
    """

    clients: Clients
    catalogue: Catalogue
    version: int
    then: Layout
    now: Layout
    known: Known | None

    @classmethod
    def read(cls, clients: Clients, catalogue: Catalogue, run: Run, ingested: Mapping[str, Any]) -> Self | None:
        """``None`` where no day after the run's date is known."""
        newest = {**ingested, **ingested.get("newest", {})}
        last = date.fromisoformat(newest["last_date"])
        # The horizon's last week is over seven days after its Monday.
        end = run.as_of + timedelta(days=PERIOD_DAYS[catalogue.frequency] * (catalogue.horizon + 1))
        if last <= run.as_of:
            return None
        return cls(
            clients,
            catalogue,
            int(ingested["table_version"]),
            then=Layout.read(clients, catalogue, run.as_of, ingested),
            now=Layout.read(clients, catalogue, min(end, last), newest),
            known=parse_known(ingested),
        )

    @property
    def last(self) -> date:
        """The last day of the history that judges."""
        return self.now.as_of

    def compare(self, forecasts: pd.DataFrame) -> _Compared:
        """The forecasts beside what was sold on those periods of the horizon that are known."""
        frames, periods = [pd.DataFrame()], set()
        for bucket, rows in self._by_bucket(forecasts):
            joined = self._join_actuals(bucket, rows)
            if len(joined):
                frames.append(_add_up(joined, bound_columns(self.catalogue)[::2]))
                periods |= set(joined["date"].unique())
        return _Compared(pd.concat(frames, ignore_index=True), periods)

    def _by_bucket(self, forecasts: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
        buckets = forecasts["sku"].map({sku: self._bucket(sku) for sku in forecasts["sku"].unique()})
        for bucket, rows in forecasts.groupby(buckets, sort=True):
            yield int(str(bucket)), rows

    def _bucket(self, sku: str) -> int:
        return bucket_of(sku, self.catalogue.fleet.buckets)

    def _join_actuals(self, bucket: int, forecasts: pd.DataFrame) -> pd.DataFrame:
        """The forecasts of known periods with ``units``, and with ``naive`` and ``scale`` of the history known then."""
        skus = sorted(map(str, forecasts["sku"].unique()))
        before = self._read(bucket, skus, self.then, self.known)
        after = self._read(bucket, skus, self.now, None)
        actuals = [_list_actuals(panel, forecasts["date"].min()) for panel in after.values()]
        naive = [_list_naive(panel) for panel in before.values()]
        if not actuals or not naive:
            return pd.DataFrame()
        joined = forecasts.merge(pd.concat(actuals, ignore_index=True), on=_KEYS)
        return joined.merge(pd.concat(naive, ignore_index=True), on=_KEYS)

    def _read(self, bucket: int, skus: Sequence[str], layout: Layout, known: Known | None) -> dict[str, Panel]:
        """Panels of the rows that are within the limits of the validation."""
        rows = read_history(
            self.clients.store,
            self.catalogue,
            version=self.version,
            as_of=layout.as_of,
            buckets=[bucket],
            skus=skus,
            known=known,
        )
        return layout.build(rows[rows["units"].between(0, self.catalogue.validation.max_units)])


def _read_forecasts(store: ObjectStore, run: Run, results: pd.DataFrame) -> pd.DataFrame:
    """The forecasts of the SKUs that the run was about; what it took over of others is of another date."""
    keys = list_forecasts(store, run)
    frames = [store.parse_frame(key, data) for key, data in zip(keys, store.get_many(keys), strict=True)]
    if not frames:
        return pd.DataFrame({name: [] for name in _KEYS})
    found = pd.concat(frames, ignore_index=True)
    return found[found["sku"].isin(results["sku"])]


def _list_actuals(panel: Panel, first: pd.Timestamp) -> pd.DataFrame:
    """``sku, store, date, units`` of the known periods from one on."""
    store, period = np.nonzero(~np.isnan(panel.units) & (panel.dates >= first.to_datetime64()))
    return _to_frame(panel, store, panel.dates[period], {"units": panel.units[store, period]})


def _list_naive(panel: Panel) -> pd.DataFrame:
    """``sku, store, date, naive, scale`` of the horizon: the last season again, zero where nothing was ever sold."""
    stores = tuple(range(len(panel.stores)))
    forecast, _ = forecast_panel(fallback(panel).artifact, panel, stores)
    dates = np.tile(panel.future.dates, len(stores))
    scale = np.repeat(squared_scale(panel.units), panel.horizon)
    store = np.repeat(np.arange(len(stores)), panel.horizon)
    return _to_frame(panel, store, dates, {"naive": forecast.reshape(-1), "scale": scale})


def _to_frame(panel: Panel, store: Any, dates: Any, values: Mapping[str, Any]) -> pd.DataFrame:
    names = pd.Series(np.array(panel.stores, dtype=object)[store], dtype="str")
    keys = {"sku": pd.Series(panel.sku, index=names.index, dtype="str"), "store": names}
    return pd.DataFrame(keys | {"date": dates.astype("datetime64[s]"), **values})


def _add_up(joined: pd.DataFrame, lower: Sequence[str]) -> pd.DataFrame:
    """Sums by SKU of ``y_hat, naive, units, scale`` and of the bounds whose lower ones are named."""
    parts = {"sku": joined["sku"], "actuals": 1, "units": joined["units"], "scale": joined["scale"]}
    for side, forecast in (("", "y_hat"), ("baseline_", "naive")):
        error = joined[forecast] - joined["units"]
        parts |= {f"{side}abs_error": error.abs(), f"{side}signed_error": error, f"{side}squared_error": error**2}
    for low in lower:
        level, high = low.removeprefix("lower_"), low.replace("lower", "upper")
        if {low, high} <= set(joined.columns):
            parts[f"bounded_{level}"] = (joined[low].notna() & joined[high].notna()).astype(int)
            parts[f"inside_{level}"] = joined["units"].between(joined[low], joined[high]).astype(int)
    return pd.DataFrame(parts, index=joined.index).groupby("sku", as_index=False, sort=True).sum()
