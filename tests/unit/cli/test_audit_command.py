"""What ``audit`` prints and returns."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from include.skufleet.cli import audit as audit_module
from include.skufleet.cli.audit import audit_and_print
from include.skufleet.errors import ConfigError
from include.skufleet.fleet.audit import INVARIANTS
from tests.unit.fleet.small_fleet import SmallFleet, weekly
from tests.unit.registry.mlflow_server import server_uri
from tests.unit.s3_server import server_environment


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> SmallFleet:
    """A catalogue without a run, where the command looks for it."""
    opened = SmallFleet.open()
    opened.deliver(weekly("A"))
    for name, value in server_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SKUFLEET_BUCKET", opened.store.bucket)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server_uri())
    monkeypatch.setattr(audit_module, "find_catalogue", lambda _: opened.catalogue)
    return opened


def audit(fleet: SmallFleet, run_id: str = "", *, as_json: bool = False) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=200)
    code = audit_and_print(fleet.catalogue.name, run_id, console, as_json=as_json)
    assert isinstance(console.file, io.StringIO)
    return code, console.file.getvalue()


def test_a_sound_run_has_a_line_for_each_invariant(fleet: SmallFleet) -> None:
    fleet.do_all(run := fleet.new_run())
    code, text = audit(fleet)
    assert code == 0
    assert run.run_id in text
    assert text.count("holds") == len(INVARIANTS)
    assert all(sentence in text for sentence in INVARIANTS.values())


def test_what_is_broken_is_told_and_fails_the_command(fleet: SmallFleet) -> None:
    fleet.do_all(run := fleet.new_run())
    fleet.store.delete(fleet.store.get_json(run.forecast_pointer)["keys"][0])
    code, text = audit(fleet, run.run_id)
    assert code == 1
    assert text.count("broken") == 1
    assert "1 are published and do not exist" in text
    code, text = audit(fleet, run.run_id, as_json=True)
    assert code == 1
    (finding,) = json.loads(text)["findings"]
    assert finding["invariant"] == "forecasts"


def test_without_a_run_there_is_nothing_to_audit(fleet: SmallFleet) -> None:
    with pytest.raises(ConfigError, match="nothing is published yet, so there is no run to audit; give --run"):
        audit(fleet)
