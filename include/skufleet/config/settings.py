"""What the environment says."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from include.skufleet.config.base import Model, Text
from include.skufleet.config.problems import describe_problems
from include.skufleet.errors import ConfigError


class Settings(Model):
    """What the environment says. Secrets are not here: clients take them from the environment or an Airflow connection.

    Attributes:
        bucket: the S3 bucket of lake, landing, artifacts and reports.
        mlflow_tracking_uri: the MLflow server, or its database; never shown, for it may hold a password.
        mlflow_ui_url: where a browser finds MLflow; the tracking URI where it is HTTP and nothing else is said.
        slots: tasks that can run at the same time.
        airflow_ui_url: where a browser finds Airflow; empty leaves links to it out.
        local_dir: the embedded stack's state, and where reports are copied to; ``None`` outside the embedded stack.
    """

    bucket: Text = "skufleet"
    mlflow_tracking_uri: Annotated[Text, Field(repr=False)]
    mlflow_ui_url: str = ""
    local_dir: Path | None = None
    slots: Annotated[int, Field(ge=1)] = 4
    airflow_ui_url: str = ""


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Build the settings from environment variables (``.env.example`` explains each).

    Raises:
        ConfigError: a variable is missing or wrong; the message names it.
    """
    env = os.environ if environment is None else environment
    uri = env.get("SKUFLEET_MLFLOW_URI") or env.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise ConfigError("MLFLOW_TRACKING_URI is not set; set it in .env (see .env.example) or run `make up`")
    values: dict[str, Any] = {
        "bucket": env.get("SKUFLEET_BUCKET"),
        "mlflow_tracking_uri": uri,
        "mlflow_ui_url": env.get("SKUFLEET_MLFLOW_UI_URL") or (uri if uri.startswith("http") else ""),
        "local_dir": env.get("SKUFLEET_LOCAL_DIR"),
        "slots": env.get("SKUFLEET_SLOTS"),
        "airflow_ui_url": env.get("SKUFLEET_AIRFLOW_UI_URL"),
    }
    try:
        return Settings.model_validate({key: value for key, value in values.items() if value is not None})
    except ValidationError as error:
        raise ConfigError(f"environment: {describe_problems(error)}") from error
