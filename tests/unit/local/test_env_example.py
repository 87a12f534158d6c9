"""`.env.example` names and explains every variable that the code reads."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from include.skufleet.local.settings import DEFAULTS, load_settings, read_dotenv

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / ".env.example"
NAME = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
OURS = re.compile(r"(SKUFLEET|AWS|MLFLOW)_[A-Z0-9_]+")
READING = {"get", "getenv", "pop", "setdefault"}
# Handed by the stack to the process it starts, never set by a person.
INTERNAL = {"MLFLOW_BACKEND_STORE_URI"}
# AWS's own synonyms of variables that the file explains.
SYNONYMS = {"AWS_REGION", "AWS_ENDPOINT_URL"}


def names_read(tree: ast.AST) -> set[str]:
    """The environment variables read in a module: `x.get("NAME")` and `x["NAME"]` with a name of ours."""
    found: set[str] = set()
    for node in ast.walk(tree):
        key: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READING:
            key = node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            key = node.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and OURS.fullmatch(key.value):
            found.add(key.value)
    return found


def test_every_variable_that_the_code_reads_is_explained() -> None:
    explained = set(NAME.findall(EXAMPLE.read_text(encoding="utf-8")))
    files = [file for folder in ("include", "dags", "plugins") for file in (ROOT / folder).rglob("*.py")]
    read = {name: file for file in files for name in names_read(ast.parse(file.read_text(encoding="utf-8")))}
    assert {"SKUFLEET_BUCKET", "MLFLOW_TRACKING_URI", "AWS_ACCESS_KEY_ID"} <= set(read)
    missing = {name: str(file.relative_to(ROOT)) for name, file in read.items() if name not in explained}
    assert {name: file for name, file in missing.items() if name not in INTERNAL | SYNONYMS} == {}
    assert set(DEFAULTS) <= explained


def test_no_variable_is_named_twice() -> None:
    names = NAME.findall(EXAMPLE.read_text(encoding="utf-8"))
    assert len(names) == len(set(names))


def test_every_variable_has_an_explanation_above_it() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if NAME.match(line):
            above = number
            while NAME.match(lines[above]):
                above -= 1
            assert lines[above].startswith("# ") and not lines[above].startswith("# --"), line  # noqa: PT018


def test_the_example_taken_as_it_is_gives_the_defaults() -> None:
    assert load_settings(ROOT, read_dotenv(EXAMPLE)) == load_settings(ROOT, dict.fromkeys(DEFAULTS, ""))
