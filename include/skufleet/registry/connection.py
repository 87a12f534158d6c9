"""One connection to MLflow: bounded waits, retries that cannot do a thing twice, and errors of our own tree."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from include.skufleet.errors import ConfigError, PermanentError, ServiceUnavailableError, SkufleetError
from include.skufleet.registry.remembering import make_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

# MLflow's client sends any failed request again, also one that creates something and whose answer got lost: that is how
# a SKU gets two versions. So its own retries are off, and Connection.call retries what may be retried.
ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # a task log is no place for its emoji
}
DATABASE_WAITS = {
    "connect_timeout": "5",
    # A peer that is gone: noticed after 10 + 3 x 5 s of silence, or 20 s after what was sent was not acknowledged.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    # A server that is there: it gives up a request of ours itself, and a transaction that we left open.
    "options": "-c statement_timeout=120s -c lock_timeout=20s -c idle_in_transaction_session_timeout=120s",
}
"""What libpq is told where an address does not say it itself; the registry's requests take milliseconds."""
_PASSWORD = re.compile(r"(://[^:/@\s]+):[^@\s]+(?=@)")
_TRANSIENT = {
    "INTERNAL_ERROR",  # also what the client gives a refused connection, a timeout and any 5xx or 429
    "TEMPORARILY_UNAVAILABLE",  # also a deadlock or a lost connection between MLflow and its database
    "SERVICE_UNDER_MAINTENANCE",
    "WORKSPACE_TEMPORARILY_UNAVAILABLE",
    "DEADLINE_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "REQUEST_LIMIT_EXCEEDED",
    "COULD_NOT_ACQUIRE_LOCK",
    "ABORTED",
    "IO_ERROR",
}
_REFUSED = {"UNAUTHENTICATED", "PERMISSION_DENIED", "CUSTOMER_UNAUTHORIZED", "ENDPOINT_NOT_FOUND"}
_PAGE_URL_CHARACTERS = 6000  # a filter travels in a GET's address; proxies commonly cut at 8 kB


@dataclass(frozen=True)
class Connection:
    """MLflow's client for one tracking URI, which is also the registry's. Safe to share between threads.

    Attributes:
        uri: ``http://...`` of a server, or the URI of its database.
        artifact_root: where experiments made here keep their artifacts; empty: where the server says, which only a
            server can.
        attempts: how often a call is tried before ``ServiceUnavailableError``.
        pause: seconds before the second try, doubled for each further one.
    """

    uri: str
    artifact_root: str = ""
    attempts: int = 4
    pause: float = field(default=0.5)

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's public client, made at the first use."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import mlflow

        uri = self.uri
        if not uri.startswith("http"):
            uri = bound_waits(uri)
            _try_once()
            # Straight on a database, MLflow looks a version's logged model up through its global URI.
            mlflow.set_tracking_uri(uri)
        return make_client(uri)

    def call(self, what: str, request: Callable[[MlflowClient], T], found: Callable[[], T | None] | None = None) -> T:
        """Do one request; retry while MLflow is unavailable.

        Args:
            what: the request in words, for messages.
            request: the call; without ``found`` it must be harmless to repeat.
            found: what the request would make, if an earlier try made it after all; asked before every retry.

        Raises:
            ServiceUnavailableError: MLflow did not answer, or said that it is overloaded, ``attempts`` times.
            ConfigError: MLflow refuses us, or there is no MLflow at that address.
            PermanentError: MLflow understood the request and refuses it.
        """
        from mlflow import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        for attempt in range(1, self.attempts + 1):
            try:
                if attempt > 1 and found and (made := found()) is not None:
                    return made
                return request(self.client)
            except (MlflowException, SQLAlchemyError) as error:
                translated = self._translate(error, what)
                if attempt == self.attempts or not isinstance(translated, ServiceUnavailableError):
                    raise translated from error
            # Jitter: the chunks that the same outage stopped must not all come back at once.
            time.sleep(self.pause * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311 -- no secret
        raise AssertionError("unreachable: the last attempt returns or raises")

    def pages(self, what: str, search: Callable[..., Any]) -> Iterator[Any]:
        """All items of a paged search; ``search`` takes the client and a page's ``token``."""
        token: str | None = None
        while True:
            page = self.call(what, partial(search, token=token))
            yield from page
            if not (token := page.token):
                return

    def _translate(self, error: Exception, what: str) -> SkufleetError:
        """MLflow's exception as a leaf of our tree, in one line."""
        code = str(getattr(error, "error_code", ""))
        said = _PASSWORD.sub(r"\1", " ".join(str(error).split()))[:500]
        if code in _TRANSIENT or _lost_database(error):
            return ServiceUnavailableError(f"MLflow: cannot {what}: the server is unavailable ({code}): {said}")
        if code in _REFUSED:
            return ConfigError(
                f"MLflow: cannot {what}: refused ({code}): {said}; check MLFLOW_TRACKING_URI and its user"
            )
        return PermanentError(f"MLflow: cannot {what} ({code}): {said}")


def bound_waits(uri: str) -> str:
    """The address of a PostgreSQL database with an end to every wait that libpq knows; what it says itself stays.

    Other addresses come back as they are.
    """
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    if url.get_backend_name() != "postgresql":
        return uri
    return url.set(query={**DATABASE_WAITS, **url.query}).render_as_string(hide_password=False)


def _try_once() -> None:
    """Let MLflow give a database that is away one chance and not ten, 100 s together, each time: ``call`` retries."""
    from mlflow.store.db import utils

    utils.MAX_RETRY_COUNT = 1


def _lost_database(error: Exception) -> bool:
    """Whether the database is what is missing, although MLflow calls the request bad (or was not asked yet)."""
    from sqlalchemy import exc

    cause = error if isinstance(error, exc.SQLAlchemyError) else error.__cause__
    if isinstance(cause, exc.DBAPIError):
        return cause.connection_invalidated or isinstance(cause, exc.OperationalError | exc.InterfaceError)
    return isinstance(cause, exc.TimeoutError)


def error_code(error: BaseException) -> str:
    """MLflow's code of the exception that one of our errors was raised from, or an empty string."""
    return str(getattr(error.__cause__, "error_code", ""))


def name_filters(names: list[str]) -> Iterator[str]:
    """``name IN (...)`` filters for all names, each short enough for an address. Names need no quoting."""
    part: list[str] = []
    length = 0
    for name in names:
        if part and length + len(name) > _PAGE_URL_CHARACTERS:
            yield _name_in(part)
            part, length = [], 0
        part.append(name)
        length += len(name) + 9  # quotes and comma, percent-encoded
    if part:
        yield _name_in(part)


def _name_in(names: list[str]) -> str:
    return "name IN (" + ",".join(f"'{name}'" for name in names) + ")"
