"""A release: which version serves each SKU after a run, frozen."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from include.skufleet.registry.records import RegisteredVersion

_TYPES = {
    "sku": "str",
    "registered_name": "str",
    "version": "int64",
    "candidate": "str",
    "as_of": "str",
    "served_by": "str",
}


def freeze_release(production: Mapping[str, RegisteredVersion]) -> pd.DataFrame:
    """The map SKU -> version as a frame that never changes again, sorted by SKU.

    Args:
        production: SKU -> its version in production.

    Returns:
        ``sku, registered_name, version, candidate, as_of`` (ISO date of the run that trained the version) and
        ``served_by``: ``production``, or ``fallback`` for a version that was not trained.
    """
    rows = [
        {
            "sku": sku,
            "registered_name": item.name,
            "version": item.version,
            "candidate": item.candidate,
            "as_of": item.as_of,
            "served_by": "production" if item.outcome == "trained" else "fallback",
        }
        for sku, item in sorted(production.items())
    ]
    return pd.DataFrame(rows, columns=list(_TYPES)).astype(_TYPES)
