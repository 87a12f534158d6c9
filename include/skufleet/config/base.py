"""What every configuration record is made of: a frozen base that refuses unknown keys, and kinds of text."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
)

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Share = Annotated[float, Field(ge=0, le=1)]


def _check_folder(value: str) -> str:
    if not value.endswith("/"):
        raise ValueError("a folder ends in /, for example sales/")
    _check_prefix(value[:-1])
    return value


def _check_prefix(value: str) -> str:
    """Names with one ``/`` between them, and none that a file system would take for another folder."""
    if any(part in {"", ".", ".."} for part in value.split("/")) or re.search(r"\s", value):
        raise ValueError("expected names with one / between them and no spaces, for example landing/demo")
    return value


Folder = Annotated[str, AfterValidator(_check_folder)]
Prefix = Annotated[str, AfterValidator(_check_prefix)]


class Model(BaseModel):
    """Base of every configuration record: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
