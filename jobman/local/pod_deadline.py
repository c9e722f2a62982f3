"""A pod's own deadline: how long it may be on its node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.values.duration import parse_rfc3339

# (reason, message) of a pod that was there longer.
EXCEEDED = (
    "DeadlineExceeded",
    "Pod was active on the node longer than the specified deadline",
)


def at(pod: Mapping[str, Any]) -> float | None:
    """When it is over, in seconds since 1970; None without one, or before the pod is begun."""
    seconds = pod["spec"].get("activeDeadlineSeconds")
    started = pod.get("status", {}).get("startTime")
    if seconds is None or started is None:
        return None
    return parse_rfc3339(started).timestamp() + float(seconds)
