"""What the scheduler imports for its tasks, and that they may be forked from it afterwards."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from include.skufleet.orchestration import warm
from include.skufleet.orchestration.warm import LIBRARIES, WarmStart, forks_tasks, import_libraries

WARM_AND_FORK = """
import os, sys
from pathlib import Path
import airflow.jobs.scheduler_job_runner
from include.skufleet.orchestration.warm import import_libraries
assert import_libraries() == [], "every library is there"
threads = {Path(f"/proc/self/task/{number}/comm").read_text().strip() for number in os.listdir("/proc/self/task")[1:]}
own = [name for name in sys.modules if name.startswith("include.skufleet.") and ".orchestration" not in name]
sockets = [name for name in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{name}").find("socket") > 0]
print(sorted(threads), own, sockets)
for _ in range(2):
    if (pid := os.fork()) == 0:
        import pandas as pd, deltalake
        from include.skufleet.quality.engine import _start
        table = f"{sys.argv[1]}/{os.getpid()}"
        deltalake.write_deltalake(table, pd.DataFrame({"sku": ["A", "B"], "units": [1.0, 2.0]}))
        assert deltalake.DeltaTable(table).to_pandas()["units"].sum() == 3.0
        assert _start().definitions
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0, "a task forked from it reads, writes and validates"
"""


def test_tasks_may_be_forked_after_the_imports(tmp_path: Path) -> None:
    """No thread but the allocators' own, which know about forks; no socket; none of our code, which may be changed."""
    done = subprocess.run(
        [sys.executable, "-c", WARM_AND_FORK, str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines()[-1] == "['jemalloc_bg_thd'] [] []"


@pytest.mark.parametrize(
    ("executor", "start_method", "expected"),
    [
        ("LocalExecutor", "fork", True),
        ("LocalExecutor", "spawn", False),
        ("CeleryExecutor", "fork", False),
        ("CeleryExecutor,LocalExecutor", "fork", True),
        ("airflow.executors.local_executor.LocalExecutor", "fork", True),
        ("KubernetesExecutor", "fork", False),
    ],
)
def test_only_a_scheduler_that_forks_its_tasks_imports_for_them(
    executor: str, start_method: str, expected: bool
) -> None:
    assert forks_tasks(executor, start_method) is expected


def test_a_library_that_cannot_be_imported_is_named_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert import_libraries(["json", "no_such_library", "csv"]) == ["no_such_library"]
    assert "no_such_library could not be imported ahead of the tasks" in caplog.text


class Job(SimpleNamespace):
    """Named as Airflow's job is."""


@pytest.mark.parametrize(
    ("component", "command", "preload", "imported"),
    [
        (Job(), "scheduler", None, 1),
        (Job(), "scheduler", "1", 1),
        (Job(), "scheduler", "0", 0),
        (Job(), "triggerer", None, 0),
        (Job(), "dag-processor", None, 0),
        (SimpleNamespace(), "scheduler", None, 0),  # a task's process, forked from the scheduler's
    ],
)
def test_the_imports_happen_in_the_scheduler_alone_unless_switched_off(
    monkeypatch: pytest.MonkeyPatch, component: object, command: str, preload: str | None, imported: int
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(warm, "import_libraries", lambda: calls.append(LIBRARIES))
    monkeypatch.setattr(warm, "forks_tasks", lambda *_: True)
    monkeypatch.setattr(sys, "argv", ["airflow", command, "--skip-serve-logs"])
    monkeypatch.delenv("SKUFLEET_PRELOAD", raising=False)
    if preload is not None:
        monkeypatch.setenv("SKUFLEET_PRELOAD", preload)
    WarmStart().on_starting(component)
    assert len(calls) == imported
