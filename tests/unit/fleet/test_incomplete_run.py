"""A run that did not do all it should is red, and says what is missing."""

from __future__ import annotations

import pytest

from include.skufleet.errors import PermanentError
from include.skufleet.fleet.publish_report import raise_if_incomplete

WHOLE = {
    "run_id": "manual__1",
    "skus": 6,
    "outcomes": {"trained": 5, "skipped": 1},
    "lost_chunks": [],
    "missing_stages": [],
    "complete": True,
    "stopped": "",
    "rejected_by": "",
}


def test_a_complete_run_passes() -> None:
    assert raise_if_incomplete(WHOLE) is None


def test_a_release_that_was_stopped_turns_the_run_red_unless_a_person_rejected_it() -> None:
    stopped = WHOLE | {"stopped": "The fleet gate stopped the release. The bias of Toys goes from +1 % to -71 %."}
    with pytest.raises(PermanentError, match=r"nothing of it went to production\. The fleet gate .* bias of Toys"):
        raise_if_incomplete(stopped)
    assert raise_if_incomplete(stopped | {"rejected_by": "amy"}) is None


def test_a_run_whose_forecast_failed_is_red_although_every_sku_has_an_outcome() -> None:
    with pytest.raises(
        PermanentError, match=r"manual__1: 6 of 6 SKUs are accounted for; forecast did not come to an end"
    ):
        raise_if_incomplete(WHOLE | {"complete": False, "missing_stages": ["forecast"]})


def test_all_that_is_missing_is_named_with_what_to_do() -> None:
    summary = WHOLE | {"complete": False, "lost_chunks": ["c001", "c004"], "missing_stages": ["promote", "forecast"]}
    with pytest.raises(PermanentError) as error:
        raise_if_incomplete(summary)
    assert "lost chunks: c001, c004; promote and forecast did not come to an end" in str(error.value)
    assert "clear it together with what follows" in str(error.value)
