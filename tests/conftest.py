"""Which tests may run side by side: those of different files, but never two that need the whole platform."""

from __future__ import annotations

from pathlib import Path

import pytest

PLATFORM = Path(__file__).parent / "integration"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One worker takes a whole file, so that its fixtures are made once; one takes all files that share the stack."""
    for item in items:
        group = "platform" if item.path.is_relative_to(PLATFORM) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
