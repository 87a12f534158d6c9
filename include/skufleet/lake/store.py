"""One bucket of S3 as the rest of Skufleet sees it: bytes, JSON and frames under keys, and errors of our own tree.

What does not belong here: how a bucket is reached (``connecting.py``), what the keys mean (``keys.py``), table formats.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    PartialCredentialsError,
    ResponseStreamingError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from include.skufleet.errors import ConfigError, DataError, ServiceUnavailableError

THREADS = 8
PER_DELETION = 1000  # S3's limit
_BODY_ATTEMPTS = 3
_OVERLOADED = {"SlowDown", "ServiceUnavailable", "RequestTimeout", "Throttling", "ThrottlingException", "InternalError"}
_MISSING = {"NoSuchKey", "404", "NotFound"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "403"}
_PRECONDITION = {"PreconditionFailed", "412"}


@dataclass(frozen=True)
class StoredObject:
    """What a listing says of one object: ``last_modified`` with its time zone, ``etag`` unquoted, ``size`` in bytes."""

    key: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True)
class ObjectStore:
    """One bucket. Safe to share between threads; not between processes (a client's sockets do not survive a fork).

    Every method raises ``ServiceUnavailableError`` when S3 does not answer or answers that it is overloaded (after
    bounded retries), ``ConfigError`` when it refuses us or the bucket does not exist, and ``DataError`` with the key
    when an object does not exist.

    Attributes:
        client: a boto3 S3 client.
        bucket: the bucket's name.
        storage_options: what delta-rs needs to reach the same bucket; holds secrets, hence never shown.
    """

    client: Any = field(repr=False)
    bucket: str
    storage_options: Mapping[str, str] = field(repr=False, default_factory=dict)

    def uri(self, key: str) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write one object, whole or not at all, over an earlier one of that key."""
        with self._errors(key):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Write one object unless the key exists; whether it was written.

        A write whose answer got lost is tried again and then reports ``False`` although it was ours: give each writer
        a content of its own and read it back where that matters.
        """
        try:
            with self._errors(key):
                self.client.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*")
        except _PreconditionError:
            return False
        return True

    def put_if_unchanged(self, key: str, data: bytes, etag: str | None) -> bool:
        """Write one object over that of this ETag, or where there is none (``None``); whether it was written.

        A write whose answer got lost may report ``False`` although it was ours, as with ``put_if_absent``.
        """
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": f'"{etag}"'}
        try:
            with self._errors(key):
                self.client.put_object(Bucket=self.bucket, Key=key, Body=data, **condition)
        except (_PreconditionError, _ConflictError, _MissingError):
            return False
        return True

    def find_with_etag(self, key: str) -> tuple[bytes | None, str | None]:
        """One object and its ETag, for ``put_if_unchanged``; both ``None`` where there is none."""
        try:
            return self._read_with_etag(key, {})
        except _MissingError:
            return None, None

    def get(self, key: str) -> bytes:
        """Read one object."""
        return self._read(key, {})

    def get_if_unchanged(self, stored: StoredObject) -> bytes | None:
        """Read exactly the object that was listed; ``None`` when it has been replaced or deleted since."""
        try:
            return self._read(stored.key, {"IfMatch": f'"{stored.etag}"'})
        except (_PreconditionError, _MissingError):
            return None

    def find(self, key: str) -> bytes | None:
        """Read one object; ``None`` when there is none."""
        try:
            return self._read(key, {})
        except _MissingError:
            return None

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""
        try:
            with self._errors(key):
                self.client.head_object(Bucket=self.bucket, Key=key)
        except _MissingError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete one object; it is no error when there is none."""
        with self._errors(key):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects, 1,000 in a request; it is no error when one is not there.

        Raises:
            ServiceUnavailableError: S3 could not delete one of them; others may be gone.
        """
        waiting = list(keys)
        for start in range(0, len(waiting), PER_DELETION):
            part = [{"Key": key} for key in waiting[start : start + PER_DELETION]]
            with self._errors(part[0]["Key"]):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": part, "Quiet": True})
            for refused in answer.get("Errors", ())[:1]:
                raise ServiceUnavailableError(
                    f"{self.uri(refused['Key'])}: S3 did not delete it: {refused.get('Code')} {refused.get('Message')}"
                )

    def put_json(self, key: str, value: Any) -> None:
        """Write a JSON object: UTF-8, sorted keys, no NaN."""
        self.put(key, to_json(value))

    def get_json(self, key: str) -> Any:
        """Read a JSON object.

        Raises:
            DataError: there is no such object, or it is not JSON.
        """
        return self.parse_json(key, self.get(key))

    def find_json(self, key: str) -> Any | None:
        """Read a JSON object; ``None`` when there is none."""
        data = self.find(key)
        return None if data is None else self.parse_json(key, data)

    def parse_json(self, key: str, data: bytes) -> Any:
        """The JSON that was read from ``key`` as bytes.

        Raises:
            DataError: it is not JSON.
        """
        try:
            return json.loads(data)
        except ValueError as error:
            raise DataError(f"{self.uri(key)}: expected JSON, got {data[:40]!r}: {error}") from error

    def put_frame(self, key: str, frame: pd.DataFrame) -> None:
        """Write a frame as Parquet (zstd), without its index."""
        self.put(key, frame_to_parquet(frame))

    def get_frame(self, key: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a Parquet object, or some of its columns.

        Raises:
            DataError: there is no such object, or it is not Parquet with these columns.
        """
        return self.parse_frame(key, self.get(key), columns)

    def parse_frame(self, key: str, data: bytes, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The frame that was read from ``key`` as bytes, likewise."""
        try:
            table = pq.read_table(io.BytesIO(data), columns=None if columns is None else list(columns))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{self.uri(key)}: is not the Parquet expected: {error}") from error
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def get_many(self, keys: Sequence[str], threads: int = THREADS) -> list[bytes]:
        """Read several objects at a time; the answers are in the order of ``keys``."""
        with ThreadPoolExecutor(max_workers=max(1, min(threads, len(keys)))) as pool:
            return list(pool.map(self.get, keys))

    def put_many(self, items: Iterable[tuple[str, bytes]], threads: int = THREADS) -> None:
        """Write several objects at a time; when one fails, others may have been written."""
        with ThreadPoolExecutor(max_workers=threads) as pool:
            list(pool.map(lambda item: self.put(*item), items))

    def ensure_bucket(self) -> None:
        """Create the bucket unless it exists."""
        try:
            with self._errors(""):
                self.client.head_bucket(Bucket=self.bucket)
        except _MissingError:
            region = self.client.meta.region_name
            place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            with self._errors(""):
                self.client.create_bucket(Bucket=self.bucket, **place)

    def has_any(self, prefix: str) -> bool:
        """Whether there is an object whose key starts with ``prefix``; one request, however many there are."""
        with self._errors(prefix):
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, MaxKeys=1)
        return bool(found.get("Contents"))

    def list(self, prefix: str) -> list[StoredObject]:
        """All objects whose key starts with ``prefix``, in the order of their keys."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with self._errors(prefix):
            found = [
                StoredObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])
                for page in pages
                for item in page.get("Contents", ())
            ]
        return sorted(found, key=lambda stored: stored.key)

    def _read(self, key: str, condition: dict[str, str]) -> bytes:
        return self._read_with_etag(key, condition)[0]

    def _read_with_etag(self, key: str, condition: dict[str, str]) -> tuple[bytes, str]:
        """Read a body. botocore retries a request, but not a body that is cut off half way: that is done here."""
        for attempt in range(1, _BODY_ATTEMPTS + 1):
            try:
                with self._errors(key):
                    answer = self.client.get_object(Bucket=self.bucket, Key=key, **condition)
                    return answer["Body"].read(), answer["ETag"].strip('"')
            except _CutOffError:
                if attempt == _BODY_ATTEMPTS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what boto3 raises into errors of our own tree."""
        where = self.uri(key)
        try:
            yield
        except ClientError as error:
            raise _translate(where, self.bucket, error) from error
        except (IncompleteReadError, ResponseStreamingError) as error:
            raise _CutOffError(f"{where}: the answer was cut off: {error}; try again later") from error
        except (BotoConnectionError, HTTPClientError, OSError) as error:
            raise ServiceUnavailableError(f"{where}: S3 does not answer: {error}; is the server up?") from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ConfigError(
                f"{where}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an instance role"
            ) from error
        except BotoCoreError as error:
            raise DataError(f"{where}: S3 cannot be asked for this: {error}") from error


class _MissingError(DataError):
    """There is no object of that key."""


class _PreconditionError(DataError):
    """The object is not in the state that the request required."""


class _ConflictError(ServiceUnavailableError):
    """Another writer was at the same object at the same moment."""


class _CutOffError(ServiceUnavailableError):
    """The answer ended early."""


def _translate(where: str, bucket: str, error: Any) -> Exception:
    """Our error for an answer of S3 that is not a success."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code == "ConditionalRequestConflict":
        return _ConflictError(f"{where}: another writer was at it at the same moment ({status} {code}); try again")
    if code in _OVERLOADED or status >= 500 or status == 429:
        return ServiceUnavailableError(f"{where}: S3 is overloaded or broken ({status} {code}); try again later")
    if code in {"NoSuchBucket", "InvalidBucketName"}:
        return ConfigError(f"{where}: there is no bucket {bucket!r}; create it or correct SKUFLEET_BUCKET")
    if code in _MISSING:
        return _MissingError(f"{where}: there is no such object")
    if code in _PRECONDITION:
        return _PreconditionError(f"{where}: is not in the state required (412)")
    if code in _REFUSED:
        return ConfigError(f"{where}: S3 refuses access ({status} {code}); check the key, its rights and the bucket")
    return DataError(f"{where}: S3 answered {status} {code}")


def to_json(value: Any) -> bytes:
    """JSON as we write it: UTF-8, sorted keys, no NaN (a ``ValueError``)."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True).encode()


def frame_to_parquet(frame: pd.DataFrame) -> bytes:
    """A frame without its index as the bytes of a Parquet file."""
    return to_parquet(pa.Table.from_pandas(frame, preserve_index=False))


def to_parquet(table: Any) -> bytes:
    """An Arrow table as the bytes of a Parquet file (zstd)."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()
