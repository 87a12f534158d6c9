from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from include.skufleet.errors import LocalStackError
from include.skufleet.local.preflight import check_disk, check_ports, check_python, find_s3_python, is_free
from include.skufleet.local.settings import Paths, load_settings


def test_only_python_3_11_will_do() -> None:
    check_python((3, 11))
    for version in ((3, 10), (3, 12)):
        with pytest.raises(LocalStackError, match=rf"Python 3\.{version[1]} is running, Skufleet needs 3\.11"):
            check_python(version)


def test_a_taken_port_is_named_with_its_holder_and_the_variable_to_change(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        settings = load_settings(tmp_path, {"SKUFLEET_MLFLOW_PORT": str(port)})
        assert not is_free(port)
        with pytest.raises(LocalStackError) as raised:
            check_ports(settings, ["mlflow"])
    message = str(raised.value)
    assert f"Port {port} for mlflow is taken" in message
    assert f"(pid {os.getpid()})" in message
    assert "SKUFLEET_MLFLOW_PORT in .env" in message
    assert "\n" not in message


def test_a_port_of_a_service_that_already_runs_is_not_checked(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_ports(load_settings(tmp_path, {"SKUFLEET_MLFLOW_PORT": str(server.getsockname()[1])}), [])


def test_a_nearly_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    paths = Paths(root=tmp_path, state=tmp_path / "not yet" / "there")
    check_disk(paths, needed=1)
    with pytest.raises(LocalStackError, match=r"GiB are free .* SKUFLEET_LOCAL_DIR"):
        check_disk(paths, needed=2**60)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_s3_environment_says_what_builds_it(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=r"\.venv-s3 is missing\. Run `make up`"):
        find_s3_python(Paths(root=tmp_path, state=tmp_path))
