"""``python -m include.skufleet VERB``: see ``python -m include.skufleet --help``."""

from __future__ import annotations

import sys

from include.skufleet.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
