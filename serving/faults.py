"""What pydantic tells of a fault, in words for whoever sent the value."""

from collections.abc import Mapping
from typing import Any

LIMIT_KEYS = ("ge", "gt", "le", "lt", "max_length", "min_length", "expected", "pattern", "limit")


def message_of(fault: Mapping[str, Any]) -> str:
    """What is wrong; of a check of ours, its own words without pydantic's before them."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return str(fault["msg"])


def limit_of(fault: Mapping[str, Any]) -> Any:
    """The limit that a value broke, None where there is none."""
    context = fault.get("ctx") or {}
    return next((context[key] for key in LIMIT_KEYS if key in context), None)
