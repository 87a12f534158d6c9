"""Search for settings that suit a catalogue better than those of its file, and propose them; triggered by hand.

**Flow**: `ingest` what has landed → `plan`: draw configurations of the catalogue file and a stratified sample of SKUs →
`rung_1`, one mapped task per configuration → `judge_1`: the best third goes on → `rung_2` with three times as many
SKUs → ... → `report`: who won, by how much, how much of that may be noise, and the change of the file as a proposal.

**Schedule**: none. **Params**: `as_of` (nothing later is read), `skus` (codes or patterns), `configurations`, `sample`,
`seed`; their defaults and the space are the file's section `search`.

The last windows of the history score the trials; a trial chooses and fits on what was known before them, by the code
that retrains. The file's own configuration is always one of the trials. Nothing is registered, promoted or changed;
every trial is a run in MLflow, below one run of the whole search.

**A retry or a rerun is harmless**: a trial writes its scores in one step and judging works from the scores alone. A
trial that fails on every try is recorded as failed and the others go on. The run turns red at `report` if the last
rung has nothing to compare.

One Dag per file in `include/catalogues/`, unless it says `search: null`; a file that is wrong shows as an import error
of `dags/catalogues.py`.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, TriggerRule, dag

from include.skufleet.config import Catalogue
from include.skufleet.config.search import Search
from include.skufleet.orchestration import search_tasks
from include.skufleet.orchestration.dag_files import wanted_catalogues
from include.skufleet.orchestration.defaults import task_defaults
from include.skufleet.orchestration.links import search_task
from include.skufleet.orchestration.notifications import failure_callback
from include.skufleet.orchestration.params import current_search, current_settings, search_params


def search_dag(catalogue: Catalogue, search: Search) -> DAG:
    """The search Dag of one catalogue."""

    @dag(
        dag_id=f"search_{catalogue.name}",
        description=f"Settings for: {catalogue.description}",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        max_active_runs=1,
        params=search_params(search),
        tags=["skufleet", "search", catalogue.name],
        default_args=task_defaults(catalogue, tries=4),
        on_failure_callback=failure_callback(catalogue),
    )
    def search_catalogue() -> None:
        @search_task()
        def ingest() -> dict[str, Any]:
            """Bring drops that are new into the history; each drop whole or not at all."""
            return search_tasks.ingest(current_search(catalogue.name))

        @search_task()
        def plan(ingested: dict[str, Any]) -> list[dict[str, str]]:
            """Draw and check the configurations, sample the SKUs, open the MLflow runs."""
            return search_tasks.plan(current_search(catalogue.name), current_settings(search), ingested)

        def rung(trial: str, label: str, rung: int) -> dict[str, Any]:
            """Train and score one configuration on the SKUs that are new in this rung."""
            return search_tasks.try_out(current_search(catalogue.name), trial, label, rung)

        def judge(rung: int) -> list[dict[str, str]]:
            """Rank the trials of the rung; the best third goes on, with the file's own configuration."""
            return search_tasks.judge(current_search(catalogue.name), rung)

        @search_task(trigger_rule=TriggerRule.ALL_DONE)
        def report() -> dict[str, Any]:
            """Propose the winner's changes, write the report, and turn red if nothing could be compared."""
            return search_tasks.report(current_search(catalogue.name), f"search_{catalogue.name}")

        going = plan(ingest())
        for number in range(1, search.rungs + 1):
            trials = search_task(task_id=f"rung_{number}", map_index_template="{{ label }}")(rung)
            tried = trials.partial(rung=number).expand_kwargs(going)
            if number < search.rungs:
                judged = search_task(task_id=f"judge_{number}", trigger_rule=TriggerRule.ALL_DONE)(judge)
                going = judged(number)
                tried >> going
            else:
                tried >> report()

    return search_catalogue()


for found in wanted_catalogues("search"):
    if found.search is not None:
        globals()[f"search_{found.name}"] = search_dag(found, found.search)
