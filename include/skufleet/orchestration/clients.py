"""Build the clients of a task from Airflow's own connection and the environment."""

from __future__ import annotations

import os

from include.skufleet.config import Settings
from include.skufleet.fleet.clients import Clients
from include.skufleet.lake.connecting import client_config, store_from_client
from include.skufleet.lake.store import ObjectStore


def open_clients(settings: Settings) -> Clients:
    """The lake and the registry, as the AWS connection and the environment say.

    Raises:
        ConfigError: a setting is missing or wrong.
    """
    return Clients.open(open_lake(settings), settings)


def open_lake(settings: Settings, *, patient: bool = True) -> ObjectStore:
    """The bucket behind Airflow's AWS connection, whose secrets stay in Airflow's secrets backend.

    ``SKUFLEET_AWS_CONN_ID`` names the connection; ``aws_default`` where it is not set.

    Args:
        settings: the bucket's name.
        patient: whether S3 is given as long as a task gives it; else some seconds.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook  # 0.35 s, not wanted while a Dag file is parsed

    hook = S3Hook(
        aws_conn_id=os.environ.get("SKUFLEET_AWS_CONN_ID", "aws_default"), config=client_config(patient=patient)
    )
    return store_from_client(
        hook.get_conn(),
        settings.bucket,
        credentials=hook.get_credentials(),
        endpoint=hook.conn_config.get_service_endpoint_url("s3"),
        region=hook.region_name,
    )
