"""Importing the package is cheap and quiet: Great Expectations comes with the first chunk."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
import include.skufleet.quality
assert "great_expectations" not in sys.modules
from include.skufleet.quality.engine import _start
engine = _start()
assert "great_expectations" in sys.modules
print("analytics", engine.context.config.analytics_enabled)
"""


def test_great_expectations_is_imported_late_and_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["analytics False"]
    assert done.stderr == ""
