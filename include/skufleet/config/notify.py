"""Who is told of a run that failed or is late. Nobody, unless the catalogue file says so.

What does not belong here: addresses of servers, user names and passwords, which are Airflow's connections.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from include.skufleet.config.base import Model

Address = Annotated[str, StringConstraints(pattern=r"^[^@\s,;<>]+@[^@\s,;<>]+$")]
ConnectionId = Annotated[str, StringConstraints(pattern=r"^[\w.\-]{1,200}$")]


class Notify(Model):
    """What is sent when a run fails or is late, and by which of Airflow's connections.

    Attributes:
        deadline_minutes: minutes after it was queued at which a retraining run is late; ``None``: never.
        email: who gets an e-mail; nobody without addresses.
        smtp: id of Airflow's SMTP connection, which also says from whom the mail is.
        webhook: id of Airflow's HTTP connection to whose address a message is posted as JSON; ``None``: none is.
    """

    deadline_minutes: Annotated[float, Field(gt=0, le=100_000)] | None = None
    email: tuple[Address, ...] = ()
    smtp: ConnectionId = "smtp_default"
    webhook: ConnectionId | None = None

    @property
    def anybody(self) -> bool:
        """Whether a message is sent to anybody."""
        return bool(self.email or self.webhook)
