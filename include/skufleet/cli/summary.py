"""What a finished run tells the person who started it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console

from include.skufleet.cli.airflow_api import AirflowApi
from include.skufleet.orchestration.page_paths import report_url

LABELS = {
    "trained": "trained",
    "fallback": "served by a fallback",
    "quarantined": "quarantined",
    "failed": "failed",
    "skipped": "skipped",
}


def print_summary(
    console: Console, summary: dict[str, Any], seconds: float, airflow_url: str, mlflow_url: str, dag_id: str
) -> bool:
    """Print the run's figures and where to look next; whether every SKU is accounted for."""
    console.print()
    console.print(f"[bold]{summary['catalogue']}[/] as of {summary['as_of']}")
    for label, value in _lines(summary, seconds):
        console.print(f"  {label:<25}{value}", soft_wrap=True)
    console.print(f"  {'report':<25}{summary['local_report'] or summary['report']}", soft_wrap=True)
    console.print(f"  {'the same in Airflow':<25}{report_url(airflow_url, dag_id, summary['run_id'])}", soft_wrap=True)
    if mlflow_url:
        console.print(f"  {'models in MLflow':<25}{mlflow_url}/#/models", soft_wrap=True)
    if not summary["complete"]:
        accounted = f"{sum(summary['outcomes'].values())} of {summary['skus']} SKUs are accounted for"
        console.print(
            f"[bold red]✗[/] the run is not complete: {accounted}; "
            f"lost chunks: {', '.join(summary['lost_chunks']) or 'none'}; "
            f"stages that failed: {', '.join(summary['missing_stages']) or 'none'}"
        )
    return bool(summary["complete"])


def _lines(summary: dict[str, Any], seconds: float) -> Iterator[tuple[str, str]]:
    """Label and value of each line of the summary."""
    if summary["dry_run"]:
        yield "dry run", f"{summary['planned']:,} of {summary['skus']:,} SKUs would be trained"
    else:
        yield "SKUs", f"{summary['skus']:,}"
        for name in LABELS:
            if summary["outcomes"].get(name):
                yield f"  {LABELS[name]}", f"{summary['outcomes'][name]:,}"
        if summary["unchanged"]:
            saved = f"{summary['unchanged_seconds_saved']:,.0f} CPU s of training saved"
            yield "  of them unchanged", f"{summary['unchanged']:,}, {saved}"
        changed = f", {summary['recipes_changed']:,} with another recipe" if summary["recipes_changed"] else ""
        yield "promoted", f"{summary['promoted']:,} new versions{changed}, {summary['held']:,} held back"
        if summary["stopped"]:
            yield "stopped", summary["stopped"]
        yield "fleet WAPE", _accuracy(summary)
    if summary.get("late_rows"):
        yield "left out", f"{summary['late_rows']:,} rows that were delivered after the date"
    if summary["unpooled"]:
        yield "departments", "their stage failed: each SKU was trained on its own"
    stages = ", ".join(f"{stage} {value:.0f}" for stage, value in summary["stage_seconds"].items())
    yield "time", f"{seconds:.0f} s in {summary['chunks']} chunks ({stages})"


def print_failure(console: Console, api: AirflowApi, dag_id: str, run_id: str) -> None:
    """Name the tasks that failed, and where their logs are."""
    console.print(f"[bold red]✗[/] run {run_id} of {dag_id} failed")
    for item in api.task_instances(dag_id, run_id):
        if item["state"] == "failed":
            name = item["task_id"] + (f" {item['rendered_map_index']}" if item.get("rendered_map_index") else "")
            tries = f"{item['try_number']} {'try' if item['try_number'] == 1 else 'tries'}"
            # A chunk's label holds a SKU's code, which may look like markup.
            console.print(f"  {name} failed after {tries}: {task_url(api.url, item)}", soft_wrap=True, markup=False)


def task_url(airflow_url: str, instance: dict[str, Any]) -> str:
    """The log of a task instance in the Airflow UI."""
    page = f"{airflow_url}/dags/{instance['dag_id']}/runs/{instance['dag_run_id']}/tasks/{instance['task_id']}"
    return page if instance["map_index"] < 0 else f"{page}/mapped/{instance['map_index']}"


def _accuracy(summary: dict[str, Any]) -> str:
    """Fleet WAPE against the seasonal naive's."""
    wape, baseline = summary["wape"], summary["baseline_wape"]
    if wape is None:
        return "nothing could be backtested"
    if not baseline:
        return f"{wape:.1%}"
    return f"{wape:.1%} against {baseline:.1%} of the seasonal naive ({1 - wape / baseline:+.1%} better)"
