"""Permanent errors do not retry; the rest backs off, each chunk at a moment of its own."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.sdk import RetryAction

from include.skufleet.errors import CatalogueError, DropError, ServiceUnavailableError
from include.skufleet.orchestration.retries import LONGEST_DELAY, SpreadBackoff, delay_of

FIRST_DELAY = timedelta(seconds=15)


def evaluate(error: BaseException, map_index: int = 0, try_number: int = 1):
    context = {"ti": SimpleNamespace(task_id="retrain", map_index=map_index)}
    return SpreadBackoff(FIRST_DELAY).evaluate(error, try_number, 4, context)


@pytest.mark.parametrize("error", [CatalogueError("a wrong key"), DropError("a cut file")])
def test_a_permanent_error_fails_at_once_with_its_reason(error: Exception) -> None:
    decision = evaluate(error)
    assert decision.action is RetryAction.FAIL
    assert str(error) in decision.reason


@pytest.mark.parametrize("error", [ServiceUnavailableError("S3 is away"), ConnectionError("reset"), MemoryError()])
def test_everything_else_is_retried(error: Exception) -> None:
    assert evaluate(error).action is RetryAction.RETRY


def test_chunks_that_failed_together_come_back_apart() -> None:
    delays = {evaluate(ConnectionError(), map_index=index).retry_delay for index in range(50)}
    assert len(delays) == 50
    assert min(delays) >= FIRST_DELAY
    assert max(delays) < 2 * FIRST_DELAY


def test_the_delay_doubles_and_is_bounded() -> None:
    for number in range(1, 12):
        step = min(FIRST_DELAY * 2 ** (number - 1), LONGEST_DELAY / 2)
        assert step <= delay_of(number, "retrain/3", FIRST_DELAY) <= min(2 * step, LONGEST_DELAY)
    assert delay_of(40, "x", FIRST_DELAY) <= LONGEST_DELAY
    assert delay_of(2, "retrain/3", FIRST_DELAY) == delay_of(2, "retrain/3", FIRST_DELAY) != timedelta(0)
