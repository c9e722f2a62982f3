"""Whether this node takes a pod: what the pods it has taken leave of its allocatable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from jobman.values.quantity import parse

Object = dict[str, Any]
Amounts = dict[str, Decimal]

_CHECKED = ("cpu", "memory", "ephemeral-storage")
# What a pod may ask for as a whole, for all its containers.
_OF_PODS = ("cpu", "memory")


@dataclass(frozen=True)
class Rejection:
    """Why a pod is refused: the pod's status.reason, and the text in a kubelet's words."""

    reason: str
    message: str


class Room:
    """What is taken, by pod uid; `allocatable` is the Node's."""

    def __init__(self, allocatable: Mapping[str, str]) -> None:
        self.allocatable = allocatable
        self._capacity = {name: parse(allocatable.get(name, "0")).value for name in _CHECKED}
        self._most_pods = int(parse(allocatable.get("pods", "110")).value)
        self._taken: dict[str, Amounts] = {}
        self._used: Amounts = {}

    def take(self, pod: Object) -> Rejection | None:
        """Take the pod in, or say why not. One that is in already stays."""
        if pod["metadata"]["uid"] in self._taken:
            return None
        there, most = len(self._taken), self._most_pods
        if there >= most:
            return _out_of("pods", Decimal(1), Decimal(there), Decimal(most))
        wanted = requests(pod["spec"])
        for name in _CHECKED:
            amount, used = wanted.get(name, Decimal(0)), self._used.get(name, Decimal(0))
            if amount and used + amount > self._capacity[name]:
                return _out_of(name, amount, used, self._capacity[name])
        self._put(pod, wanted)
        return None

    def keep(self, pod: Object) -> None:
        """Count a pod that was taken in before."""
        self._put(pod, requests(pod["spec"]))

    def _put(self, pod: Object, wanted: Amounts) -> None:
        self._taken[pod["metadata"]["uid"]] = wanted
        self._used = _sum(self._used, wanted)

    def release(self, uid: str) -> None:
        """The pod has ended."""
        for name, amount in self._taken.pop(uid, {}).items():
            self._used[name] -= amount


def _out_of(name: str, requested: Decimal, used: Decimal, capacity: Decimal) -> Rejection:
    unit = 1000 if name == "cpu" else 1
    numbers = [int(amount * unit) for amount in (requested, used, capacity)]
    return Rejection(
        f"OutOf{name}",
        f"Node didn't have enough resource: {name}, requested: {numbers[0]}, "
        f"used: {numbers[1]}, capacity: {numbers[2]}",
    )


def requests(spec: Object) -> Amounts:
    """What a pod takes: what it says as a whole, or else the sum of its containers.

    That is more where an init container needs more.
    """
    total: Amounts = {}
    for container in spec["containers"]:
        total = _sum(total, _of(container))
    beside: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or []:
        wanted = _sum(beside, _of(container))
        most = _most(most, wanted)
        if container.get("restartPolicy") == "Always":
            beside = wanted
    overhead = {name: parse(value).value for name, value in (spec.get("overhead") or {}).items()}
    asked = _most(_sum(total, beside), most)
    return _sum(asked | _of_whole(spec, asked), overhead)


def _of_whole(spec: Object, asked: Amounts) -> Amounts:
    """What the pod asks for as a whole: it counts instead of what its containers `asked` for.

    What is only limited is asked for where no container does.
    """
    resources = spec.get("resources") or {}
    limits = resources.get("limits") or {}
    given = {name: text for name, text in limits.items() if name not in asked}
    given |= resources.get("requests") or {}
    return {name: parse(text).value for name, text in given.items() if name in _OF_PODS}


def _of(container: Object) -> Amounts:
    resources = container.get("resources") or {}
    amounts = (resources.get("limits") or {}) | (resources.get("requests") or {})
    return {name: parse(value).value for name, value in amounts.items()}


def _sum(one: Amounts, other: Amounts) -> Amounts:
    if not one or not other:
        return {**one, **other}
    names = one.keys() | other.keys()
    return {name: one.get(name, Decimal(0)) + other.get(name, Decimal(0)) for name in names}


def _most(one: Amounts, other: Amounts) -> Amounts:
    names = one.keys() | other.keys()
    return {name: max(one.get(name, Decimal(0)), other.get(name, Decimal(0))) for name in names}
