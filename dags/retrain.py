"""Retrain one demand model per SKU, for the whole catalogue.

**Flow**: `ingest` what has landed since the last run → `plan` which SKUs to train, packed into chunks of like cost →
`departments`: what the calendar does to the sales of each department, for its SKUs to borrow from (skipped where no
candidate does) → `retrain`, one mapped task per chunk: validate, backtest, train and register each of its SKUs →
`decide`, each SKU by its gate and all of them by the fleet gate → `approve`, where the catalogue asks a person →
`promote` what may serve, and freeze the release → `forecast` with what is in production → `report`, and beside it
`tidy`, which deletes old versions and runs.

**Approval** (`release.approval: required`): the run waits at `approve`, under *Required Actions*. Whoever may edit the
Dag can answer; without an answer in `release.approval_hours` nothing goes to production.

**Schedule**: from the catalogue file (daily by default), no catch-up, one run at a time.

**Backfill**: `airflow backfill create --dag-id retrain_<catalogue> --from-date A --to-date B --max-active-runs 1` makes
a run at each time of the schedule (without one at each midnight UTC, for weeks each Monday's), from A to B. Each knows
only what was delivered by the end of its date, registers its versions with it, and moves nothing that serves today; its
report says what its forecasts were worth. `--reprocess-behavior failed` repeats what failed, `completed` all of it: a
SKU whose data are as they were keeps its model and version, the others are trained anew; promotion, forecasts and
scorecard are made again. For other steps than the schedule's: `make backfill`.

**Params**: `as_of` (nothing later is read), `skus` (codes or patterns), `force`, `dry_run` (ingest, plan, report only).

**A retry or a rerun is harmless**: everything is written under the run's own keys and published in one step; a chunk
that is tried again makes no second version of a SKU that it had registered, and a SKU that kills its task twice is set
aside. Transient errors are retried with backoff spread over the chunks; bad configuration and bad data are not retried.
One SKU that fails is recorded, the others go on; a chunk that fails for good leaves its SKUs in production as they were
and turns the run red at `report`, after the rest of the fleet was served. Where `departments` fails for good, each SKU
is trained on its own, as the report says.

One Dag per file in `include/catalogues/`; a file that is wrong shows as an import error of `dags/catalogues.py`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, TriggerRule, dag

from include.skufleet.config import Catalogue
from include.skufleet.fleet.run import TRIES
from include.skufleet.orchestration import tasks
from include.skufleet.orchestration.approval import ask_for_approval
from include.skufleet.orchestration.dag_files import wanted_catalogues
from include.skufleet.orchestration.defaults import task_defaults
from include.skufleet.orchestration.links import fleet_task
from include.skufleet.orchestration.notifications import deadline_alert, failure_callback
from include.skufleet.orchestration.params import current_actor, current_answer, current_run, retrain_params
from include.skufleet.orchestration.schedule import schedule_of


def retrain_dag(catalogue: Catalogue) -> DAG:
    """The retraining Dag of one catalogue."""

    @dag(
        dag_id=f"retrain_{catalogue.name}",
        description=catalogue.description,
        doc_md=__doc__,
        schedule=schedule_of(catalogue),
        catchup=False,
        max_active_runs=1,
        params=retrain_params(),
        tags=["skufleet", "retrain", catalogue.name],
        default_args=task_defaults(catalogue, tries=TRIES),
        on_failure_callback=failure_callback(catalogue),
        deadline=deadline_alert(catalogue),
    )
    def retrain_catalogue() -> None:
        @fleet_task()
        def ingest() -> dict[str, Any]:
            """Bring drops that are new into the history; each drop whole or not at all."""
            return tasks.ingest(current_run(catalogue.name))

        @fleet_task()
        def plan(ingested: dict[str, Any]) -> list[dict[str, str]]:
            """Choose the SKUs to train and pack them into chunks of like cost."""
            return tasks.plan(current_run(catalogue.name), ingested)

        @fleet_task()
        def departments() -> dict[str, Any]:
            """Fit what the calendar does to each department's sales, for its SKUs to borrow from."""
            return tasks.departments(current_run(catalogue.name))

        # Without a plan there is nothing to map over; without the departments SKUs are trained all the same.
        @fleet_task(map_index_template="{{ label }}", trigger_rule=TriggerRule.ALL_DONE)
        def retrain(chunk: str, label: str) -> dict[str, Any]:
            """Validate, backtest, train and register every SKU of one chunk."""
            return tasks.retrain(current_run(catalogue.name), chunk, label)

        # What the runs of a catalogue share is changed by one of them at a time: a backfill runs several days at once.
        @fleet_task(trigger_rule=TriggerRule.ALL_DONE, max_active_tis_per_dag=1)
        def decide() -> dict[str, Any]:
            """Decide which new versions may serve, and whether the release as a whole may go on; nothing is moved."""
            return tasks.decide(current_run(catalogue.name))

        # `approve` is skipped where there is nothing to ask.
        @fleet_task(trigger_rule=TriggerRule.NONE_FAILED, max_active_tis_per_dag=1)
        def promote() -> dict[str, Any]:
            """Move to production what was decided, and freeze the release."""
            return tasks.promote(current_run(catalogue.name), current_actor(), current_answer())

        @fleet_task(max_active_tis_per_dag=1)
        def forecast() -> dict[str, Any]:
            """Forecast every active series with the model in production, and publish."""
            return tasks.forecast(current_run(catalogue.name))

        @fleet_task(trigger_rule=TriggerRule.ALL_DONE)
        def report() -> dict[str, Any]:
            """Account for every SKU, write the report, and turn red if a chunk was lost."""
            return tasks.report(current_run(catalogue.name), f"retrain_{catalogue.name}")

        @fleet_task(max_active_tis_per_dag=1)
        def tidy() -> dict[str, Any]:
            """Delete what the catalogue file's section `retention` does not keep: old versions, files and runs."""
            return tasks.tidy(current_run(catalogue.name))

        planned = plan(ingest())
        chunks = retrain.expand_kwargs(planned)
        decided, promoted = decide(), promote()
        planned >> departments() >> chunks >> decided
        if catalogue.release.approval == "required":
            decided >> ask_for_approval(catalogue) >> promoted
        decided >> promoted >> forecast() >> [report(), tidy()]

    return retrain_catalogue()


for found in wanted_catalogues("retrain"):
    globals()[f"retrain_{found.name}"] = retrain_dag(found)
