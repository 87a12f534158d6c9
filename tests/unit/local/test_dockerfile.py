"""The Dockerfile, read without a container engine."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KNOWN = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "USER", "CMD", "ENTRYPOINT", "EXPOSE", "ARG", "LABEL", "HEALTHCHECK"}


@pytest.fixture(scope="module")
def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", kept)
    found = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(name, rest.strip()) for name, _, rest in found]


def test_every_instruction_is_known_and_the_base_comes_first(instructions: list[tuple[str, str]]) -> None:
    assert {name for name, _ in instructions} <= KNOWN
    assert instructions[0][0] == "FROM"


def test_the_base_is_pinned_to_the_python_that_the_project_needs(instructions: list[tuple[str, str]]) -> None:
    assert re.fullmatch(r"python:3\.11-slim-[a-z]+", instructions[0][1])


def test_every_copied_file_exists_and_is_let_through_by_dockerignore(instructions: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    admitted = [line[1:] for line in ignored if line.startswith("!")]
    sources = [word for name, rest in instructions if name == "COPY" for word in rest.split()[:-1]]
    assert {"requirements.txt", "include", "dags", "plugins"} == set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in admitted), source


def test_dockerignore_starts_by_keeping_everything_out() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"


def test_the_image_does_not_run_as_root(instructions: list[tuple[str, str]]) -> None:
    users = [rest for name, rest in instructions if name == "USER"]
    assert users
    assert not users[-1].startswith(("0", "root"))
    assert [name for name, _ in instructions].index("USER") > [name for name, _ in instructions].index("RUN")


def test_no_secret_is_baked_in(instructions: list[tuple[str, str]]) -> None:
    for name, rest in instructions:
        assert not re.search(r"(?i)(password|secret|token|api_?key)\s*=", rest), f"{name} {rest}"


def test_commands_are_lists_so_that_signals_reach_the_program(instructions: list[tuple[str, str]]) -> None:
    assert all(rest.startswith("[") for name, rest in instructions if name in {"CMD", "ENTRYPOINT"})
