"""The verbs of releases and of single SKUs, on a real S3 and a real MLflow."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from include.skufleet.cli import lifecycle
from include.skufleet.cli.main import main
from include.skufleet.errors import PlanError
from include.skufleet.fleet.rollback import Scope
from tests.unit.fleet.small_fleet import END, SmallFleet, weekly

SKUS = ("A", "B/1", "C")
WHOLE = Scope()


@pytest.fixture(scope="module")
def fleet() -> SmallFleet:
    """Two releases: the second has a new version of A and B/1."""
    opened = SmallFleet.open(attributes=True)
    opened.list_skus({"A": "Toys", "B/1": "Toys", "C": "Food"})
    opened.deliver([row for sku in SKUS for row in weekly(sku)])
    opened.do_all(opened.new_run())
    opened.deliver([(sku, "S1", END.isoformat(), 3) for sku in SKUS[:2]], name="second.csv")
    opened.do_all(opened.new_run())
    return opened


class Told:
    """What a verb printed, on a terminal or not, and its exit code."""

    def __init__(self, verb: Any, *arguments: Any, terminal: bool = False, as_json: bool = False) -> None:
        stream = io.StringIO()
        console = Console(file=stream, width=110, force_terminal=terminal, no_color=True, highlight=False)
        self.code = verb(*arguments, console, as_json=as_json)
        self.text = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@pytest.fixture(autouse=True)
def services(fleet: SmallFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "open_services", lambda _: (fleet.clients, fleet.catalogue))
    monkeypatch.setenv("SKUFLEET_ACTOR", "amy")


def test_releases_are_listed_the_newest_first_for_people_pipes_and_programs(fleet: SmallFleet) -> None:
    name = fleet.catalogue.name
    told = Told(lifecycle.show_releases, name, as_json=True)
    assert told.code == 0
    assert [item["run_id"] for item in told.json] == [run.run_id for run in reversed(fleet.runs[:2])]
    piped = Told(lifecycle.show_releases, name).text.splitlines()
    assert piped[0].split("\t")[:4] == ["release", "as of", "made (UTC)", "kind"]
    assert piped[1].split("\t")[4:6] == ["3", "2"]
    assert "Within all limits" in Told(lifecycle.show_releases, name, terminal=True).text


def test_what_differs_between_two_releases_has_an_exit_code_of_its_own(fleet: SmallFleet) -> None:
    name = fleet.catalogue.name
    told = Told(lifecycle.show_diff, name, "previous", "current", as_json=True)
    assert told.code == lifecycle.DIFFERENT
    assert [row["sku"] for row in told.json["changes"]] == ["A", "B/1"]
    assert {row["change"] for row in told.json["changes"]} <= {"refit", "recipe"}
    assert (told.json["changes"][0]["version_from"], told.json["changes"][0]["version_to"]) == (1, 2)
    same = Told(lifecycle.show_diff, name, "current", "current", terminal=True)
    assert same.code == 0
    assert "no difference" in same.text


def test_a_sku_is_explained_in_a_screen(fleet: SmallFleet) -> None:
    told = Told(lifecycle.show_explanation, fleet.catalogue.name, "A", terminal=True)
    assert len(told.text.splitlines()) <= 40
    for words in (
        "Serves: version 2, exponential_smoothing",
        "production's recipe, refit on newer days",
        "Also: previous 1",
        "What competed",
        "was refit",
        "rmsse of the seasonal naive",
        "at least 0.5%",
        "What would have to change",
    ):
        assert words in told.text
    known = Told(lifecycle.show_explanation, fleet.catalogue.name, "C", as_json=True).json
    assert (known["serving"]["version"], known["department"], known["moved_by_hand"]) == (1, "Food", 0)
    assert next(iter(known["competed"])) in ("exponential_smoothing", "tsb")
    assert known["history"][0]["to_stage"] == "production"


def test_a_sku_that_nobody_knows_is_told_with_some_that_there_are(fleet: SmallFleet) -> None:
    with pytest.raises(PlanError, match="has no SKU 'b'; there are 3, for example B/1"):
        Told(lifecycle.show_explanation, fleet.catalogue.name, "b")
    with pytest.raises(PlanError, match="nothing is known of a SKU 'Z'"):
        Told(lifecycle.show_history, fleet.catalogue.name, "Z", None)


def test_the_history_of_a_sku_and_who_served_on_a_day(fleet: SmallFleet) -> None:
    name, today = fleet.catalogue.name, datetime.now(UTC).date()
    rows = Told(lifecycle.show_history, name, "A", None, as_json=True).json
    assert [(row["version"], row["to_stage"]) for row in rows][-1] == (1, "production")
    assert {(row["version"], row["to_stage"]) for row in rows} == {
        (1, "production"),
        (1, "archived"),
        (2, "production"),
    }
    assert "version 2" in Told(lifecycle.show_history, name, "A", today).text
    assert "nothing served it" in Told(lifecycle.show_history, name, "A", today - timedelta(days=1)).text
    assert Told(lifecycle.show_history, name, "A", today, as_json=True).json["version"] == 2


def test_a_plan_says_what_a_run_would_do_and_leaves_nothing_behind(fleet: SmallFleet) -> None:
    name = fleet.catalogue.name
    before = {item.key for item in fleet.store.list("runs/")}
    told = Told(lifecycle.show_plan, name, END, (), as_json=True)
    assert (told.code, told.json["to_train"], told.json["unchanged"]) == (0, 0, 3)
    assert {item.key for item in fleet.store.list("runs/")} == before
    assert "to train" in Told(lifecycle.show_plan, name, END, (), terminal=True).text


def test_a_release_is_taken_back_and_put_there_again(fleet: SmallFleet) -> None:
    name = fleet.catalogue.name
    told = Told(lifecycle.roll_back_by_command, name, "previous", Scope(skus=("A",)), "a drill")
    assert told.code == 0
    assert "1 SKUs moved" in told.text
    assert f"make trigger CATALOGUE={name}" in told.text, "the forecasts are still the former versions'"
    assert fleet.clients.registry.production(name)["A"].version == 1
    newest = Told(lifecycle.show_releases, name, as_json=True).json[0]
    assert (newest["kind"], newest["actor"]) == ("rollback", "amy")
    assert Told(lifecycle.promote_by_command, name, "", WHOLE, "", as_json=True).json["moved"] == 1
    assert fleet.clients.registry.production(name)["A"].version == 2


def test_what_could_not_be_moved_has_an_exit_code_of_its_own(fleet: SmallFleet) -> None:
    import mlflow

    from tests.unit.registry.mlflow_server import server_uri

    name = fleet.catalogue.name
    model = fleet.clients.registry.states(name)["B/1"].name
    mlflow.MlflowClient(server_uri(), server_uri()).delete_model_version(model, "1")
    first = Told(lifecycle.show_releases, name, as_json=True).json[-1]["name"]
    told = Told(lifecycle.roll_back_by_command, name, first, WHOLE, "")
    assert told.code == lifecycle.NOT_ALL
    assert "1 could not be moved and stay as they are" in told.text
    assert "B/1" in told.text


@pytest.mark.parametrize(
    "arguments", [["rollback", "--catalogue", "demo"], ["explain", "--catalogue", "demo"], ["history", "A"]]
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "required" in capsys.readouterr().err
