"""What holds for every Dag of the platform."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from airflow.configuration import conf
from airflow.sdk import TriggerRule
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization

from include.skufleet.config import catalogue_files, find_catalogue
from tests.dags.conftest import read_dags
from tests.dags.test_wrong_catalogue import copy_catalogues

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {
    "mlflow",
    "great_expectations",
    "sklearn",
    "pandas",
    "numpy",
    "deltalake",
    "boto3",
    "pyarrow",
    "matplotlib",
    "scipy",
}


def test_every_dag_file_is_read_without_an_error(dag_bag) -> None:
    assert dag_bag.import_errors == {}


def dags_that(dag_bag, do: str) -> list:
    """The Dags that retrain, or those that search."""
    return [dag for dag_id, dag in sorted(dag_bag.dags.items()) if dag_id.startswith(f"{do}_")]


def test_each_catalogue_file_gives_its_own_dags_and_nothing_else_is_there(dag_bag) -> None:
    searched = [name for name in catalogue_files() if find_catalogue(name).search is not None]
    expected = {f"{do}_{name}" for name in catalogue_files() for do in ("retrain", "rollback")}
    expected |= {f"search_{name}" for name in searched}
    assert set(dag_bag.dags) == expected


def test_every_dag_file_begins_with_a_docstring() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert len(ast.get_docstring(ast.parse(path.read_text())) or "") > 80, path.name


def test_every_dag_has_an_owner_tags_a_page_of_help_and_runs_one_at_a_time(dag_bag) -> None:
    for dag in dag_bag.dags.values():
        assert dag.owner == "skufleet"
        kind, _, catalogue = dag.dag_id.partition("_")
        assert {"skufleet", kind, catalogue} == set(dag.tags)
        assert "harmless" in dag.doc_md
        assert dag.max_active_runs == 1
        assert dag.catchup is False


def test_every_task_retries_with_spread_backoff_and_has_a_timeout(dag_bag) -> None:
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            assert task.retries >= 2
            assert type(task.retry_policy).__name__ == "SpreadBackoff"
            # What holds for a killed task, which cannot ask its policy.
            assert task.retry_delay <= timedelta(seconds=30)
            assert task.retry_exponential_backoff == 2.0
            assert task.execution_timeout is not None


def test_every_task_that_fails_says_so_and_nobody_is_told_by_default(dag_bag) -> None:
    for dag in dag_bag.dags.values():
        for task in dag.tasks:
            callback = task.partial_kwargs["on_failure_callback"] if task.is_mapped else task.on_failure_callback[0]
            assert callback.__name__ == "note_failure"
        assert not dag.has_on_failure_callback
        assert not dag.deadline


def test_with_the_section_a_failed_run_is_told_of_and_a_late_one_too(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    text = (folder / "demo.yaml").read_text() + "\nnotify: {webhook: chat, deadline_minutes: 90}\n"
    (folder / "demo.yaml").write_text(text)
    dags = read_dags(ROOT / "dags").dags
    for dag_id, others in (("retrain_demo", "retrain_m5"), ("search_demo", "search_m5")):
        assert DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id])).has_on_failure_callback
        assert not dags[others].has_on_failure_callback
    (alert,) = dags["retrain_demo"].deadline
    assert alert.interval == timedelta(minutes=90)
    assert alert.callback.path == "include.skufleet.orchestration.notifications.tell_late"
    assert not dags["search_demo"].deadline


def test_the_flow_is_one_line_to_the_report_and_only_the_chunks_are_mapped(dag_bag) -> None:
    for dag in dags_that(dag_bag, "retrain"):
        order = [task.task_id for task in dag.topological_sort()]
        assert order[:7] == ["ingest", "plan", "departments", "retrain", "decide", "promote", "forecast"]
        assert set(order[7:]) == {"report", "tidy"}
        assert not dag.get_task("report").downstream_list, "what comes after a red report would hide it"
        assert [task.task_id for task in dag.tasks if task.is_mapped] == ["retrain"]
        assert dag.get_task("retrain").map_index_template == "{{ label }}"


def test_with_approval_a_person_is_asked_between_decision_and_promotion(tmp_path, monkeypatch) -> None:
    folder = tmp_path / "catalogues"
    copy_catalogues(folder, monkeypatch)
    text = (folder / "demo.yaml").read_text() + "\nrelease: {approval: required, approval_hours: 3}\n"
    (folder / "demo.yaml").write_text(text)
    dags = read_dags(ROOT / "dags").dags
    dag, other = dags["retrain_demo"], dags["retrain_m5"]
    approve, promote = dag.get_task("approve"), dag.get_task("promote")
    assert "approve" not in other.task_dict
    assert (approve.upstream_task_ids, approve.downstream_task_ids) == ({"decide"}, {"promote"})
    assert promote.upstream_task_ids == {"decide", "approve"}
    assert promote.trigger_rule == TriggerRule.NONE_FAILED, "a task that had nothing to ask holds nobody up"
    assert approve.response_timeout == timedelta(hours=3)
    assert (approve.options, approve.defaults) == (["Approve", "Reject"], ["Reject"]), "silence rejects"
    assert approve.execution_timeout is None, "a person is no task that hangs"
    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).has_task("approve")


def test_a_rollback_is_made_by_hand_and_then_forecast_anew(dag_bag) -> None:
    for dag in dags_that(dag_bag, "rollback"):
        assert not dag.timetable.can_be_scheduled
        assert [task.task_id for task in dag.topological_sort()] == [
            "roll_back",
            "whether_to_forecast",
            "forecast_anew",
        ]
        again = dag.get_task("forecast_anew")
        assert again.trigger_dag_id == f"retrain_{dag.dag_id.removeprefix('rollback_')}"
        assert again.skip_when_already_exists, "a retry starts no second run"
        assert {name: dag.params[name] for name in ("release", "skus", "department", "forecast")} == {
            "release": "previous", "skus": [], "department": None, "forecast": True,
        }  # fmt: skip


def test_no_sku_is_lost_with_the_stage_of_the_departments(dag_bag) -> None:
    """The chunks wait for it and start whatever became of it; without a plan Airflow has nothing to map them over."""
    for dag in dags_that(dag_bag, "retrain"):
        assert dag.get_task("departments").upstream_task_ids == {"plan"}
        assert dag.get_task("departments").trigger_rule == TriggerRule.ALL_SUCCESS
        assert dag.get_task("retrain").upstream_task_ids == {"plan", "departments"}
        assert dag.get_task("retrain").trigger_rule == TriggerRule.ALL_DONE


def test_a_search_maps_its_trials_rung_by_rung_and_judges_whatever_failed(dag_bag) -> None:
    for dag in dags_that(dag_bag, "search"):
        rungs = find_catalogue(dag.dag_id.removeprefix("search_")).search.rungs
        between = [name for rung in range(1, rungs) for name in (f"rung_{rung}", f"judge_{rung}")]
        order = [task.task_id for task in dag.topological_sort()]
        assert order == ["ingest", "plan", *between, f"rung_{rungs}", "report"]
        for before, after in pairwise(order):
            assert dag.get_task(after).upstream_task_ids == {before}
        assert [task.task_id for task in dag.tasks if task.is_mapped] == [f"rung_{n}" for n in range(1, rungs + 1)]
        for task in dag.tasks:
            judges = task.task_id.startswith("judge") or task.task_id == "report"
            assert task.trigger_rule == (TriggerRule.ALL_DONE if judges else TriggerRule.ALL_SUCCESS)
            assert not task.is_mapped or task.map_index_template == "{{ label }}"


def test_a_search_runs_by_hand_only(dag_bag) -> None:
    for dag in dags_that(dag_bag, "search"):
        assert not dag.timetable.can_be_scheduled


def test_no_search_hands_out_more_trials_than_airflow_maps(dag_bag) -> None:
    for dag in dags_that(dag_bag, "search"):
        assert dag.params.get_param("configurations").schema["maximum"] <= conf.getint("core", "max_map_length")


def test_the_schedule_is_the_catalogue_files_and_switching_on_starts_nothing(dag_bag) -> None:
    for name in catalogue_files():
        timetable, cron = dag_bag.dags[f"retrain_{name}"].timetable, find_catalogue(name).schedule
        if cron is None:
            assert not timetable.can_be_scheduled
        else:
            assert timetable.expression == cron
            assert timetable.run_immediately == timedelta()
        assert dag_bag.dags[f"retrain_{name}"].start_date is None


def test_what_the_runs_of_a_catalogue_share_is_changed_by_one_run_at_a_time(dag_bag) -> None:
    """A backfill has several runs at once, and MLflow's aliases cannot be moved on condition."""
    for dag in dags_that(dag_bag, "retrain"):
        alone = {task.task_id for task in dag.tasks if task.max_active_tis_per_dag == 1}
        assert alone == {"decide", "promote", "forecast", "tidy"}


def test_every_catalogue_can_be_backfilled(dag_bag) -> None:
    for dag in dags_that(dag_bag, "retrain"):
        stored = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        assert stored.timetable.periodic
        day = datetime(2026, 3, 2, tzinfo=UTC)
        infos = list(stored.iter_dagrun_infos_between(day, day + timedelta(days=2, hours=23)))
        assert [info.logical_date.date().isoformat() for info in infos] == ["2026-03-02", "2026-03-03", "2026-03-04"]


def test_params_are_typed_and_their_defaults_mean_everything_now(dag_bag) -> None:
    for dag in dag_bag.dags.values():
        dag.params.validate()
        assert all(dag.params.get_param(name).schema.get("title") for name in dag.params)
    for dag in dags_that(dag_bag, "retrain"):
        assert dag.params.dump() == {"as_of": None, "skus": [], "force": False, "dry_run": False}


def test_the_params_of_a_search_are_the_files_own_settings(dag_bag) -> None:
    for dag in dags_that(dag_bag, "search"):
        search = find_catalogue(dag.dag_id.removeprefix("search_")).search
        own = {name: getattr(search, name) for name in ("configurations", "sample", "seed")}
        assert dag.params.dump() == {"as_of": None, "skus": [], **own}


@pytest.mark.parametrize(
    ("dag_id", "key", "value"),
    [
        ("retrain_demo", "as_of", "yesterday"),
        ("retrain_demo", "as_of", 20260131),
        ("retrain_demo", "skus", "A"),
        ("retrain_demo", "force", "yes"),
        ("retrain_demo", "dry_run", None),
        ("search_demo", "configurations", 1),
        ("search_demo", "configurations", 901),
        ("search_demo", "sample", 0),
        ("search_demo", "seed", -1),
    ],
)
def test_a_param_of_the_wrong_type_is_refused(dag_bag, dag_id: str, key: str, value: object) -> None:
    with pytest.raises(ParamValidationError, match=re.escape(repr(value))):
        dag_bag.dags[dag_id].params.get_param(key).resolve(value=value)


def test_every_dag_survives_serialisation_with_its_links(dag_bag) -> None:
    names = {
        "retrain": {"MLflow run", "Models in the registry", "Fleet report"},
        "search": {"MLflow run", "Search report"},
        "rollback": {"MLflow run", "Models in the registry", "Fleet report"},
    }
    for dag in dag_bag.dags.values():
        loaded = DagSerialization.from_dict(DagSerialization.to_dict(dag))
        for task in loaded.task_dict.values():
            if task.task_id != "forecast_anew":  # Airflow's own operator has links of its own
                assert {link.name for link in task.operator_extra_links} == names[dag.dag_id.partition("_")[0]]


def test_reading_the_dags_and_plugins_imports_nothing_heavy_and_reads_no_environment() -> None:
    code = f"""
import sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "dags")!r}, {str(ROOT / "plugins")!r}]
import airflow, airflow.sdk, airflow.providers.standard.decorators.python, airflow.plugins_manager
before = set(sys.modules)
import retrain, search, catalogues, skufleet_pages, skufleet_warm
print(sorted({{name.split('.')[0] for name in set(sys.modules) - before}}))
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not set(ast.literal_eval(out.strip().splitlines()[-1])) & HEAVY
