"""Buttons on a task in the Airflow UI: to its MLflow run, to its models in the registry, to the run's report.

A task returns ``{"links": {...}}`` in its small JSON; each link picks its own address from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.decorator import task_decorator_factory

from include.skufleet.fleet.watchdog import end_process_after

GRACE = timedelta(minutes=1)
"""For what Airflow's limit on a task interrupts to come to its end."""


class ReturnedLink(BaseOperatorLink):
    """A link whose address the task returned under ``links[kind]``; greyed out where it returned none."""

    kind: ClassVar[str]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 -- the signature is Airflow's
        """The address, or an empty string; asked in the task's own process once it has ended."""
        return str(getattr(operator, "returned_links", {}).get(self.kind, ""))


class MlflowRunLink(ReturnedLink):
    """The MLflow run of a chunk."""

    name = "MLflow run"
    kind = "mlflow_run"


class RegistryLink(ReturnedLink):
    """The registry, filtered to the models of the catalogue or chunk."""

    name = "Models in the registry"
    kind = "registry"


class ReportLink(ReturnedLink):
    """The fleet report of the run."""

    name = "Fleet report"
    kind = "report"


class SearchReportLink(ReportLink):
    """The report of a search."""

    name = "Search report"


LINKS = (MlflowRunLink(), RegistryLink(), ReportLink())
SEARCH_LINKS = (MlflowRunLink(), SearchReportLink())


class FleetOperator(_PythonDecoratedOperator):
    """A Python task that shows the fleet's links."""

    custom_operator_name = "@fleet_task"
    operator_extra_links: tuple[ReturnedLink, ...] = LINKS
    returned_links: Mapping[str, str] = MappingProxyType({})

    def execute(self, context: Any) -> Any:
        """Run the task and keep the links that it returns for the buttons.

        A process that does not answer Airflow's own limit is ended after ``GRACE`` more.
        """
        limit = self.execution_timeout
        with nullcontext() if limit is None else end_process_after((limit + GRACE).total_seconds()):
            result = super().execute(context)
        if isinstance(result, dict):
            self.returned_links = result.get("links", {})
        return result


class SearchOperator(FleetOperator):
    """A Python task of a search: it registers nothing, and its report is another."""

    custom_operator_name = "@search_task"
    operator_extra_links: tuple[ReturnedLink, ...] = SEARCH_LINKS


def fleet_task(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """``@task(...)`` with the fleet's links; what it makes is called with the results of other tasks."""
    return task_decorator_factory(decorated_operator_class=FleetOperator, **arguments)


def search_task(**arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """``@task(...)`` with the links of a search."""
    return task_decorator_factory(decorated_operator_class=SearchOperator, **arguments)
