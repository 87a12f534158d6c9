"""Great Expectations itself, kept behind one function: ``run_suite``.

Its import takes seconds and logs 214 lines at INFO, so it happens on the first call and with its logger quieted first.
One ephemeral context serves the process; it is not for use by several threads at once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from include.skufleet.config import Validation
from include.skufleet.errors import DataError
from include.skufleet.quality.records import ExpectationResult
from include.skufleet.quality.suites import SUITES, SuiteName, state_meaning

RESULTS_STORE = "validation_results_store"


@dataclass(frozen=True)
class SuiteOutcome:
    """The results of one suite, and per expectation's name the index labels of what failed it."""

    results: tuple[ExpectationResult, ...]
    failing: dict[str, list[Any]]


@dataclass(frozen=True)
class _Engine:
    context: Any
    definitions: dict[SuiteName, Any]


@lru_cache(maxsize=1)
def _start() -> _Engine:
    """Import Great Expectations and build the context and the validation definitions, once per process."""
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    import great_expectations as gx
    import great_expectations.expectations as classes
    from great_expectations.data_context.types.base import ProgressBarsConfig

    # This one sets its own level when it is imported.
    logging.getLogger("great_expectations.data_context.types.base").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    batch = (
        context.data_sources.add_pandas("chunk")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
    )
    definitions = {}
    for name, items in SUITES.items():
        built = [getattr(classes, item.expects)(**item.arguments, meta={"name": item.name}) for item in items]
        suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=built))
        definitions[name] = context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=suite)
        )
    return _Engine(context, definitions)


def run_suite(name: SuiteName, frame: pd.DataFrame, limits: Validation) -> SuiteOutcome:
    """Validate a frame; failing rows are named by their index labels.

    Args:
        name: which suite.
        frame: what to validate. Its index must have a name and no label twice: only of a named index are the failing
            labels given without a slow lookup of each (2 s instead of 16 s where all of 365,000 rows fail).
        limits: the catalogue's limits; they fill the suite's parameters.

    Raises:
        DataError: an expectation could not be evaluated at all.
    """
    engine = _start()
    result = engine.definitions[name].run(
        batch_parameters={"dataframe": frame},
        expectation_parameters=limits.model_dump(),
        result_format={
            "result_format": "COMPLETE",
            "unexpected_index_column_names": [frame.index.name],
            "exclude_unexpected_values": True,
        },
    )
    _forget_results(engine.context)
    by_name = {item.expectation_config.meta["name"]: item for item in result.results}
    results: list[ExpectationResult] = []
    failing: dict[str, list[Any]] = {}
    for spec in SUITES[name]:
        item = by_name[spec.name]
        if item.exception_info.get("raised_exception", True) and not item.result:
            raise DataError(f"suite {name}: {spec.name} could not be evaluated: {item.exception_info}")
        labels = [label for part in item.result["unexpected_index_list"] or [] for label in part[frame.index.name]]
        checked = item.result["element_count"] - item.result.get("missing_count", 0)
        failing[spec.name] = labels
        results.append(
            ExpectationResult(
                name=spec.name,
                success=bool(item.success),
                unexpected_count=int(item.result["unexpected_count"]),
                unexpected_percent=100 * item.result["unexpected_count"] / checked if checked else 0.0,
                suite=name,
                checked=checked,
                type=spec.type,
                meaning=state_meaning(spec, limits),
            )
        )
    return SuiteOutcome(tuple(results), failing)


def _forget_results(context: Any) -> None:
    """Empty the context's store of results: it would grow with every chunk of a long-lived worker."""
    store = context.stores[RESULTS_STORE]
    for key in store.list_keys():
        store.remove_key(key)
