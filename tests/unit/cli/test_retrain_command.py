"""What ``make trigger`` prints and returns, for each way in which a run can end."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from include.skufleet.cli import main as main_module
from include.skufleet.cli import retrain as retrain_module
from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.cli.main import main
from include.skufleet.cli.retrain import retrain_and_watch
from include.skufleet.cli.summary import task_url
from include.skufleet.errors import CatalogueError, LocalStackError, ServiceUnavailableError
from include.skufleet.fleet.outcomes import OUTCOMES
from include.skufleet.fleet.run import RunKeys
from include.skufleet.lake.store import ObjectStore
from tests.unit.cli.airflow_stand_in import StandIn, instance

STAGES = ("ingest", "plan", "departments", "retrain", "promote", "forecast", "report")


def summary_of(airflow: StandIn, **changes: Any) -> dict[str, Any]:
    return {
        "catalogue": "demo",
        "run_id": airflow.run_id,
        "as_of": "2026-03-31",
        "skus": 1200,
        "planned": 1100,
        "chunks": 22,
        "outcomes": dict.fromkeys(OUTCOMES, 0) | {"trained": 1100, "skipped": 100},
        "promoted": 1000,
        "held": 100,
        "recipes_changed": 7,
        "stopped": "",
        "unchanged": 12,
        "unchanged_seconds_saved": 1.5,
        "wape": 0.3,
        "baseline_wape": 0.4,
        "lost_chunks": [],
        "unpooled": False,
        "missing_stages": [],
        "dry_run": False,
        "complete": True,
        "stage_seconds": {"ingest": 2.4, "retrain": 30.6},
        "report": "s3://bucket/reports/demo/run.html",
        "local_report": "",
    } | changes


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrain_module, "POLL_SECONDS", 0.01)


def run(api: AirflowApi, catalogue: str = "demo", **conf: Any) -> tuple[int, str]:
    """The exit code and what was printed."""
    text = io.StringIO()
    code = retrain_and_watch(api, catalogue, conf, Console(file=text, width=100, highlight=False))
    return code, text.getvalue()


def write_summary(store: ObjectStore, airflow: StandIn, **changes: Any) -> None:
    store.put_json(RunKeys("demo", airflow.run_id).summary_key, summary_of(airflow, **changes))


def test_a_complete_run_ends_with_its_figures_and_code_0(airflow: StandIn, api: AirflowApi, store: ObjectStore) -> None:
    airflow.instances = [instance(stage) for stage in STAGES]
    airflow.states = ["queued", "running", "running", "success"]
    airflow.on_trigger = lambda _: write_summary(store, airflow)
    code, printed = run(api, as_of="2026-03-31")
    assert code == 0
    assert "demo as of 2026-03-31" in printed
    for line in (
        "1,200",
        "1,100",
        "1,000 new versions, 7 with another recipe, 100 held back",
        "in 22 chunks (ingest 2, retrain 31)",
    ):
        assert line in printed
    assert "30.0% against 40.0% of the seasonal naive (+25.0% better)" in printed
    assert "s3://bucket/reports/demo/run.html" in printed
    assert f"{airflow.url}/skufleet/report/retrain_demo/manual__2026-04-01T00%3A00%3A00%2B00%3A00" in printed
    assert "failed" not in printed.replace("stages that failed", "")
    methods = [(method, path) for method, path, _ in airflow.asked]
    assert methods.index(("PATCH", "/api/v2/dags/retrain_demo")) < methods.index(
        ("POST", "/api/v2/dags/retrain_demo/dagRuns")
    )


@pytest.mark.parametrize(
    ("state", "changes"),
    [
        ("success", {"complete": False, "lost_chunks": ["c003"]}),
        ("failed", {"complete": False, "missing_stages": ["forecast"]}),
        ("failed", {}),
    ],
    ids=["a SKU is not accounted for", "a stage is missing", "a red run"],
)
def test_anything_less_than_a_green_and_complete_run_ends_with_code_1(
    airflow: StandIn, api: AirflowApi, store: ObjectStore, state: str, changes: dict[str, Any]
) -> None:
    airflow.states = [state]
    airflow.on_trigger = lambda _: write_summary(store, airflow, **changes)
    code, printed = run(api)
    assert code == 1
    assert "demo as of 2026-03-31" in printed
    assert ("lost chunks: c003" in printed) == ("lost_chunks" in changes)


def test_a_run_that_trained_each_sku_on_its_own_for_want_of_departments_says_so(
    airflow: StandIn, api: AirflowApi, store: ObjectStore
) -> None:
    airflow.states = ["success"]
    airflow.on_trigger = lambda _: write_summary(store, airflow, unpooled=True)
    code, printed = run(api)
    assert code == 0
    assert "their stage failed: each SKU was trained on its own" in printed


def test_a_run_without_a_summary_names_the_failed_tasks_and_their_logs(
    airflow: StandIn, api: AirflowApi, store: ObjectStore
) -> None:
    label = "c001 · 3 SKUs · [/red] <b>"
    airflow.states = ["failed"]
    airflow.instances = [
        instance("ingest"),
        instance("plan", "failed"),
        instance("retrain", "failed", 1, try_number=5, rendered_map_index=label),
        instance("promote", "upstream_failed"),
    ]
    code, printed = run(api)
    assert code == 1
    page = f"{airflow.url}/dags/retrain_demo/runs/{airflow.run_id}/tasks"
    assert f"plan failed after 1 try: {page}/plan\n" in printed
    assert f"retrain {label} failed after 5 tries: {page}/retrain/mapped/1\n" in printed
    assert "ingest failed" not in printed


def test_an_api_that_stays_away_for_a_moment_is_waited_for(
    airflow: StandIn, api: AirflowApi, store: ObjectStore
) -> None:
    def begin(_: dict[str, Any]) -> None:
        write_summary(store, airflow)
        airflow.failures = [(503, "")] * retrain_module.MAX_UNANSWERED

    airflow.on_trigger = begin
    assert run(api)[0] == 0
    assert airflow.failures == []


def test_an_api_that_stays_away_is_given_up(airflow: StandIn, api: AirflowApi, store: ObjectStore) -> None:
    def begin(_: dict[str, Any]) -> None:
        airflow.failures = [(503, "")] * (retrain_module.MAX_UNANSWERED + 1)

    airflow.on_trigger = begin
    with pytest.raises(ServiceUnavailableError, match="503"):
        run(api)


def test_a_dry_run_says_what_would_be_trained(airflow: StandIn, api: AirflowApi, store: ObjectStore) -> None:
    airflow.on_trigger = lambda conf: write_summary(store, airflow, dry_run=conf["dry_run"], outcomes={})
    code, printed = run(api, dry_run=True)
    assert code == 0
    assert "1,100 of 1,200 SKUs would be trained" in printed
    assert "WAPE" not in printed


@pytest.mark.parametrize(
    ("wape", "baseline", "says"),
    [(None, None, "nothing could be backtested"), (0.5, None, "50.0%"), (0.6, 0.5, "(-20.0% better)")],
)
def test_accuracy_that_is_unknown_or_worse_is_said_so(
    airflow: StandIn, api: AirflowApi, store: ObjectStore, wape: float | None, baseline: float | None, says: str
) -> None:
    airflow.on_trigger = lambda _: write_summary(store, airflow, wape=wape, baseline_wape=baseline)
    assert says in run(api)[1]


def test_a_catalogue_that_does_not_exist_is_refused_before_anything_is_triggered(
    airflow: StandIn, api: AirflowApi
) -> None:
    with pytest.raises(CatalogueError, match="no catalogue 'nowhere'"):
        run(api, "nowhere")
    assert airflow.asked == []


def test_the_address_of_a_mapped_tasks_log_has_its_map_index() -> None:
    mapped, plain = instance("retrain", map_index=7), instance("plan")
    page = "http://a/dags/retrain_demo/runs/manual__2026-04-01T00:00:00+00:00/tasks"
    assert task_url("http://a", mapped) == f"{page}/retrain/mapped/7"
    assert task_url("http://a", plain) == f"{page}/plan"


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What ``trigger`` would ask of Airflow; no stack is started."""
    found: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(main_module, "_start", lambda _: None)
    monkeypatch.setattr(main_module, "open_airflow", lambda _: None)

    def note(api: None, catalogue: str, conf: dict[str, Any], console: Console) -> int:
        found.append((catalogue, conf))
        return 0

    monkeypatch.setattr(main_module, "retrain_and_watch", note)
    return found


def test_arguments_become_the_params_of_the_run(asked: list[tuple[str, dict[str, Any]]]) -> None:
    options = ["--as-of", "2026-01-31", "--skus", " FRE-*, GRO 1 ,,", "--force", "--dry-run"]
    assert main(["trigger", "--catalogue", "m5", *options]) == 0
    conf = {"as_of": "2026-01-31", "skus": ["FRE-*", "GRO 1"], "force": True, "dry_run": True}
    assert asked == [("m5", conf)]


def test_without_arguments_everything_is_retrained_as_of_now(asked: list[tuple[str, dict[str, Any]]]) -> None:
    assert main(["trigger", "--catalogue", "m5"]) == 0
    assert asked == [("m5", {"as_of": None, "skus": [], "force": False, "dry_run": False})]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "required: verb"),
        (["trigger"], "required: --catalogue"),
        (["trigger", "--catalogue", "m5", "--as-of", "31.1.2026"], "got '31.1.2026', expected a date such as 2026"),
        (["retrain"], "invalid choice: 'retrain'"),
    ],
)
def test_wrong_usage_ends_with_code_2_and_a_hint(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


def test_an_error_of_ours_is_one_line_whatever_is_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(console: Console) -> None:
        raise LocalStackError("port 5000 is taken by [/red] [bold]; free it")

    monkeypatch.setattr(main_module, "_start", fail)
    assert main(["trigger", "--catalogue", "demo"]) == 1
    assert capsys.readouterr().err == "error: port 5000 is taken by [/red] [bold]; free it\n"


def test_an_interruption_says_that_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(console: Console) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(main_module, "_start", interrupt)
    assert main(["trigger", "--catalogue", "demo"]) == 130
    assert "what was started goes on" in capsys.readouterr().out
