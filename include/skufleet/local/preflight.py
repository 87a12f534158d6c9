"""What must hold before anything is started: the Python, the S3 environment, room on the disk, free ports.

Every refusal is one line that says what to do.
"""

import shutil
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from include.skufleet.errors import LocalStackError
from include.skufleet.local.environment import HOST
from include.skufleet.local.settings import Paths, StackSettings

PYTHON = (3, 11)
FREE_BYTES_NEEDED = 2 * 2**30


def check_python(version: tuple[int, ...] = sys.version_info[:2]) -> None:
    """Refuse any Python but 3.11.

    Raises:
        LocalStackError: another version is running.
    """
    if version[:2] != PYTHON:
        got = ".".join(map(str, version[:2]))
        raise LocalStackError(f"Python {got} is running, Skufleet needs 3.11. Use `make up`, or .venv/bin/python.")


def find_s3_python(paths: Paths) -> Path:
    """Return the Python of the S3 server's own environment.

    Raises:
        LocalStackError: `.venv-s3` is missing.
    """
    python = paths.root / ".venv-s3" / "bin" / "python"
    if not python.exists():
        raise LocalStackError("The S3 server's environment .venv-s3 is missing. Run `make up`, which builds it.")
    return python


def check_disk(paths: Paths, needed: int = FREE_BYTES_NEEDED) -> None:
    """Refuse to start on a disk that is nearly full.

    Raises:
        LocalStackError: fewer than `needed` bytes are free where the state is kept.
    """
    existing = next(folder for folder in (paths.state, *paths.state.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise LocalStackError(
            f"{free / 2**30:.1f} GiB are free where {paths.shown(paths.state)} is, {needed / 2**30:.1f} are needed. "
            "Free some, or set SKUFLEET_LOCAL_DIR in .env to a folder on another disk."
        )


def check_ports(settings: StackSettings, services: Iterable[str]) -> None:
    """Refuse to start when a port that one of `services` needs is taken.

    Args:
        settings: which ports.
        services: those of `postgres, s3, mlflow, airflow` that are about to be started.

    Raises:
        LocalStackError: names the port, who holds it where that can be seen, and the variable to change.
    """
    for service in services:
        port = getattr(settings.ports, service)
        if not is_free(port):
            raise LocalStackError(
                f"Port {port} for {service} is taken{_name_holder(port)}. "
                f"Stop that, or set SKUFLEET_{service.upper()}_PORT in .env to a free port."
            )


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _name_holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            address = connection.laddr
            if connection.status == psutil.CONN_LISTEN and address and address.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass  # only root sees other people's sockets; the line is clear without the name
    return ""
