"""The fleet gate, approval, shadow and canary in whole runs, on a real S3 and a real MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import mlflow
import pandas as pd
import pytest

from include.skufleet.errors import PermanentError
from include.skufleet.fleet import gating
from include.skufleet.fleet.explain import explain_sku
from include.skufleet.fleet.promote import Approval
from include.skufleet.fleet.publish_report import raise_if_incomplete
from include.skufleet.fleet.releases import list_releases, read_release_frame
from include.skufleet.fleet.rollback import Scope, promote_held
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.transitions import read_transitions
from include.skufleet.fleet.trials import read_verdicts
from include.skufleet.forecasting import evaluation
from include.skufleet.lifecycle.evidence import Evidence
from include.skufleet.lifecycle.trials import is_canary
from tests.unit.fleet.small_fleet import DAYS, END, SmallFleet, day, weekly
from tests.unit.registry.mlflow_server import server_uri

TOYS, FOOD = [f"T{number}" for number in range(4)], [f"F{number}" for number in range(4)]
BEFORE = END - timedelta(days=21)


def states(fleet: SmallFleet) -> dict[str, dict[str, int]]:
    found = fleet.clients.registry.states(fleet.catalogue.name)
    return {sku: dict(state.aliases) for sku, state in found.items()}


def version(fleet: SmallFleet, sku: str, number: int) -> Any:
    client = mlflow.MlflowClient(server_uri(), server_uri())
    return client.get_model_version(f"{fleet.catalogue.name}-{sku}", str(number))


def shop(**settings: Any) -> SmallFleet:
    """Toys and food, of which all but the last three weeks were delivered and trained on."""
    limits = {"min_skus": 3, "max_changed": 1.0} | settings.pop("release", {})
    fleet = SmallFleet.open(attributes=True, release=limits, **settings)
    fleet.list_skus({**dict.fromkeys(TOYS, "Toys"), **dict.fromkeys(FOOD, "Food")})
    early = range(DAYS - 21)
    fleet.deliver([row for sku in (*TOYS, *FOOD) for row in weekly(sku, days=early)])
    fleet.do_all(fleet.new_run(as_of=BEFORE))
    return fleet


def deliver_the_rest(fleet: SmallFleet, scaled: dict[str, int] | None = None, until: int = DAYS) -> None:
    """The last three weeks, or a part of them; some SKUs' units times something."""
    factors = scaled or {}
    rows = [
        (sku, store, date, int(str(units)) * factors.get(sku, 1))
        for name in (*TOYS, *FOOD)
        for sku, store, date, units in weekly(name, days=range(DAYS - 21, until))
    ]
    fleet.deliver(rows, name=f"until-{until}.csv")


@contextmanager
def preferring(recipe: str, skus: tuple[str, ...]) -> Iterator[None]:
    """The backtest's choice is this recipe for some SKUs, and it is better by far."""
    choose, weigh = evaluation.choose_candidate, gating.weigh

    def evaluate(panel: Any, *args: Any, **named: Any) -> Any:
        if panel.sku not in skus:
            return whole(panel, *args, **named)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluation, "choose_candidate", lambda *_, **__: recipe)
            patch.setattr(gating, "weigh", lambda *_, **__: Evidence(0.2, 0.2, 0.999, 12))
            return whole(panel, *args, **named)

    from include.skufleet.fleet import train

    whole = train.evaluate
    with pytest.MonkeyPatch.context() as outer:
        outer.setattr(train, "evaluate", evaluate)
        yield
    assert (evaluation.choose_candidate, gating.weigh) == (choose, weigh)


# --- the fleet gate


@pytest.fixture(scope="module")
def stopped() -> tuple[SmallFleet, Run, dict[str, Any]]:
    """A bad batch: the toys of the last weeks were delivered ten times over."""
    fleet = shop()
    deliver_the_rest(fleet, dict.fromkeys(TOYS, 10))
    run = fleet.new_run()
    return fleet, run, fleet.do_all(run)


def test_a_bad_batch_of_one_department_stops_the_release_and_the_reason_names_it(
    stopped: tuple[SmallFleet, Run, dict[str, Any]],
) -> None:
    fleet, run, summary = stopped
    assert summary["stopped"].startswith("The fleet gate stopped the release. The sales of Toys in the")
    told = fleet.store.get_json(run.verdict_key)
    assert any(item.startswith("The sales of Toys in the backtest go from ") for item in told["broken"])
    assert not any("Food" in item for item in told["broken"])
    assert {aliases["production"] for aliases in states(fleet).values()} == {1}
    assert (summary["promoted"], summary["held"]) == (0, 8)


def test_it_is_said_wherever_somebody_may_look(stopped: tuple[SmallFleet, Run, dict[str, Any]]) -> None:
    fleet, run, summary = stopped
    page = fleet.store.get(run.report_key).decode()
    assert "Nothing of this run went to production." in page
    assert "The sales of Toys in the backtest go from" in page
    assert "Nothing of this run went to production" in summary["markdown"]
    tags = version(fleet, "T0", 2).tags
    assert (tags["gate"], tags["stage"]) == ("held", "candidate")
    assert tags["reason"].startswith("The fleet gate stopped the release. The sales of")
    with pytest.raises(PermanentError, match=r"nothing of it went to production\. The fleet gate stopped the release"):
        raise_if_incomplete(summary)
    released = list_releases(fleet.store, run)[-1]
    assert released.promoted == 0
    assert released.reason == summary["stopped"]
    told = explain_sku(fleet.clients, fleet.catalogue, "F0")
    assert (told.serving["version"], told.decided["version"], told.decided["promoted"]) == (1, 2, False)
    assert told.decided["reason"] == summary["stopped"]
    assert told.would_change.startswith("The whole release was stopped")


def test_what_serves_goes_on_and_forecasts(stopped: tuple[SmallFleet, Run, dict[str, Any]]) -> None:
    fleet, run, _ = stopped
    assert set(fleet.forecasts(run)["model_version"]) == {1}
    assert set(fleet.published()["sku"]) == {*TOYS, *FOOD}


def test_what_was_stopped_is_not_tried_again_while_nothing_is_new(
    stopped: tuple[SmallFleet, Run, dict[str, Any]],
) -> None:
    fleet, _, _ = stopped
    summary = fleet.do_all(fleet.new_run())
    assert (summary["outcomes"]["trained"], summary["stopped"]) == (0, "")


def test_a_person_may_overrule_the_gate(stopped: tuple[SmallFleet, Run, dict[str, Any]]) -> None:
    fleet, run, _ = stopped
    done = promote_held(
        fleet.clients, fleet.catalogue, run, Scope(department="Food"), actor="amy", run_id="promotion__1"
    )
    assert done.moved == 4
    serving = {sku: aliases["production"] for sku, aliases in states(fleet).items()}
    assert serving == {**dict.fromkeys(TOYS, 1), **dict.fromkeys(FOOD, 2)}


def test_the_same_weeks_as_they_were_pass() -> None:
    fleet = shop()
    deliver_the_rest(fleet)
    summary = fleet.do_all(fleet.new_run())
    assert (summary["stopped"], summary["promoted"]) == ("", 8)


# --- approval


@pytest.fixture
def waiting() -> tuple[SmallFleet, Run, dict[str, Any]]:
    """A run that has decided and waits for a person."""
    fleet = shop(release={"approval": "required"})
    deliver_the_rest(fleet)
    run = fleet.new_run()
    with preferring("tsb", ("T0",)):
        for chunk in fleet.plan(run):
            fleet.retrain(run, chunk)
    return fleet, run, fleet.decide(run)


def finish(fleet: SmallFleet, run: Run, approval: Approval) -> dict[str, Any]:
    fleet.promote(run, approval)
    fleet.forecast(run)
    return fleet.report(run)


def test_the_question_shows_what_would_change(waiting: tuple[SmallFleet, Run, dict[str, Any]]) -> None:
    _, _, decided = waiting
    assert "8 new versions would go to production" in decided["markdown"]
    assert "| Toys | 4 | " in decided["markdown"]
    assert "Other recipes, the largest gains first:" in decided["markdown"]
    assert "| T0 | " in decided["markdown"]
    assert decided["to_move"] == 8


def test_what_is_approved_goes_to_production(waiting: tuple[SmallFleet, Run, dict[str, Any]]) -> None:
    fleet, run, _ = waiting
    summary = finish(fleet, run, Approval(approved=True, by="amy"))
    assert {aliases["production"] for aliases in states(fleet).values()} == {2}
    assert list_releases(fleet.store, run)[-1].actor == f"run {run.run_id}, approved by amy"
    assert "Approved by amy." in fleet.store.get(run.report_key).decode()
    assert raise_if_incomplete(summary) is None


@pytest.mark.parametrize(("by", "says"), [("bob", "Rejected by bob."), ("", "Rejected: nobody approved in time.")])
def test_what_is_not_approved_stays_out_and_only_silence_turns_the_run_red(
    waiting: tuple[SmallFleet, Run, dict[str, Any]], by: str, says: str
) -> None:
    fleet, run, _ = waiting
    summary = finish(fleet, run, Approval(approved=False, by=by))
    assert {aliases["production"] for aliases in states(fleet).values()} == {1}
    assert summary["stopped"] == says
    assert version(fleet, "F1", 2).tags["reason"] == says
    assert set(fleet.forecasts(run)["model_version"]) == {1}
    if by:
        assert raise_if_incomplete(summary) is None
    else:
        with pytest.raises(PermanentError, match="nobody approved in time"):
            raise_if_incomplete(summary)


# --- shadow and canary


def open_trials(fleet: SmallFleet) -> pd.DataFrame:
    return fleet.store.get_frame(Run(fleet.catalogue.name, "", END).trials_key)


GATE = {"hold_days": 0, "max_loss_to_baseline": 5.0}


def test_a_shadow_waits_in_staging_beside_production_and_what_was_sold_decides() -> None:
    fleet = shop(gate={**GATE, "shadow_days": 14})
    deliver_the_rest(fleet, until=DAYS - 16)
    with preferring("tsb", ("T0",)):
        begun = fleet.new_run(as_of=day(DAYS - 17))
        fleet.do_all(begun)
    row = fleet.results(begun)["T0"]
    assert (row["candidate"], row["trial"], row["trial_recipe"]) == ("exponential_smoothing", "begun", "tsb")
    aliases = states(fleet)["T0"]
    assert aliases["production"] == row["version"]
    assert aliases["staging"] == row["staged_version"]
    staged = version(fleet, "T0", row["staged_version"]).tags
    assert (staged["candidate"], staged["stage"], staged["gate"]) == ("tsb", "staging", "shadow")
    trials = open_trials(fleet)
    assert set(trials["sku"]) == {"T0"}
    assert len(trials) == fleet.catalogue.horizon
    published = fleet.published()
    served = published[published["sku"] == "T0"]
    assert set(served["model_version"]) == {row["version"]}, "the shadow's forecasts are not served"
    assert trials["rival_y_hat"].tolist() == served.sort_values("date")["y_hat"].tolist()

    deliver_the_rest(fleet, until=DAYS - 10)
    going = fleet.new_run(as_of=day(DAYS - 11))
    fleet.do_all(going)
    row = fleet.results(going)["T0"]
    assert (row["trial"], row["trial_periods"]) == ("open", 6)
    assert states(fleet)["T0"]["staging"] == staged_number(fleet)

    worse = trials.assign(rival_y_hat=999.0)
    fleet.store.put_frame(going.trials_key, worse)
    deliver_the_rest(fleet)
    ended = fleet.new_run()
    fleet.do_all(ended)
    row = fleet.results(ended)["T0"]
    assert (row["candidate"], row["rule"], row["trial"]) == ("tsb", "shadow", "ended")
    assert row["recipe_since"] == END.isoformat()
    aliases = states(fleet)["T0"]
    assert aliases["production"] == row["version"], "what is promoted is refit on all data"
    assert "staging" not in aliases
    assert version(fleet, "T0", int(version_of_shadow(fleet, begun))).tags["stage"] == "archived"
    assert open_trials(fleet).empty
    history = read_transitions(fleet.store, ended)
    shadow = history[(history["sku"] == "T0") & (history["version"] == version_of_shadow(fleet, begun))]
    assert shadow["to_stage"].tolist() == ["staging", "archived"], "every change of stage is written down"


def version_of_shadow(fleet: SmallFleet, run: Run) -> int:
    return int(fleet.results(run)["T0"]["staged_version"])


def staged_number(fleet: SmallFleet) -> int:
    return int(open_trials(fleet)["version"].iloc[0])


def test_canaries_go_first_and_the_rest_follows_only_where_they_did_no_worse() -> None:
    share = 0.5
    canaries = tuple(sku for sku in (*TOYS, *FOOD) if is_canary(sku, share))
    others = tuple(sku for sku in (*TOYS, *FOOD) if sku not in canaries)
    assert canaries
    assert others
    fleet = shop(gate={**GATE, "canary_share": share, "canary_days": 7}, release={"mode": "disabled"})
    deliver_the_rest(fleet, until=DAYS - 14)
    with preferring("tsb", (*TOYS, *FOOD)):
        first = fleet.new_run(as_of=day(DAYS - 15))
        fleet.do_all(first)
    rows = fleet.results(first)
    assert {sku for sku, row in rows.items() if row["candidate"] == "tsb"} == set(canaries)
    assert {rows[sku]["rule"] for sku in others} == {"canary"}
    assert set(open_trials(fleet)["sku"]) == set(canaries)

    fleet.store.put_frame(first.trials_key, open_trials(fleet).assign(rival_y_hat=999.0))
    deliver_the_rest(fleet, until=DAYS - 7)
    with preferring("tsb", (*TOYS, *FOOD)):
        due = fleet.new_run(as_of=day(DAYS - 8))
        fleet.do_all(due)
    assert read_verdicts(fleet.store, due, END) == {"tsb": True}
    assert {fleet.results(due)[sku]["candidate"] for sku in others} == {"exponential_smoothing"}

    deliver_the_rest(fleet)
    with preferring("tsb", (*TOYS, *FOOD)):
        last = fleet.new_run()
        fleet.do_all(last)
    assert {row["candidate"] for row in fleet.results(last).values()} == {"tsb"}
    assert open_trials(fleet).empty
    assert set(read_release_frame(fleet.store, last)["candidate"]) == {"tsb"}
