"""What a PriorityClass may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api.cause import Cause, forbidden, not_supported, wrong

Object = Mapping[str, Any]

SYSTEM_VALUES = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
_USER_MAX = 1_000_000_000
_POLICIES = ("Never", "PreemptLowerPriority")
_RESERVED = "priority class names with 'system-' prefix are reserved for system use only."


def new(priority: Object) -> Iterator[Cause]:
    """What is wrong with a new PriorityClass."""
    name = priority.get("metadata", {}).get("name", "")
    if name.startswith("system-"):
        if problem := _system_problem(name, priority):
            yield forbidden("metadata.name", f"{_RESERVED} error: {problem}")
    elif priority.get("value", 0) > _USER_MAX:
        text = f"maximum allowed value of a user defined priority is {_USER_MAX}"
        yield forbidden("value", text)
    policy = priority.get("preemptionPolicy", "Never")
    if policy not in _POLICIES:
        yield not_supported("preemptionPolicy", policy, _POLICIES)


def _system_problem(name: str, priority: Object) -> str:
    value = SYSTEM_VALUES.get(name)
    if value is None:
        return f"{name} is not a known system priority class"
    if priority.get("value", 0) != value:
        return f"value of {name} PriorityClass must be {value}"
    if priority.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


def change(old: Object, priority: Object) -> Iterator[Cause]:
    """What of a PriorityClass may not be as it is, since it was `old`."""
    if priority.get("value", 0) != old.get("value", 0):
        yield forbidden("value", "may not be changed in an update.")
    policy = priority.get("preemptionPolicy")
    if policy != old.get("preemptionPolicy"):
        yield wrong("preemptionPolicy", policy, "field is immutable")
