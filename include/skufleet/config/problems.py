"""What pydantic complains of, in our words and on one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def describe_problems(error: ValidationError) -> str:
    """Every complaint as ``key: reason (got value)``, in one line."""
    return "; ".join(describe_each(error).values())


def describe_each(error: ValidationError) -> dict[str, str]:
    """Key -> its complaint, the key included; ``file`` where the complaint is about several keys at once."""
    parts: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in item["loc"]) or "file"
        if item["type"] == "extra_forbidden":
            said = f"{key}: unknown key; take it out or correct its spelling"
        elif item["type"] == "missing":
            said = f"{key}: is required"
        else:
            reason = item["msg"].removeprefix("Value error, ")
            shown = repr(item["input"])
            said = f"{key}: {reason}" + (f" (got {shown})" if len(shown) <= 60 else "")
        parts[key] = f"{parts[key]}; {said}" if key in parts else said
    return parts
