"""The identity of one search, and the S3 keys that belong to it."""

from __future__ import annotations

from dataclasses import dataclass

from include.skufleet.fleet.run import Run, RunKeys


class _Places:
    """Where a search keeps what it writes: apart from the runs, whose ids could be the same."""

    __slots__ = ()
    catalogue: str
    key: str

    @property
    def folder(self) -> str:
        """The prefix of everything that this search writes for itself."""
        return f"searches/{self.catalogue}/{self.key}"

    @property
    def report_key(self) -> str:
        """The HTML report."""
        return f"reports/{self.catalogue}/search-{self.key}.html"

    @property
    def proposal_key(self) -> str:
        """The keys of the catalogue file that the winner changes, as YAML; not there where it changes none."""
        return f"{self.folder}/proposal.yaml"

    @property
    def ranking_key(self) -> str:
        """One row per trial: how far it came, and how well."""
        return f"{self.folder}/ranking.parquet"

    def piece_key(self, piece: str) -> str:
        """The validated sales of some SKUs of the sample."""
        return f"{self.folder}/sample/{piece}.parquet"

    def scores_key(self, draw: str, trial: str, rung: int) -> str:
        """One row per SKU and window that a trial had to forecast in a rung, for the first time."""
        return f"{self.folder}/trials/{draw}/{trial}-{rung}.parquet"


@dataclass(frozen=True, slots=True)
class SearchKeys(_Places, RunKeys):
    """Where a search keeps what it writes; needs no more than its id."""


@dataclass(frozen=True, slots=True)
class SearchRun(_Places, Run):
    """One search of one catalogue."""
