"""The phase of a pod, as its bytes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jobman.local.stored import Record

FINAL = ("Succeeded", "Failed")
# What is not in the bytes need not be decoded.
_SUCCEEDED, _FAILED = (f'"phase":"{phase}"'.encode() for phase in FINAL)


class _Status(msgspec.Struct):
    phase: str = ""


class _Pod(msgspec.Struct):
    status: _Status = msgspec.field(default_factory=_Status)


_DECODER = msgspec.json.Decoder(_Pod)


def is_final(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's phase is its last."""
    return pod.get("status", {}).get("phase") in FINAL


def has_ended(record: Record) -> bool:
    """The same of a pod as it is kept."""
    body = record.body
    if _SUCCEEDED not in body and _FAILED not in body:
        return False
    return _DECODER.decode(body).status.phase in FINAL  # the mark may be a label of the user's
