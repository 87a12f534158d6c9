"""One real MLflow server for all tests of a session that need one: SQLite, local artifacts, a free loopback port."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.error import URLError

START_SECONDS = 120


@functools.cache
def server_uri() -> str:
    """Start the server at the first call; the same address ever after. Stopped when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="skufleet-mlflow-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # MLflow changes its behaviour when it believes that it runs inside pytest.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "MLFLOW"))}
    log = (folder / "server.log").open("wb")
    address = ["--host", "127.0.0.1", "--port", str(port)]
    storage = [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--default-artifact-root",
        f"file://{folder}/files",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--no-serve-artifacts", "--workers", "1", *address, *storage],
        env=environment | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,
    )
    atexit.register(_stop, process, folder)
    uri = f"http://127.0.0.1:{port}"
    _wait(uri, process, folder / "server.log")
    return uri


def _wait(uri: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=2) as answer:  # noqa: S310 -- loopback
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    # Its own session, so the group is the server and its workers only.
    os.killpg(process.pid, 15)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
    shutil.rmtree(folder, ignore_errors=True)
