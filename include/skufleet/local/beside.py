"""Settings of a stack beside others on the same machine, for tests and benchmarks: free ports, a folder of its own."""

import socket
from pathlib import Path

from include.skufleet.local.settings import PROJECT_ROOT, StackSettings, load_settings


def find_free_ports(count: int) -> list[int]:
    """Return `count` different loopback ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [server.getsockname()[1] for server in sockets]
    finally:
        for server in sockets:
            server.close()


def settings_beside(state: Path, **others: str) -> StackSettings:
    """Return settings of a stack with its state in `state`, on free ports, with the project's DAGs and plugins.

    The bucket is `skufleet`; nothing is taken from this process's environment. `others` are further variables.
    """
    names = [f"SKUFLEET_{name}_PORT" for name in ("POSTGRES", "S3", "MLFLOW", "AIRFLOW")]
    ports = dict(zip(names, map(str, find_free_ports(4)), strict=True))
    return load_settings(
        PROJECT_ROOT, {"SKUFLEET_LOCAL_DIR": str(state), "SKUFLEET_BUCKET": "skufleet", **ports, **others}
    )
