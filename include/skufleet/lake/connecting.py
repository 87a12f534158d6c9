"""How a bucket is reached: by clients of our own or of somebody else, all with the same timeouts and retries."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Protocol

import boto3
from botocore.config import Config

from include.skufleet.errors import ConfigError
from include.skufleet.lake.store import ObjectStore

ATTEMPTS = 5
_CLIENT_CONFIG = Config(
    s3={"addressing_style": "path"},
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    max_pool_connections=32,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class _Credentials(Protocol):
    """What boto3 and the Airflow hook hand out (``session.get_credentials().get_frozen_credentials()``)."""

    access_key: str
    secret_key: str
    token: str | None


def open_store(bucket: str, environ: Mapping[str, str] = os.environ) -> ObjectStore:
    """A store from the environment.

    ``AWS_ENDPOINT_URL_S3``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN`` and
    ``AWS_DEFAULT_REGION`` are used where set; without the key pair the clients look for credentials themselves
    (profile, container or instance role).

    Raises:
        ConfigError: one half of the key pair is missing.
    """
    key, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if bool(key) != bool(secret):
        absent = "AWS_SECRET_ACCESS_KEY" if key else "AWS_ACCESS_KEY_ID"
        raise ConfigError(f"{absent} is not set although its other half is; set both or none in .env")
    endpoint = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL") or None
    region = environ.get("AWS_DEFAULT_REGION") or environ.get("AWS_REGION") or "us-east-1"
    token = environ.get("AWS_SESSION_TOKEN") or None
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=key or None,
        aws_secret_access_key=secret or None,
        aws_session_token=token if key else None,
        config=_CLIENT_CONFIG,
    )
    pair = (key, secret, token) if key and secret else None
    return ObjectStore(client, bucket, _delta_options(endpoint, region, pair))


def store_from_client(
    client: Any, bucket: str, *, credentials: _Credentials | None, endpoint: str | None, region: str | None
) -> ObjectStore:
    """A store around an S3 client that somebody else made, for example Airflow's S3 hook.

    ``credentials`` are those of the client (frozen); ``None`` lets delta-rs look for its own.
    """
    pair = None if credentials is None else (credentials.access_key, credentials.secret_key, credentials.token)
    return ObjectStore(client, bucket, _delta_options(endpoint, region or "us-east-1", pair))


def client_config(*, patient: bool = True) -> Any:
    """The timeouts and retries that every S3 client of Skufleet has (a ``botocore.config.Config``).

    Without ``patient`` it gives up after some 10 s, for what can do without an answer.
    """
    if patient:
        return _CLIENT_CONFIG
    retries = {"mode": "standard", "total_max_attempts": 2}
    return _CLIENT_CONFIG.merge(Config(connect_timeout=2, read_timeout=5, retries=retries))


def _delta_options(
    endpoint: str | None, region: str, credentials: tuple[str, str, str | None] | None
) -> dict[str, str]:
    """Storage options of delta-rs: same bucket, same patience, and commits by conditional put."""
    options = {"AWS_REGION": region, "aws_conditional_put": "etag", "timeout": "60s", "connect_timeout": "5s"}
    options |= {"max_retries": str(ATTEMPTS), "retry_timeout": "60s"}
    if endpoint:
        # delta-rs prefers the second name, and would take it from the environment if only the first were given.
        options["AWS_ENDPOINT_URL"] = options["AWS_ENDPOINT_URL_S3"] = endpoint
        options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] = "false"
        if endpoint.startswith("http://"):
            options["AWS_ALLOW_HTTP"] = "true"
    if credentials:
        options["AWS_ACCESS_KEY_ID"], options["AWS_SECRET_ACCESS_KEY"], token = credentials
        if token:
            options["AWS_SESSION_TOKEN"] = token
    return options
