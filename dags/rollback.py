"""Take a release back: put the versions of an earlier release into production again; triggered by hand.

**Flow**: `roll_back` restores the aliases of all SKUs of the release, or of some → `forecast_anew` starts a run of
`retrain_<catalogue>`, which forecasts with what serves now (skipped where `forecast` is off).

**Schedule**: none.

**Params**: `release` (a name, a date, or `previous`), `skus` (codes or patterns), `department`, `reason`, `forecast`.

**A retry or a rerun is harmless**, and so is breaking off: a retry, or the same rollback again, does the rest. It waits
for a promotion that is at work. What is rolled back is not promoted again before its SKU's data change. A SKU that
cannot be moved (its version was deleted, or somebody else moved its alias) stays as it is, is named in the log, and
turns the task red at the end. The same by command: `python -m include.skufleet rollback --catalogue NAME --release R`.

One Dag per file in `include/catalogues/`; a file that is wrong shows as an import error of `dags/catalogues.py`.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, dag, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from include.skufleet.config import Catalogue
from include.skufleet.orchestration import tasks
from include.skufleet.orchestration.dag_files import wanted_catalogues
from include.skufleet.orchestration.defaults import task_defaults
from include.skufleet.orchestration.links import fleet_task
from include.skufleet.orchestration.notifications import failure_callback
from include.skufleet.orchestration.params import current_actor, current_rollback, rollback_params


def rollback_dag(catalogue: Catalogue) -> DAG:
    """The rollback Dag of one catalogue."""

    @dag(
        dag_id=f"rollback_{catalogue.name}",
        description=f"Take a release back: {catalogue.description}",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        params=rollback_params(),
        tags=["skufleet", "rollback", catalogue.name],
        default_args=task_defaults(catalogue, tries=5),
        on_failure_callback=failure_callback(catalogue),
    )
    def rollback_catalogue() -> None:
        @fleet_task()
        def roll_back() -> dict[str, Any]:
            """Put what the release named back into production."""
            context = get_current_context()
            return tasks.roll_back(current_rollback(catalogue.name), context["dag_run"].run_id, current_actor())

        @fleet_task()
        def whether_to_forecast() -> None:
            """Go on only where the trigger form says so."""
            if not get_current_context()["params"]["forecast"]:
                raise AirflowSkipException("the trigger form says: no new forecasts")

        forecast_anew = TriggerDagRunOperator(
            task_id="forecast_anew",
            trigger_dag_id=f"retrain_{catalogue.name}",
            trigger_run_id="after {{ run_id }}",
            skip_when_already_exists=True,
        )
        roll_back() >> whether_to_forecast() >> forecast_anew

    return rollback_catalogue()


for found in wanted_catalogues("rollback"):
    globals()[f"rollback_{found.name}"] = rollback_dag(found)
