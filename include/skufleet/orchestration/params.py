"""The trigger forms of the Dags, and the one place where a run's ``as_of`` is resolved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from airflow.sdk import Param, get_current_context
from pydantic import ValidationError

from include.skufleet.config.problems import describe_problems
from include.skufleet.config.search import Search
from include.skufleet.errors import ConfigError
from include.skufleet.fleet.run import Run
from include.skufleet.fleet.search.run import SearchRun

APPROVE = "approve"
"""The task at which a person approves a release."""


def retrain_params() -> dict[str, Param]:
    """What a person can set when triggering a retraining run, with defaults that mean "everything, now"."""
    return {
        **_which_data(),
        "force": Param(
            default=False,
            type="boolean",
            title="Force",
            description_md="Train also SKUs that have nothing new, and those retired for not having sold for long.",
        ),
        "dry_run": Param(
            default=False,
            type="boolean",
            title="Dry run",
            description_md="Ingest, plan and report only: no model is trained, registered or promoted.",
        ),
    }


def search_params(search: Search) -> dict[str, Param]:
    """What a person can set when triggering a search; the defaults are the catalogue file's."""
    return {
        **_which_data(),
        "configurations": Param(
            default=search.configurations,
            type="integer",
            minimum=2,
            maximum=900,
            title="Configurations",
            description_md="Trials of the first rung, the file's own configuration included.",
        ),
        "sample": Param(
            default=search.sample,
            type="integer",
            minimum=1,
            title="SKUs of the first rung",
            description_md="Each further rung has three times as many; never more than there are.",
        ),
        "seed": Param(
            default=search.seed,
            type="integer",
            minimum=0,
            title="Seed",
            description_md="Another seed draws other configurations and samples other SKUs.",
        ),
    }


def _which_data() -> dict[str, Param]:
    return {
        "as_of": Param(
            default=None,
            type=["null", "string"],
            format="date",
            title="As of",
            description_md="The date the run pretends it is: nothing dated after it is read. Empty: the run's date.",
        ),
        "skus": Param(
            default=[],
            type=["null", "array"],
            items={"type": "string"},
            title="SKUs",
            description_md="SKU codes or shell patterns such as `FRE-*`, one per line. Empty: the whole catalogue.",
        ),
    }


def current_run(catalogue: str) -> Run:
    """The run that the executing task belongs to; the same for every task, try and map index of a Dag run."""
    context: Mapping[str, Any] = get_current_context()
    params = context["params"]
    return Run(**_identity(catalogue, context), force=bool(params.get("force")), dry_run=bool(params.get("dry_run")))


def current_actor() -> str:
    """Who asked for the run: the person who triggered it, or the run itself."""
    dag_run = get_current_context()["dag_run"]
    return str(getattr(dag_run, "triggering_user_name", None) or f"run {dag_run.run_id}")


def current_answer() -> dict[str, Any] | None:
    """What a person said of the release; ``None`` where nobody was asked, or nobody answered."""
    answer = get_current_context()["ti"].xcom_pull(task_ids=APPROVE)
    return dict(answer) if answer else None


def rollback_params() -> dict[str, Param]:
    """What a person sets when taking a release back."""
    return {
        "release": Param(
            default="previous",
            type="string",
            minLength=1,
            title="Release",
            description_md="The release to go back to: its name or the beginning of it, a date (the newest release of "
            "that date), or `previous`. `python -m include.skufleet releases` lists them.",
        ),
        "skus": Param(
            default=[],
            type=["null", "array"],
            items={"type": "string"},
            title="SKUs",
            description_md="SKU codes or shell patterns such as `FRE-*`, one per line. Empty: all of the release.",
        ),
        "department": Param(
            default=None, type=["null", "string"], title="Department", description_md="Only SKUs of it. Empty: of all."
        ),
        "reason": Param(
            default="", type=["null", "string"], title="Reason", description_md="Why, for the history of each SKU."
        ),
        "forecast": Param(
            default=True,
            type="boolean",
            title="Forecast anew",
            description_md="Start a retraining run afterwards: it forecasts with what serves now. SKUs whose data are "
            "as they were are not trained.",
        ),
    }


def current_rollback(catalogue: str) -> dict[str, Any]:
    """What the trigger form of the rollback says."""
    params = get_current_context()["params"]
    return {
        "catalogue": catalogue,
        "release": str(params["release"]),
        "skus": [str(sku) for sku in params.get("skus") or ()],
        "department": str(params.get("department") or ""),
        "reason": str(params.get("reason") or ""),
    }


def current_search(catalogue: str) -> SearchRun:
    """The search that the executing task belongs to."""
    return SearchRun(**_identity(catalogue, get_current_context()))


def current_settings(search: Search) -> Search:
    """The catalogue file's section ``search`` with what the trigger form says.

    Raises:
        ConfigError: they do not go together, a grid with fewer configurations than it has combinations for example.
    """
    return join_settings(search, get_current_context()["params"])


def join_settings(search: Search, params: Mapping[str, Any]) -> Search:
    """The section with those of its keys changed that the params name.

    Raises:
        ConfigError: they do not go together.
    """
    asked = {name: params[name] for name in ("configurations", "sample", "seed") if params.get(name) is not None}
    try:
        return Search.model_validate(search.model_dump() | asked)
    except ValidationError as error:
        raise ConfigError(f"search: {describe_problems(error)}; these params were given: {asked}") from error


def _identity(catalogue: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of ``Run`` that every kind of run has."""
    params, dag_run = context["params"], context["dag_run"]
    as_of = resolve_as_of(
        params.get("as_of"), dag_run.partition_key, dag_run.logical_date, dag_run.run_after, where=dag_run.run_id
    )
    skus = tuple(params.get("skus") or ())
    return {"catalogue": catalogue, "run_id": dag_run.run_id, "as_of": as_of, "skus": skus}


def resolve_as_of(
    param: str | None,
    partition_key: str | None,
    logical_date: datetime | None,
    run_after: datetime,
    *,
    where: str,
) -> date:
    """The date that a run pretends it is, for scheduled, manual, asset-triggered and backfill runs alike.

    The first that is given counts: the ``as_of`` param, the partition key, the logical date, the time from which the
    run was allowed to start. The data interval is never used: for a run that is triggered by command with a logical
    date, Airflow 3 infers it from the present.

    Args:
        param: the trigger form's value, ISO 8601.
        partition_key: an ISO date for partitioned runs.
        logical_date: absent for manual runs through the API and for asset-triggered runs.
        run_after: always there.
        where: the run's id, for the message.

    Returns:
        A date in UTC, never after the date of ``run_after``.

    Raises:
        ConfigError: the given text is not a date, or lies in the run's future.
    """
    run_date = run_after.astimezone(UTC).date()
    text = param or partition_key
    if text:
        try:
            as_of = date.fromisoformat(text[:10])
        except ValueError as error:
            raise ConfigError(f"{where}: as_of: got {text!r}, expected a date such as 2026-01-31") from error
    else:
        as_of = logical_date.astimezone(UTC).date() if logical_date else run_date
    if as_of > run_date:
        raise ConfigError(
            f"{where}: as_of {as_of} is after the run's own date {run_date}; nothing is known of that day yet, "
            "choose an earlier date or leave it empty"
        )
    return as_of
