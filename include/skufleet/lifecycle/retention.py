"""Which old versions go. Pure: what exists in, what is to be deleted out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd


def choose_versions_to_prune(
    versions: pd.DataFrame, needed: Mapping[str, Collection[int]], *, keep: int, most: int
) -> pd.DataFrame:
    """The rows of the versions that nobody needs any more, the oldest first.

    Never one that an alias or a kept release names, never one of the newest ``keep`` of its model.

    Args:
        versions: ``name, version`` of every version that exists, and other columns.
        needed: registered model's name -> versions that an alias or a release names; a model that is not named has been
            deleted by hand, and all of its versions go.
        keep: newest versions of each model that stay.
        most: never more rows than this: a backlog is worked off over several runs.
    """
    ordered = versions.sort_values(["version", "name"], kind="stable")
    from_newest = ordered.groupby("name", sort=False)["version"].rank(ascending=False, method="first")
    named = [number in needed.get(name, ()) for name, number in zip(ordered["name"], ordered["version"], strict=True)]
    gone = ~ordered["name"].isin(list(needed))
    return ordered[gone | ((from_newest > keep) & ~pd.Series(named, index=ordered.index, dtype=bool))].head(most)
