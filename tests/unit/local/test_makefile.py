"""What the make targets say before anything is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ("make", "sh", "awk", "df", "tail", "rm", "touch", "env", "flock")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder as a fresh clone has it, with a space in its name and no environment."""
    folder = tmp_path / "a clone"
    folder.mkdir()
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt", "requirements-s3.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    environment = {**kept, **({"PATH": path} if path else {})}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, text=True, capture_output=True, check=False
    )


def test_help_is_the_default_and_names_every_target(bare: Path) -> None:
    shown = make(bare).stdout
    listed = set(re.findall(r"^  make ([a-z0-9-]+)", shown, re.MULTILINE))
    assert listed >= {"help", "demo", "up", "down", "status", "trigger", "import", "check", "test", "lock", "clean"}
    declared = re.search(r"^\.PHONY: (.*)$", (bare / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    assert listed == set(declared[1].split()) - {"setup", "setup-dev"}


def test_down_and_status_of_a_bare_clone_install_nothing(bare: Path) -> None:
    assert make(bare, "down").returncode == 0
    status = make(bare, "status")
    assert status.returncode != 0
    assert "Start with: make up" in status.stdout
    assert not (bare / ".venv").exists()


def test_without_python_3_11_one_line_says_how_to_get_it(bare: Path, tmp_path: Path) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        if found is not None:
            (tools / tool).symlink_to(found)
    done = make(bare, "setup", path=str(tools))
    assert done.returncode != 0
    complaint = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(complaint) == 1
    assert complaint[0].startswith("Python 3.11 is needed and was not found.")
    assert not (bare / ".venv").exists()


@pytest.mark.parametrize("target", ["trigger", "import"])
def test_a_target_that_needs_a_catalogue_asks_for_it(bare: Path, target: str) -> None:
    for environment in (".venv", ".venv-s3"):
        (bare / environment).mkdir()
        (bare / environment / "ready").touch()
    done = make(bare, target)
    assert done.returncode != 0
    assert "Which catalogue? For example: make " + target in done.stderr


def test_values_reach_the_command_as_they_were_typed(bare: Path) -> None:
    for environment in (".venv", ".venv-s3"):
        (bare / environment / "bin").mkdir(parents=True)
        (bare / environment / "ready").touch()
    python = bare / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n')
    python.chmod(0o755)
    done = make(bare, "import", "CATALOGUE=m5", "FROM=my files/m5's; echo.zip", "STORES=CA_1,CA_2")
    assert done.returncode == 0
    assert done.stdout == (
        "<-m><include.skufleet><import><--catalogue><m5><--from><my files/m5's; echo.zip><--stores><CA_1,CA_2>"
    )


def test_ci_runs_check_then_test_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert os.access(script, os.X_OK)
    assert lines[0] == "set -euo pipefail"
    assert lines[-2:] == ["make check", "make test"]
