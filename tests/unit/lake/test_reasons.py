"""Every reason for which the lake sets a row aside has words for people."""

import ast
from pathlib import Path

import pytest

from include.skufleet.lake import set_aside
from include.skufleet.lake.set_aside import REASONS, explain_reason


def reasons_in(source: str) -> set[str]:
    """The second argument of every call of ``.mark`` and ``.note``."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and len(node.args) > 1]
    named = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in ("mark", "note")]
    return {call.args[1].value for call in named if isinstance(call.args[1], ast.Constant)}


def test_every_reason_in_the_code_has_words() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(set_aside.__file__).parent.glob("*.py")]
    used = set().union(*(reasons_in(source) for source in sources))
    assert {"identical", "date_future", "price_unreadable"} <= used
    assert used <= set(REASONS)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("identical", "the same in every column as an earlier row of the drop"),
        ("prices.price_unreadable", "a price that is no number (in a price file)"),
        ("something_new", "something new"),
    ],
)
def test_a_reason_reads_as_words(reason: str, words: str) -> None:
    assert explain_reason(reason) == words
