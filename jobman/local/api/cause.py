"""What is wrong with one field of an object, in the words of Kubernetes' field errors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a 422's `details.causes`."""

    reason: str
    field: str
    message: str


def wrong(field: str, value: Any, text: str) -> Cause:
    """`value` is not allowed there."""
    return Cause("FieldValueInvalid", field, f"Invalid value: {shown(value)}: {text}")


def invalid(field: str, text: str) -> Cause:
    """What is there is not allowed; it is not shown."""
    return Cause("FieldValueInvalid", field, f"Invalid value: {text}")


def required(field: str, text: str = "") -> Cause:
    """The field must be given."""
    return Cause(
        "FieldValueRequired", field, f"Required value: {text}" if text else "Required value"
    )


def not_supported(field: str, value: Any, supported: Iterable[str]) -> Cause:
    """The value is none of a closed list; `supported` in the order to show."""
    values = ", ".join(shown(word) for word in supported)
    return Cause(
        "FieldValueNotSupported",
        field,
        f"Unsupported value: {shown(value)}: supported values: {values}",
    )


def duplicate(field: str, value: Any, text: str = "") -> Cause:
    """The value is there already."""
    why = f": {text}" if text else ""
    return Cause("FieldValueDuplicate", field, f"Duplicate value: {shown(value)}{why}")


def forbidden(field: str, text: str) -> Cause:
    """The field may not be set, or not be changed."""
    return Cause("FieldValueForbidden", field, f"Forbidden: {text}")


def not_found(field: str, value: Any) -> Cause:
    """The value names something that is not there."""
    return Cause("FieldValueNotFound", field, f"Not found: {shown(value)}")


def too_long(field: str, limit_bytes: int) -> Cause:
    """The value takes more than `limit_bytes`."""
    return Cause("FieldValueTooLong", field, f"Too long: may not be more than {limit_bytes} bytes")


def too_many(field: str, count: int, most: int) -> Cause:
    """The list has more than `most` entries."""
    text = f"Too many: {count}: must have at most {most} items"
    return Cause("FieldValueTooMany", field, text)


def shown(value: Any) -> str:
    """`value` as messages write it: JSON, compact, keys sorted."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
