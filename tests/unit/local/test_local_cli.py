from __future__ import annotations

import socket
from pathlib import Path

import pytest

from include.skufleet.local.__main__ import main


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "state"
    monkeypatch.setenv("SKUFLEET_LOCAL_DIR", str(folder))
    return folder


def test_status_of_a_stack_that_never_ran_is_all_stopped_and_fails(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status"]) == 1
    shown = capsys.readouterr().out
    assert shown.count("stopped") == 7
    assert not state.exists()


def test_down_of_a_stack_that_never_ran_succeeds_and_makes_nothing(state: Path) -> None:
    assert main(["down"]) == 0
    assert not state.exists()


def test_a_wrong_setting_is_one_line_without_a_traceback(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKUFLEET_S3_PORT", "[red]")
    assert main(["up"]) == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1
    assert "SKUFLEET_S3_PORT: got '[red]'" in complaint


def test_a_taken_port_starts_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("SKUFLEET_POSTGRES_PORT", str(server.getsockname()[1]))
        assert main(["up"]) == 1
    assert "SKUFLEET_POSTGRES_PORT" in capsys.readouterr().err
    assert list((state / "pids").iterdir()) == []


def test_env_hides_every_secret(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env"]) == 0
    shown = capsys.readouterr().out
    assert "AIRFLOW__CORE__FERNET_KEY=(hidden)" in shown
    secrets = [line.split('"')[3] for line in (state / "secrets.json").read_text().splitlines() if ":" in line]
    assert len(secrets) == 8
    assert not any(secret in shown for secret in secrets)
