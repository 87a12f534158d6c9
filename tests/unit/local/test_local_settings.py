from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.skufleet.errors import ConfigError
from include.skufleet.local.settings import load_settings, read_dotenv, write_private


def test_defaults_need_neither_file_nor_environment(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    assert (settings.ports.postgres, settings.ports.s3, settings.ports.mlflow, settings.ports.airflow) == (
        15432,
        19000,
        5000,
        8080,
    )
    assert settings.paths.state == tmp_path / ".local"
    assert settings.bucket == "skufleet"
    assert settings.parallelism >= 2


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SKUFLEET_S3_PORT=19001\nSKUFLEET_MLFLOW_PORT=5001\n")
    ports = load_settings(tmp_path, {"SKUFLEET_S3_PORT": "19002"}).ports
    assert (ports.s3, ports.mlflow, ports.airflow) == (19002, 5001, 8080)


def test_an_empty_value_counts_as_absent(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SKUFLEET_PARALLELISM=\nSKUFLEET_BUCKET=''\n")
    settings = load_settings(tmp_path, {"SKUFLEET_S3_PORT": ""})
    assert (settings.bucket, settings.ports.s3) == ("skufleet", 19000)


@pytest.mark.parametrize("value", ["abc", "0", "80", "65536", "-5", "1e4", "8080.0", "٣٠٠٠٠x"])
def test_an_impossible_port_is_refused_with_its_variable(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"SKUFLEET_AIRFLOW_PORT: got .* expected a whole number from 1024 to 65535"):
        load_settings(tmp_path, {"SKUFLEET_AIRFLOW_PORT": value})


def test_two_services_on_one_port_are_refused_with_both_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="SKUFLEET_S3_PORT and SKUFLEET_MLFLOW_PORT are both 5000"):
        load_settings(tmp_path, {"SKUFLEET_S3_PORT": "5000"})


@pytest.mark.parametrize("name", ["Upper", "ab", "under_score", "-x-", "a" * 64, "sp ace"])
def test_a_bucket_name_that_s3_would_refuse_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="SKUFLEET_BUCKET"):
        load_settings(tmp_path, {"SKUFLEET_BUCKET": name})


def test_the_state_folder_may_be_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other disk"
    assert load_settings(tmp_path / "p", {"SKUFLEET_LOCAL_DIR": str(elsewhere)}).paths.state == elsewhere


def test_dotenv_reads_quotes_comments_and_export(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# top\n\nA=1\nexport B = two \nC='a # b'\nD=x # note\nE=#nothing\nF=a#b\n")
    assert read_dotenv(file) == {"A": "1", "B": "two", "C": "a # b", "D": "x", "E": "", "F": "a#b"}


def test_a_line_that_is_no_setting_is_named_by_number_and_never_quoted(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A=1\nhunter2 is my password\n")
    with pytest.raises(ConfigError, match="line 2") as raised:
        read_dotenv(file)
    assert "hunter2" not in str(raised.value)


@given(port=st.integers(1024, 65535).filter(lambda number: number not in {15432, 5000, 8080}))
def test_every_possible_port_is_taken_over_as_given(port: int) -> None:
    assert load_settings(Path("/nowhere"), {"SKUFLEET_S3_PORT": str(port)}).ports.s3 == port


def test_a_private_file_is_readable_by_its_owner_only_and_leaves_no_other_behind(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
