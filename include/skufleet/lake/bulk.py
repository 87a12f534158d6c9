"""Read and write small objects by the ten thousand: the files of models.

A put through boto3 takes some 2 ms of CPU, most of it botocore's own, and holds the interpreter for as long; a chunk
writes four for each of its SKUs. ``obstore``, the Rust client that delta-rs is built on, takes a tenth and lets other
threads work. What needs more than put and get (conditions, listings, deletions) is ``ObjectStore``'s.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, cast

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError
from include.skufleet.lake.connecting import ATTEMPTS
from include.skufleet.lake.store import ObjectStore

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Store

_NO_CONFIG = {"timeout", "connect_timeout", "aws_allow_http", "max_retries", "retry_timeout"}
"""What delta-rs takes among the options of a store, and obstore elsewhere."""
_RETRIES: RetryConfig = {
    "max_retries": ATTEMPTS - 1,
    "retry_timeout": timedelta(seconds=60),
    "backoff": {"init_backoff": timedelta(milliseconds=200), "max_backoff": timedelta(seconds=10), "base": 2},
}


@dataclass(frozen=True)
class SmallObjects:
    """The bucket of an ``ObjectStore``, for whole small objects. Safe to share between threads, not across a fork.

    Both methods raise ``ServiceUnavailableError`` when S3 does not answer or answers that it is overloaded (after
    bounded retries), ``ConfigError`` when it refuses us, and ``DataError`` with the key for anything else.
    """

    store: ObjectStore

    def put(self, key: str, data: bytes) -> None:
        """Write one object, whole or not at all, over an earlier one of that key."""
        with self._errors(key):
            self._client.put(key, data)

    def get(self, key: str) -> bytes:
        """Read one object."""
        with self._errors(key):
            return bytes(self._client.get(key).bytes())

    @cached_property
    def _client(self) -> S3Store:
        """Made at the first use: it starts threads, which must not happen before a fork."""
        from obstore.store import S3Store

        options = {name.lower(): value for name, value in self.store.storage_options.items()}
        patience = {name: options[name] for name in ("timeout", "connect_timeout") if name in options}
        return S3Store(
            self.store.bucket,
            config=cast("S3Config", {name: value for name, value in options.items() if name not in _NO_CONFIG}),
            client_options=cast("ClientConfig", patience | {"allow_http": options.get("aws_allow_http") == "true"}),
            retry_config=_RETRIES,
        )

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what obstore raises into errors of our own tree."""
        from obstore import exceptions

        where = self.store.uri(key)
        try:
            yield
        except FileNotFoundError as error:
            raise DataError(f"{where}: there is no such object, or no such bucket") from error
        except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
            raise ConfigError(f"{where}: S3 refuses access; check the key, its rights and the bucket") from error
        except (exceptions.GenericError, exceptions.JoinError, TimeoutError, OSError) as error:
            raise ServiceUnavailableError(f"{where}: S3 does not answer: {_first_line(error)}") from error
        except (exceptions.BaseError, ValueError) as error:
            raise DataError(f"{where}: S3 cannot be asked for this: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    """What obstore says, without the structure that it prints below."""
    return str(error).partition("\n")[0]
