"""``backfill`` and ``scorecard``: which dates are run, what is printed, and what the exit code says."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.skufleet.cli import backfill as backfill_module
from include.skufleet.cli import main as main_module
from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.backfill import backfill_and_watch, list_dates
from include.skufleet.cli.main import main
from include.skufleet.cli.scorecard import show_scorecards
from include.skufleet.errors import ConfigError
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.scores import scorecard_key
from include.skufleet.lake.store import ObjectStore
from tests.unit.fleet.test_scorecard import FIRST, card


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The params of the runs that were triggered; those of the second week fail."""
    found: list[dict[str, Any]] = []

    def play(_api: Any, _catalogue: str, conf: dict[str, Any], _console: Console) -> int:
        found.append(conf)
        return int(conf["as_of"] == (FIRST + timedelta(days=7)).isoformat())

    monkeypatch.setattr(backfill_module, "retrain_and_watch", play)
    return found


def write(store: ObjectStore, *days: int) -> None:
    for day in days:
        run = Run("demo", f"run-{day}", as_of=FIRST + timedelta(days=day))
        store.put_json(scorecard_key(run), card(day).to_json())


def backfill(dates: list[date], **options: Any) -> tuple[int, str]:
    text = io.StringIO()
    api = AirflowApi("http://127.0.0.1:1", "ann", "right")
    console = Console(file=text, width=160, highlight=False)
    return backfill_and_watch(api, "demo", dates, {"force": True}, console, **options), text.getvalue()


def test_both_ends_are_included_where_a_step_falls_on_them() -> None:
    assert list_dates(FIRST, FIRST + timedelta(days=14), 7) == [FIRST + timedelta(days=days) for days in (0, 7, 14)]
    assert list_dates(FIRST, FIRST + timedelta(days=13), 7) == [FIRST, FIRST + timedelta(days=7)]
    assert list_dates(FIRST, FIRST, 1) == [FIRST]


@pytest.mark.parametrize(("days", "every"), [(-1, 1), (7, 0), (7, -7)])
def test_steps_that_lead_nowhere_are_refused(days: int, every: int) -> None:
    with pytest.raises(ConfigError, match="expected FROM before TO"):
        list_dates(FIRST, FIRST + timedelta(days=days), every)


def test_each_date_is_run_in_turn_and_one_that_fails_does_not_stop_the_others(
    store: ObjectStore, asked: list[dict[str, Any]]
) -> None:
    code, text = backfill(list_dates(FIRST, FIRST + timedelta(days=14), 7))
    assert [conf["as_of"] for conf in asked] == ["2026-03-01", "2026-03-08", "2026-03-15"]
    assert all(conf["force"] for conf in asked)
    assert code == 1
    assert "1 of 3 runs failed: 2026-03-08" in text


def test_a_date_that_has_a_scorecard_is_run_again_only_if_asked(
    store: ObjectStore, asked: list[dict[str, Any]]
) -> None:
    write(store, 0)
    code, text = backfill([FIRST])
    assert (code, asked) == (0, [])
    assert "2026-03-01: has a scorecard already" in text
    backfill([FIRST], again=True)
    assert len(asked) == 1


def show(**options: Any) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    assert show_scorecards("demo", console, **options) == 0
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_scorecards_are_a_table_json_and_a_plot(store: ObjectStore, tmp_path: Path) -> None:
    assert "no run of a past date has been made yet" in show()
    write(store, 7, 0)
    lines = show(svg=tmp_path / "plot.svg").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["2026-03-01", "2026-03-08"]
    assert "days known" in lines[0]
    assert "7 of 7" in lines[1]
    assert "…" not in "".join(lines), "a terminal of 80 columns shows every figure"
    assert [item["as_of"] for item in json.loads(show(as_json=True))] == ["2026-03-01", "2026-03-08"]
    assert (tmp_path / "plot.svg").read_text(encoding="utf-8").startswith("<svg xmlns=")


def test_a_plot_that_cannot_be_written_is_told(store: ObjectStore, tmp_path: Path) -> None:
    write(store, 0)
    with pytest.raises(ConfigError, match="cannot be written"):
        show(svg=tmp_path / "nowhere" / "plot.svg")


def test_the_verbs_hand_on_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(main_module, "_start", lambda *_: None)
    monkeypatch.setattr(main_module, "open_airflow", lambda _: "api")
    monkeypatch.setattr(main_module, "backfill_and_watch", lambda *given, **named: seen.append((given, named)) or 0)
    words = ["backfill", "--catalogue", "m5", "--from", "2016-03-06", "--to", "2016-03-20", "--every", "7"]
    assert main([*words, "--skus", "A*,B", "--again"]) == 0
    (api, catalogue, dates, conf, _), named = seen[0]
    assert (api, catalogue, named) == ("api", "m5", {"again": True})
    assert [day.day for day in dates] == [6, 13, 20]
    assert conf == {"skus": ["A*", "B"], "force": False}
