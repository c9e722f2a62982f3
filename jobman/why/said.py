"""What the words of the scheduler, the API server and the kubelet tell. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

_HEAD = re.compile(r"(\d+)/(\d+) nodes are available: (.*)", re.DOTALL)
_PART = re.compile(r"(\d+) ([^,]+?)(?:,|\.(?:\s|$)|$)")
_TOO_MANY = "Too many pods"
_INSUFFICIENT = re.compile(r"Insufficient (\S+)")
_QUOTA = re.compile(
    r"exceeded quota: (?P<name>[^,]+), requested: (?P<requested>\S+), used: (?P<used>\S+),"
    r" limited: (?P<limited>\S+)"
)
_MISSING = re.compile(
    r"(?P<kind>secret|configmap|persistentvolumeclaim|serviceaccount)s? \"?(?P<name>[^\"\s]+)\"?"
    r" not found|couldn't find key (?P<key>\S+) in (?P<holder>Secret|ConfigMap) (?P<where>\S+)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Scheduler:
    """Its message in numbers: nodes by what is against them.

    `full` are those that would take the pod if other pods were gone. `rules` is what has nothing
    to do with amounts, in its own words; `selector`, `taints` and `cordoned` are parts of that.
    """

    nodes: int
    insufficient: dict[str, int]
    selector: int = 0
    taints: int = 0
    cordoned: int = 0
    full: int = 0
    rules: Mapping[str, int] = field(default_factory=dict)

    def minds(self, known: Mapping[str, int]) -> str:
        """What it has against more nodes than are `known`, by kind, to break a rule of the pod's.

        Empty where that explains its words, or where it is short of amounts alone.
        """
        if sum(self.rules.values()) <= sum(known.values()):
            return ""
        return ", ".join(
            f"{count} {text}"
            for text, count in self.rules.items()
            if count > known.get(_rule(text), 0)
        )


def scheduler(message: str) -> Scheduler | None:
    """`0/5 nodes are available: 3 Insufficient nvidia.com/gpu, …`; None for other words."""
    head = _HEAD.search(message)
    if head is None:
        return None
    before, _, after = head[3].partition("preemption:")
    insufficient: dict[str, int] = {}
    counts: Counter[str] = Counter()
    rules: dict[str, int] = {}
    for number, text in _PART.findall(before):
        found = _INSUFFICIENT.match(text)
        if found:
            insufficient[found[1].rstrip(".")] = int(number)
        elif text != _TOO_MANY:
            rules[text] = int(number)
            counts[_rule(text)] += int(number)
    full = sum(
        int(number)
        for number, text in _PART.findall(after.partition("available:")[2])
        if text.startswith("No preemption victims found")
    )
    return Scheduler(
        int(head[2]),
        insufficient,
        selector=counts["selector"],
        taints=counts["taints"],
        cordoned=counts["cordoned"],
        full=full,
        rules=rules,
    )


def _rule(text: str) -> str:
    """The kind of a rule that the scheduler names; empty: none that is known here."""
    if "affinity/selector" in text:
        return "selector"
    if "taint" in text:
        return "taints"
    return "cordoned" if "unschedulable" in text else ""


@dataclass(frozen=True)
class Quota:
    """A quota that refused pods: what was asked, used and allowed, by resource."""

    name: str
    requested: dict[str, str]
    used: dict[str, str]
    limited: dict[str, str]

    def text(self) -> str:
        """`requests.nvidia.com/gpu: 8 of 8 used, 2 asked for`."""
        return "; ".join(
            f"{name}: {self.used.get(name, '0')} of {hard} used, {self.requested.get(name, '0')}"
            " asked for"
            for name, hard in self.limited.items()
        )


def quota(message: str) -> Quota | None:
    """`exceeded quota: NAME, requested: …, used: …, limited: …`; None for other words."""
    found = _QUOTA.search(message)
    if found is None:
        return None
    amounts = (_amounts(found[side]) for side in ("requested", "used", "limited"))
    return Quota(found["name"], *amounts)


def _amounts(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.rstrip(",.").split(","))
    return {name: value for name, equals, value in parts if equals}


def missing(message: str) -> str | None:
    """What a message says is not there: `Secret token`, `key x of ConfigMap a`."""
    found = _MISSING.search(message)
    if found is None:
        return None
    if found["key"]:
        return f"key {found['key']} of {found['holder']} {found['where'].rpartition('/')[2]}"
    kinds = {
        "secret": "Secret",
        "configmap": "ConfigMap",
        "persistentvolumeclaim": "PersistentVolumeClaim",
        "serviceaccount": "ServiceAccount",
    }
    return f"{kinds[found['kind'].lower()]} {found['name'].rpartition('/')[2]}"
