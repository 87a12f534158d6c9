"""A person approves a release: Airflow's own approval operator, asked only where there is something to approve.

Nobody who may only look can answer: Airflow asks for the right to edit the Dag. Without an answer in time it is as if
somebody had rejected. Either way the run goes on: promotion reads the answer.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowSkipException

from include.skufleet.config import Catalogue
from include.skufleet.orchestration.params import APPROVE

if TYPE_CHECKING:
    from include.skufleet.fleet.promote import Approval

DECIDED = "decide"


class ReleaseApproval(ApprovalOperator):
    """Asks whether the release may go to production; skipped where the fleet gate stopped it or nothing would move."""

    def execute(self, context: Any) -> Any:
        """Ask, unless there is nothing to ask."""
        decided = context["ti"].xcom_pull(task_ids=DECIDED) or {}
        if not decided:
            raise AirflowSkipException("nothing was decided")
        if not decided["fleet_gate"]["passed"]:
            raise AirflowSkipException(f"nothing to approve: {decided['fleet_gate']['reason']}")
        if not decided["to_move"]:
            raise AirflowSkipException("nothing to approve: no version would go to production")
        return super().execute(context)

    def skip(self, *_: Any, **__: Any) -> None:
        """Nothing is skipped after a rejection: what is in production goes on serving, and the run accounts for it."""


def ask_for_approval(catalogue: Catalogue) -> ReleaseApproval:
    """The task of a Dag whose catalogue asks for approval."""
    return ReleaseApproval(
        task_id=APPROVE,
        subject="Release the new models of {{ dag.dag_id.removeprefix('retrain_') }}, run {{ run_id }}?",
        body="{{ (ti.xcom_pull(task_ids='decide') or {}).get('markdown', '') }}",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timedelta(hours=catalogue.release.approval_hours),
        execution_timeout=None,
        doc_md="Asks a person whether what was decided may go to production. No answer in time: it may not.",
    )


def read_answer(catalogue: Catalogue, answer: dict[str, Any] | None) -> Approval | None:
    """What was said; ``None`` where nobody had to be asked.

    Args:
        catalogue: its ``release.approval`` says whether somebody must be asked.
        answer: what the task returned; ``None`` where it was skipped or failed: then nothing is approved.
    """
    from include.skufleet.fleet.promote import Approval

    if catalogue.release.approval != "required":
        return None
    if not answer:
        return Approval(approved=False)
    user = answer.get("responded_by_user") or {}
    by = str(user.get("name") or user.get("id") or "")
    approved = answer.get("chosen_options") == [ApprovalOperator.APPROVE]
    return Approval(approved=approved, by=by, at=str(answer.get("responded_at") or ""))
