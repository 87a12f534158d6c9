"""One trial in one rung: train each SKU as a retraining would have done before a window, forecast the window, score it.

The windows are held back: backtest, choice and refit see the panel cut before them, by the very code that retrains.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from include.skufleet.config import Catalogue
from include.skufleet.errors import PlanError
from include.skufleet.fleet.chunk_data import lay_out
from include.skufleet.fleet.clients import Clients
from include.skufleet.fleet.departments import pool, read_priors
from include.skufleet.fleet.gating import Ring
from include.skufleet.fleet.layout import Layout
from include.skufleet.fleet.search.judge import empty_scores
from include.skufleet.fleet.search.planned import SearchPlan
from include.skufleet.fleet.search.run import SearchRun
from include.skufleet.fleet.train import Draft, draft_sku
from include.skufleet.forecasting import metrics
from include.skufleet.forecasting.backtest import choose_cutoffs
from include.skufleet.forecasting.candidates import restore
from include.skufleet.forecasting.panel import Floats, Panel
from include.skufleet.quality.records import SkuVerdict

log = logging.getLogger(__name__)
TRAINABLE = SkuVerdict("trainable", "")


def run_trial(clients: Clients, run: SearchRun, trial: str, rung: int) -> dict[str, Any]:
    """Score one configuration on the SKUs that are new in a rung, and write the scores to S3.

    Returns:
        Small JSON: how many SKUs, CPU seconds, and how many SKU-windows could not be trained.

    Raises:
        PlanError: the plan has no such trial.
        TransientError: a service is away; a retry does the trial again.
    """
    plan = SearchPlan.read(clients.store, run)
    if trial not in plan.trials:
        raise PlanError(
            f"search {run.run_id}: its plan has no trial {trial!r}, only {', '.join(plan.trials)}; clear the plan too"
        )
    catalogue = plan.catalogue_of(trial)
    layout = Layout.read(clients, catalogue, run.as_of, plan.ingested)
    priors = read_priors(clients.store, run) if catalogue.pools_departments else {}
    frames = [empty_scores()]
    with threadpool_limits(limits=1):
        for piece in plan.pieces_of(rung):
            rows = clients.store.get_frame(run.piece_key(piece.name))
            panels = lay_out(clients, layout, plan.ingested, rows, piece.buckets)
            frames += [
                score_sku(pool(panels[sku], priors, department), catalogue, department, plan.held_back)
                for sku, department in piece.departments.items()
            ]
            log.info("%s: %d SKUs of piece %s", trial, len(piece.departments), piece.name)
    scores = pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)
    clients.store.put_frame(run.scores_key(plan.draw, trial, rung), scores)
    return {
        "trial": trial,
        "rung": rung,
        "skus": int(scores["sku"].nunique()),
        "cpu_seconds": round(float(scores["cpu_seconds"].sum()), 2),
        "failed": int((scores["outcome"] == "failed").sum()),
    }


def find_windows(panel: Panel, held_back: int) -> list[int]:
    """Periods known before each held-back window, the last window first; windows follow each other without a gap."""
    return choose_cutoffs(panel, windows=held_back, step=panel.horizon, horizon=panel.horizon)[::-1]


def score_sku(panel: Panel, catalogue: Catalogue, department: str, held_back: int) -> pd.DataFrame:
    """One row per held-back window of a SKU: sums over its stores and periods; columns as in ``empty_scores``.

    A store without any history at the cutoff is not scored, as in a backtest. Where nothing at all can forecast,
    the forecast is zero demand.
    """
    rows = []
    for window, cutoff in enumerate(find_windows(panel, held_back), start=1):
        cut = panel.until(cutoff)
        began = time.process_time()
        draft = draft_sku(
            panel.sku,
            cut,
            TRAINABLE,
            catalogue,
            department=department,
            ring=Ring(date.fromisoformat(str(cut.dates[-1]))),
        )
        y_hat = _forecast(draft, cut)
        seconds = time.process_time() - began
        rows.append(
            {
                "sku": panel.sku,
                "department": department,
                "demand_class": draft.row.demand_class,
                "cutoff": str(cut.dates[-1]),
                "candidate": draft.row.candidate,
                "outcome": draft.row.outcome,
                "error": draft.row.error,
                "window": float(window),
                "cpu_seconds": seconds,
                **_sums(panel, cut, cutoff, y_hat),
            }
        )
    empty = empty_scores()
    return pd.DataFrame(rows, columns=list(empty.columns)).astype(empty.dtypes.to_dict()) if rows else empty


def _forecast(draft: Draft, cut: Panel) -> Floats:
    """What the trained model says of the window, (S, h)."""
    if draft.artifact is None:
        return np.zeros((len(cut.stores), cut.horizon))
    return restore(draft.artifact).predict(cut.future)


def _sums(panel: Panel, cut: Panel, cutoff: int, y_hat: Floats) -> Mapping[str, float]:
    y = panel.units[:, cutoff : cutoff + panel.horizon].copy()
    y[np.isnan(cut.units).all(axis=1)] = np.nan
    known = ~np.isnan(y)
    error = np.where(known, y_hat - y, 0.0)
    scale = np.broadcast_to(metrics.squared_scale(cut.units)[:, None], y.shape)
    return {
        "units": float(y[known].sum()),
        "abs_error": float(np.abs(error).sum()),
        "signed_error": float(error.sum()),
        "squared_error": float(np.square(error).sum()),
        "squared_scale": float(scale[known].sum()),
        "periods": float(known.sum()),
    }
