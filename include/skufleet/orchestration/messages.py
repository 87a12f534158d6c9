"""What is said of a run that failed or is late: one sentence for a log, a mail or a chat, and the same as JSON.

What does not belong here: who gets it (``notifications``), and anything secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

FAILED, LATE = "failed", "late"
ADVICE = "What was finished is kept: see the log of what failed, then clear it together with what follows"
_SHOWN_TASKS = 8
_LONGEST = 600
_WHAT = {"retrain": "Retraining", "search": "Search"}


@dataclass(frozen=True)
class Message:
    """One run that somebody should look at.

    Attributes:
        event: it failed, or it is late.
        dag_id: what it is a run of: ``retrain_<catalogue>`` or ``search_<catalogue>``.
        run_id: Airflow's id of the run.
        as_of: the date it pretends to be; empty where that is not known.
        state: as Airflow says.
        failed_tasks: tasks that failed, chunks of a mapped one each, in the order in which they run.
        sentence: what the first of them said, or how late the run is.
        outcomes: outcome -> SKUs, where the run came to count them.
        report: address of its report; empty where it has none yet.
        page: address of the run in Airflow; empty where a browser cannot reach it.
    """

    event: Literal["failed", "late"]
    dag_id: str
    run_id: str
    as_of: str = ""
    state: str = ""
    failed_tasks: tuple[str, ...] = ()
    sentence: str = ""
    outcomes: Mapping[str, int] = field(default_factory=dict)
    report: str = ""
    page: str = ""

    @property
    def catalogue(self) -> str:
        """The catalogue's name."""
        return self.dag_id.partition("_")[2]

    @property
    def subject(self) -> str:
        """A few words: what of which catalogue."""
        return f"Skufleet: {self._what.lower()} of {self.catalogue} {'failed' if self.event == FAILED else 'is late'}"

    @property
    def lines(self) -> list[str]:
        """What there is to say, a line each; what is not known is left out."""
        happened = "failed" if self.event == FAILED else "is late"
        about = ", ".join(part for part in (f"as of {self.as_of}" if self.as_of else "", self.state) if part)
        shown = ", ".join(self.failed_tasks[:_SHOWN_TASKS])
        more = f" and {len(self.failed_tasks) - _SHOWN_TASKS} more" if len(self.failed_tasks) > _SHOWN_TASKS else ""
        counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(self.outcomes.items()))
        found = [
            f"{self._what} of {self.catalogue} {happened}: run {self.run_id}" + (f" ({about})" if about else ""),
            self.sentence[:_LONGEST],
            f"Failed tasks: {shown}{more}" if shown else "",
            f"SKUs: {counted}" if counted else "",
            f"Report: {self.report}" if self.report else "",
            f"Run: {self.page}" if self.page else "",
            self._advice,
        ]
        return [line for line in found if line]

    @property
    def text(self) -> str:
        """All of it on one line, for a log."""
        return ". ".join(line.rstrip(".") for line in self.lines)

    @property
    def html(self) -> str:
        """All of it as the body of a mail; names of SKUs and tasks come from outside, so nothing in it is markup."""
        return "".join(f"<p>{escape(line)}</p>" for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """What a webhook gets; ``text`` is the key that chat programs show."""
        return {
            "text": "\n".join(self.lines),
            "event": self.event,
            "dag_id": self.dag_id,
            "catalogue": self.catalogue,
            "run_id": self.run_id,
            "as_of": self.as_of,
            "state": self.state,
            "failed_tasks": list(self.failed_tasks),
            "sentence": self.sentence[:_LONGEST],
            "outcomes": dict(self.outcomes),
            "report": self.report,
            "page": self.page,
        }

    @property
    def _what(self) -> str:
        return _WHAT.get(self.dag_id.partition("_")[0], "Run")

    @property
    def _advice(self) -> str:
        if self.event == LATE:
            return "It goes on; look at what its tasks wait for"
        return ADVICE
