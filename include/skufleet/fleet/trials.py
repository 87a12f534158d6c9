"""Open trials of recipes on S3, and what the canaries showed: written by promotion, read by plan and chunks."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import pandas as pd

from include.skufleet.fleet.run import Run, RunKeys
from include.skufleet.lake.publishing import update_frame, update_json
from include.skufleet.lake.store import ObjectStore
from include.skufleet.lifecycle.trials import change_trials, clear_recipes, no_trials

VERDICT_HOLDS = timedelta(days=90)
"""For so long what the canaries showed of a recipe counts."""


def read_trials(store: ObjectStore, run: Run, skus: Collection[str]) -> dict[str, pd.DataFrame]:
    """SKU -> the rows of its open trial, of those that begun before the run's date."""
    if not store.exists(run.trials_key):
        return {}
    rows = store.get_frame(run.trials_key)
    known = rows[rows["sku"].isin(list(skus)) & (rows["since"] < run.as_of.isoformat())]
    return {str(sku): own for sku, own in known.groupby("sku")}


def put_trials(store: ObjectStore, run: Run, begun: pd.DataFrame, ended: Collection[str]) -> None:
    """Note the trials that a run began, and those that it ended. Safe to repeat."""
    if len(begun) or len(ended):
        update_frame(
            store, run.trials_key, lambda now: change_trials(no_trials() if now is None else now, begun, ended)
        )


def read_verdicts(store: ObjectStore, run: RunKeys, as_of: date) -> dict[str, bool]:
    """Recipe -> whether it did no worse in the canaries, as far as that still counts."""
    known = store.find_json(run.canaries_key) or {}
    return {
        recipe: bool(item["cleared"])
        for recipe, item in known.items()
        if timedelta() <= as_of - date.fromisoformat(item["as_of"]) <= VERDICT_HOLDS
    }


def put_verdicts(store: ObjectStore, run: Run, results: pd.DataFrame, days: int) -> None:
    """Judge the recipes whose canaries are due, from what the chunks measured of them. Safe to repeat."""
    open_now = results[(results["trial_kind"] == "canary") & (results["trial"] == "open")]
    since = store.get_frame(run.trials_key, ["sku", "since"]).drop_duplicates("sku") if len(open_now) else None
    if since is None:
        return
    began = pd.to_datetime(open_now["sku"].map(dict(zip(since["sku"], since["since"], strict=True))))
    due = open_now[(pd.Timestamp(run.as_of) - began >= pd.Timedelta(days=days)) & (open_now["trial_periods"] > 0)]
    rows = pd.DataFrame(
        {"recipe": due["trial_recipe"], "error": due["trial_error"], "rival_error": due["trial_rival_error"]}
    )
    cleared = clear_recipes(rows)
    if cleared:
        fresh = {
            recipe: {
                "cleared": passed,
                "as_of": run.as_of.isoformat(),
                "canaries": int((rows["recipe"] == recipe).sum()),
                "error": float(rows.loc[rows["recipe"] == recipe, "error"].sum()),
                "rival_error": float(rows.loc[rows["recipe"] == recipe, "rival_error"].sum()),
            }
            for recipe, passed in cleared.items()
        }
        update_json(store, run.canaries_key, lambda now: {**(now or {}), **fresh})
