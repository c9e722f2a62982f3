"""Whether a pod has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local.stored import Record

FINAL = ("Succeeded", "Failed")


def is_final(pod: Mapping[str, Any]) -> bool:
    """Whether the pod's phase is its last."""
    return pod.get("status", {}).get("phase") in FINAL


def has_ended(record: Record) -> bool:
    """The same of a pod as it is kept."""
    return record.phase in FINAL
