"""What became of the recipes: taken over, refit, or kept because the gate said so. In words."""

from __future__ import annotations

import pandas as pd

WORDS = {
    "first": "first model of its SKU",
    "refresh": "production's recipe, refit on newer days",
    "better": "another recipe took over: better by more than luck",
    "retired": "another recipe took over: production's could not be used",
    "gain": "production's recipe was refit: the other one's gain is too small",
    "luck": "production's recipe was refit: the other one's gain may be luck",
    "hold": "production's recipe was refit: it has only just come",
    "windows": "production's recipe was refit: too few windows to tell",
    "unmeasured": "production's recipe was refit: the two could not be compared",
    "bias": "production's recipe was refit: the other one is biased",
    "shadow": "another recipe is in its shadow, or comes from it",
    "canary": "another recipe is tried in the canaries, or comes from them",
    "guard": "a guard rail refused a model",
}


def count_recipes(results: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, int]:
    """How many trained SKUs the gate treated in which way, the most frequent first."""
    if results.empty or decisions.empty or "rule" not in results:
        return {}
    trained = results[(results["outcome"] == "trained") & (results["version"] > 0)]
    found = trained["rule"].map(WORDS).value_counts()
    return {str(words): int(number) for words, number in found.items()}
