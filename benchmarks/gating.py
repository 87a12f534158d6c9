"""What the SKU gate is worth on M5: the same runs under four policies, each held against what was then sold.

    make bench-gating M5=<zip or folder as Kaggle ships it> [STORE=CA_1] [DATES=8] [EVERY=7] [ITEMS=0]

At each date every SKU is backtested once, on what was known then; each policy then says which recipe is refit:
``gated`` by the catalogue's gate, ``always`` what the run would choose, ``same`` the first date's recipe for ever, and
``never`` serves the first date's model as it was. A planted challenger shows what the gate makes of luck: production's
forecasts times noise, against the same times other noise: neither is better, and nothing is known of either. Writes the
plot, and prints one JSON line last.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.backfill import list_origins
from benchmarks.m5_blocks import set_up
from benchmarks.m5_files import HORIZON, M5, Floats, read_m5
from benchmarks.m5_panels import Block, Frame, cut_blocks, department_panels, frame_of, panel_of
from benchmarks.machine import describe_machine
from include.skufleet.config import Catalogue, find_catalogue
from include.skufleet.fleet.gating import Ring, SkuGate
from include.skufleet.fleet.report.plots import HEIGHT, LEFT, RIGHT, TOP, WIDTH, Canvas, draw_frame, pick_ticks
from include.skufleet.forecasting.backtest import Backtest, score
from include.skufleet.forecasting.candidates import forecast_panel
from include.skufleet.forecasting.departments import fit_priors
from include.skufleet.forecasting.evaluation import evaluate, fall_back, refit
from include.skufleet.forecasting.panel import Panel, Prior
from include.skufleet.sources.archive import open_archive

POLICIES = ("gated", "always", "same", "never")
LAST_DAY = date(2016, 5, 22)
NOISE = 0.3
BLOCK = 32
RESAMPLES = 1000


@dataclass
class State:
    """What a policy has in production for a SKU.

    Attributes:
        recipe: the candidate's name; empty before the first model.
        since: the date on which it replaced another.
        artifact: the model as it was fitted last.
    """

    recipe: str = ""
    since: date | None = None
    artifact: Mapping[str, Any] | None = None


@dataclass
class Tally:
    """What became of a block: sums by date and policy, and how the gate decided.

    Attributes:
        sums: rows of ``as_of, policy, sku, abs_error, signed_error, units``.
        rules: rows of ``as_of, rule``.
        planted: SKUs with a planted challenger, and those where it took over.
    """

    sums: list[tuple[str, str, str, float, float, float]] = field(default_factory=list)
    rules: list[tuple[str, str]] = field(default_factory=list)
    planted: list[bool] = field(default_factory=list)


class _Worker:
    frame: Frame
    origins: tuple[int, ...]


def start_worker(frame: Frame, origins: tuple[int, ...]) -> None:
    """Keep what all blocks share; one thread per process, as the fleet's tasks do."""
    from benchmarks.m5_blocks import Job

    set_up(frame, Job((), select=False))
    _Worker.frame, _Worker.origins = frame, origins


def fit_department(panel: Panel) -> tuple[str, tuple[Prior, ...]]:
    """A department's profiles as known at every date and at every cutoff of its backtest."""
    catalogue, missing = _Worker.frame.catalogue, _Worker.frame.dates.size - panel.dates.size
    cutoffs = {
        origin - missing - back
        for origin in _Worker.origins
        for back in (0, *(HORIZON + catalogue.step * window for window in range(catalogue.backtest.windows)))
    }
    return panel.sku, fit_priors(panel, sorted(cutoff for cutoff in cutoffs if cutoff > 0))


def replay_block(block: Block) -> Tally:
    """Every date of every item of a block, under all policies."""
    tally = Tally()
    for number in range(len(block.items)):
        panel = panel_of(_Worker.frame, block, number)
        if panel is not None:
            replay_sku(panel, _Worker.frame, _Worker.origins, tally)
    return tally


def replay_sku(panel: Panel, frame: Frame, origins: Sequence[int], tally: Tally) -> None:
    """One item: what each policy would have served, date by date, and how far off it was."""
    states = {policy: State() for policy in POLICIES}
    missing = frame.dates.size - panel.dates.size
    for origin in origins:
        if origin - missing < 1:
            continue
        cut = panel.until(origin - missing)
        actual = panel.units[:, origin - missing : origin - missing + HORIZON]
        as_of = str(cut.dates[-1])
        for policy, y_hat in _serve(cut, frame.catalogue, states, date.fromisoformat(as_of), tally).items():
            known = ~np.isnan(actual)
            error = (y_hat - actual)[known]
            sums = (float(np.abs(error).sum()), float(error.sum()), float(actual[known].sum()))
            tally.sums.append((as_of, policy, panel.sku, *sums))


def _serve(
    cut: Panel, catalogue: Catalogue, states: Mapping[str, State], as_of: date, tally: Tally
) -> dict[str, Floats]:
    """Policy -> its forecasts of the horizon; the states are those after the run."""
    seen: dict[str, Any] = {}

    def note(backtest: Backtest, chosen: str, handicaps: Mapping[str, float], refused: Collection[str]) -> str:
        seen.update(backtest=backtest, chosen=chosen, handicaps=handicaps, refused=refused)
        return chosen

    asked = tuple({state.recipe for state in states.values() if state.recipe})
    evaluation = evaluate(cut, catalogue, also=asked, settle=note)
    if evaluation.chosen is None or not seen:
        served = fall_back(cut, catalogue).artifact
        return {policy: forecast_panel(state.artifact or served, cut)[0] for policy, state in states.items()}
    backtest, chosen = seen["backtest"], seen["chosen"]
    gated = states["gated"]
    champion = (
        {
            "candidate": gated.recipe,
            "outcome": "trained",
            "recipe_since": gated.since.isoformat() if gated.since else "",
            "as_of": "",
        }
        if gated.recipe
        else None
    )
    gate = SkuGate(cut, catalogue, Ring(as_of, champion))
    recipes = {"gated": gate.settle(backtest, chosen, seen["handicaps"], seen["refused"]), "always": chosen}
    tally.rules.append((as_of.isoformat(), gate.choice.rule if gate.choice else ""))
    _plant(cut, catalogue, backtest, recipes["gated"], as_of, tally)
    known = set(backtest.forecasts)
    recipes["same"] = states["same"].recipe if states["same"].recipe in known else chosen
    fitted: dict[str, Mapping[str, Any]] = {}
    for recipe in set(recipes.values()):
        fitted[recipe] = refit(cut, evaluation, catalogue, recipe).artifact
    for policy, recipe in recipes.items():
        state = states[policy]
        state.since = as_of if state.recipe and recipe != state.recipe else state.since
        state.recipe, state.artifact = recipe, fitted[recipe]
    if states["never"].artifact is None:
        states["never"].artifact = fitted[chosen]
    return {policy: forecast_panel(state.artifact or {}, cut)[0] for policy, state in states.items()}


def _plant(cut: Panel, catalogue: Catalogue, backtest: Backtest, recipe: str, as_of: date, tally: Tally) -> None:
    """Production's forecasts, twice with noise of its own: neither is better, and the gate should not think so."""
    rng = np.random.default_rng([*cut.sku.encode(), as_of.toordinal()])
    y_hat = backtest.forecasts[recipe]
    both = {name: y_hat * np.exp(NOISE * rng.standard_normal(y_hat.shape)) for name in ("tsb", "theta")}
    scores = {name: score(backtest.y, values, backtest.squared, backtest.absolute) for name, values in both.items()}
    planted = replace(
        backtest,
        forecasts={"seasonal_naive": backtest.forecasts["seasonal_naive"], **both},
        scores={"seasonal_naive": backtest.scores["seasonal_naive"], **scores},
    )
    champion = {"candidate": "tsb", "outcome": "trained", "recipe_since": "2000-01-01", "as_of": ""}
    settings = catalogue.model_copy(update={"candidates": ("seasonal_naive", "tsb", "theta")})
    tally.planted.append(SkuGate(cut, settings, Ring(as_of, champion)).settle(planted, "theta", {}, ()) == "theta")


def replay(m5: M5, catalogue: Catalogue, origins: Sequence[int], processes: int) -> Tally:
    """All items, in worker processes."""
    frame, whole = frame_of(m5, catalogue), Tally()
    departments = department_panels(m5, frame)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=start_worker, initargs=(frame, tuple(origins))) as pool:
        priors = dict(pool.map(fit_department, departments))
        for done in pool.map(replay_block, _bounded(cut_blocks(m5, BLOCK, priors))):
            whole.sums += done.sums
            whole.rules += done.rules
            whole.planted += done.planted
    return whole


def _bounded(blocks: Iterator[Block]) -> list[Block]:
    """One store's blocks are small: all of them fit."""
    return list(blocks)


def summarise(tally: Tally) -> dict[str, Any]:
    """WAPE and bias by policy, over all dates and by date; what the gate decided; the planted challenger's share."""
    sums = pd.DataFrame(tally.sums, columns=["as_of", "policy", "sku", "abs_error", "signed_error", "units"])
    rules = pd.DataFrame(tally.rules, columns=["as_of", "rule"])
    overall = {str(policy): rows for policy, rows in sums.groupby("policy")}
    by_date = {
        str(day): {name: _ratio(rows[rows["policy"] == name], "abs_error") for name in POLICIES}
        for day, rows in sums.groupby("as_of", sort=True)
    }
    return {
        "skus": int(sums["sku"].nunique()),
        "wape": {name: _ratio(overall[name], "abs_error") for name in POLICIES},
        "bias": {name: _ratio(overall[name], "signed_error") for name in POLICIES},
        "gated_minus": {name: _resample(sums, name) for name in ("always", "never")},
        "wape_by_date": by_date,
        "rules_by_date": {str(day): rows["rule"].value_counts().to_dict() for day, rows in rules.groupby("as_of")},
        "planted": len(tally.planted),
        "planted_promoted_share": round(float(np.mean(tally.planted)), 6),
    }


def _ratio(rows: pd.DataFrame, column: str) -> float:
    return round(float(rows[column].sum() / rows["units"].sum()), 6)


def _resample(sums: pd.DataFrame, other: str) -> list[float]:
    """WAPE of the gated fleet minus that of another policy, with 95 % of what other draws of the SKUs would have shown.

    The bootstrap over SKUs (Efron 1979, Annals of Statistics 7): estimate, lower and upper bound.
    """
    errors = sums.pivot_table(index="sku", columns="policy", values="abs_error", aggfunc="sum")
    worse = (errors["gated"] - errors[other]).to_numpy()
    units = sums[sums["policy"] == "gated"].groupby("sku")["units"].sum().reindex(errors.index).to_numpy()
    draws = np.random.default_rng(0).integers(0, worse.size, (RESAMPLES, worse.size))
    found = worse[draws].sum(axis=1) / units[draws].sum(axis=1)
    low, high = np.quantile(found, (0.025, 0.975))
    return [round(float(value), 6) for value in (worse.sum() / units.sum(), low, high)]


_STYLE = """
svg { background: #fcfcfb; } text { font: 12px system-ui, sans-serif; fill: #545c66; }
.grid { stroke: #dfe2e6; fill: none; } .tick { stroke: #7a828c; } .line { fill: none; stroke-linejoin: round; }
.gated { stroke: #6bb1dd; stroke-width: 5; } .always { stroke: #b4540a; stroke-width: 1.4; }
.never { stroke: #7a828c; stroke-width: 1.2; stroke-dasharray: 3 2; }
.gated-name { fill: #0067a8; } .always-name { fill: #b4540a; }
"""


def draw(found: Mapping[str, Any]) -> str:
    """Realised WAPE by date of the gated, the always and the never promoted fleet, as an SVG file.

    The axis begins at zero.
    """
    days = pd.DatetimeIndex(list(found["wape_by_date"]))
    lines = {
        name: pd.Series([100 * row[name] for row in found["wape_by_date"].values()], index=days)
        for name in ("never", "gated", "always")  # the thin one over the thick one, for they lie close
    }
    ticks = pick_ticks(float(max(line.max() for line in lines.values())))
    gap = int((days[1] - days[0]).days) if len(days) > 1 else 1
    canvas = Canvas(days[0], max(days[-1], days[0] + pd.Timedelta(days=1)), ticks[-1], gap)
    names = (
        f'<text x="{LEFT}" y="{TOP - 4}">realised WAPE, %</text>'
        f'<text x="{WIDTH - RIGHT}" y="{TOP - 4}" text-anchor="end"><tspan class="gated-name">thick: gated</tspan>, '
        '<tspan class="always-name">thin: always promoted</tspan>, dashed: never</text>'
    )
    parts = [canvas.draw_levels(ticks) + canvas.draw_dates(list(days)), names]
    parts += [canvas.draw_line(line, name) for name, line in lines.items()]
    said = f"Realised WAPE by date from {days[0].date()} to {days[-1].date()} under three policies"
    drawing = draw_frame("series", WIDTH, HEIGHT, said, parts)
    start = drawing.index(">") + 1
    opening = drawing[:start].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{opening}<style>{_STYLE}</style>{drawing[start:]}\n"


def main() -> None:
    """Replay, draw, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--m5", type=Path, required=True)
    parser.add_argument("--store", default="CA_1")
    parser.add_argument("--dates", type=int, default=8)
    parser.add_argument("--every", type=int, default=7)
    parser.add_argument("--items", type=int, default=0, help="only so many, evenly spread; 0: all")
    parser.add_argument("--gate", default="{}", help="settings of the gate as JSON, in place of the catalogue's")
    parser.add_argument("--svg", type=Path, default=Path("benchmarks/gating.svg"))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    began, catalogue = time.perf_counter(), find_catalogue("m5")
    gate = catalogue.gate.model_validate(catalogue.gate.model_dump() | json.loads(given.gate))
    catalogue = catalogue.model_copy(update={"gate": gate})
    m5 = read_m5(open_archive(given.m5), LAST_DAY)
    column = m5.stores.index(given.store)
    m5 = replace(m5, stores=(given.store,), rows=m5.rows[:, [column]])
    m5 = m5.sample(given.items) if given.items else m5
    days = {day: number for number, day in enumerate(m5.dates.astype("datetime64[D]").astype(str), start=1)}
    origins = [days[day.isoformat()] for day in list_origins(given.dates, given.every, HORIZON)]
    found = summarise(replay(m5, catalogue, origins, given.processes))
    given.svg.write_text(draw(found), encoding="utf-8")
    told = {
        "benchmark": "gating",
        "store": given.store,
        "gate": gate.model_dump(),
        **found,
        "seconds": round(time.perf_counter() - began, 1),
        "machine": describe_machine(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
