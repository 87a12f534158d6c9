from __future__ import annotations

import base64
import json
from dataclasses import asdict
from pathlib import Path

import pytest

from include.skufleet.errors import LocalStackError
from include.skufleet.local.credentials import generate_credentials, load_credentials
from include.skufleet.local.settings import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path, state=tmp_path / ".local")


def test_secrets_are_generated_once_per_installation(paths: Paths) -> None:
    first = load_credentials(paths)
    assert load_credentials(paths) == first
    assert generate_credentials() != first


def test_only_the_owner_can_read_the_secrets_the_login_and_the_folder(paths: Paths) -> None:
    load_credentials(paths)
    modes = [path.stat().st_mode & 0o777 for path in (paths.state, paths.credentials, paths.login)]
    assert modes == [0o700, 0o600, 0o600]


def test_a_mode_that_was_opened_is_closed_again(paths: Paths) -> None:
    load_credentials(paths)
    paths.credentials.chmod(0o644)
    load_credentials(paths)
    assert paths.credentials.stat().st_mode & 0o777 == 0o600


def test_the_printed_form_shows_no_secret() -> None:
    credentials = generate_credentials()
    assert not any(value in repr(credentials) for value in asdict(credentials).values())


def test_secrets_are_long_distinct_and_safe_inside_an_address() -> None:
    credentials = generate_credentials()
    values = list(asdict(credentials).values())
    assert len(set(values)) == len(values)
    assert all(len(value) >= 19 for value in values)
    assert credentials.postgres_password.isalnum()
    assert len(base64.urlsafe_b64decode(credentials.fernet_key)) == 32


def test_the_login_file_holds_the_admin_and_keeps_a_changed_password(paths: Paths) -> None:
    credentials = load_credentials(paths)
    assert json.loads(paths.login.read_text()) == {"admin": credentials.admin_password}
    paths.login.write_text('{"admin": "mine"}')
    load_credentials(paths)
    assert json.loads(paths.login.read_text()) == {"admin": "mine"}


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"postgres_password": "hunter2"}'])
def test_a_damaged_secrets_file_is_named_and_its_content_is_not_shown(paths: Paths, content: str) -> None:
    paths.state.mkdir()
    paths.credentials.write_text(content)
    with pytest.raises(LocalStackError, match=r"\.local/secrets\.json.*Restore") as raised:
        load_credentials(paths)
    assert "hunter2" not in str(raised.value)
