"""Does a pod fit on a node, and if on none, why not: in the words of Kubernetes' scheduler. Pure.

Amounts are whole numbers: cpu in thousandths of a core, everything else in its own unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from jobman.local import room
from jobman.values.quantity import parse

Object = Mapping[str, Any]
Amounts = dict[str, int]
_Label = tuple[str, str] | None
"""A label with its value that a term asks for; None for what no label alone decides."""
_Toleration = tuple[str, str | None, str]
"""Key, value (None: any), effect; empty ones mean all."""

UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"
NO_NODES = "no nodes available to schedule pods"
_CORDONED = "node(s) were unschedulable"
_TAINTED = "node(s) had untolerated taint(s)"
OTHER_NODE = "node(s) didn't match Pod's node affinity/selector"
_NOT_NAMED = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
_TOO_MANY = "Too many pods"
_NOT_HELPFUL = "Preemption is not helpful for scheduling"
_NO_VICTIMS = "No preemption victims found for incoming pod"
_EFFECTS = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Demand:
    """What a pod asks of a node; pods that ask the same are alike to the scheduler."""

    requests: Mapping[str, int]
    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: tuple[Object, ...] | None = None
    tolerations: tuple[Object, ...] = ()
    preempts: bool = True
    terms_by_label: Mapping[_Label, list[Object]] = field(init=False, compare=False, repr=False)
    named: frozenset[str] | None = field(init=False, compare=False, repr=False)
    tolerated: frozenset[_Toleration] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tolerated", frozenset(map(_toleration, self.tolerations)))
        object.__setattr__(self, "named", _named_by(self.affinity or ()))
        terms: dict[_Label, list[Object]] = {}
        for term in self.affinity or ():
            for label in _labels_of(term):
                terms.setdefault(label, []).append(term)
        object.__setattr__(self, "terms_by_label", terms)

    @classmethod
    def of(cls, spec: Object) -> Demand:
        """The demand of a pod's spec."""
        required = (
            spec.get("affinity", {})
            .get("nodeAffinity", {})
            .get("requiredDuringSchedulingIgnoredDuringExecution")
        )
        return cls(
            requests=requests_of(spec),
            node_selector=spec.get("nodeSelector", {}),
            affinity=None if required is None else tuple(required.get("nodeSelectorTerms", ())),
            tolerations=tuple(spec.get("tolerations", ())),
            preempts=spec.get("preemptionPolicy") != "Never",
        )


@dataclass
class NodeRoom:
    """A node, and what the pods on it use of it."""

    name: str
    labels: Mapping[str, str]
    taints: tuple[Object, ...]
    cordoned: bool
    allocatable: Amounts
    used: Amounts = field(default_factory=dict)

    @classmethod
    def of(cls, node: Object) -> NodeRoom:
        """An empty node as its object tells of it."""
        status, spec = node.get("status", {}), node.get("spec", {})
        amounts = status.get("allocatable") or status.get("capacity") or {}
        return cls(
            name=node["metadata"]["name"],
            labels=node["metadata"].get("labels", {}),
            taints=tuple(t for t in spec.get("taints", ()) if t.get("effect") in _EFFECTS),
            cordoned=bool(spec.get("unschedulable")),
            allocatable={name: whole(name, amount) for name, amount in amounts.items()},
        )

    def take(self, requests: Mapping[str, int]) -> None:
        """A pod comes."""
        for name, amount in requests.items():
            self.used[name] = self.used.get(name, 0) + amount

    def give_back(self, requests: Mapping[str, int]) -> None:
        """A pod goes."""
        for name, amount in requests.items():
            self.used[name] = self.used.get(name, 0) - amount

    def has_room(self, requests: Mapping[str, int], *, beside: Mapping[str, int] = {}) -> bool:
        """Whether the amounts fit in; those that `beside` asks for too must fit with it."""
        used, allocatable = self.used, self.allocatable
        for name, amount in requests.items():
            taken = used.get(name, 0) + beside.get(name, 0)
            if amount and amount + taken > allocatable.get(name, 0):
                return False
        return True

    def could_hold(self, requests: Mapping[str, int]) -> bool:
        """Whether the amounts would fit in if the node were empty."""
        return all(
            not amount or amount <= self.allocatable.get(name, 0)
            for name, amount in requests.items()
        )

    def idle_share(self) -> float:
        """How free the node's cores and memory are, from 0 to 1 each, together."""
        shares = 0.0
        for name in ("cpu", "memory"):
            if there := self.allocatable.get(name, 0):
                shares += 1 - self.used.get(name, 0) / there
        return shares


def requests_of(spec: Object) -> Amounts:
    """What a pod takes of a node, itself included."""
    amounts = {name: _ceil(name, amount) for name, amount in room.requests(dict(spec)).items()}
    return {name: amount for name, amount in amounts.items() if amount} | {"pods": 1}


def whole(name: str, quantity: str) -> int:
    """A quantity as a whole number, in thousandths for cpu."""
    return _ceil(name, parse(quantity).value)


def _ceil(name: str, amount: Decimal) -> int:
    return int((amount * 1000 if name == "cpu" else amount).to_integral_value(ROUND_CEILING))


def mismatch(demand: Demand, node: NodeRoom) -> str | None:
    """Why a node is not for such pods, however empty it is; None if it is for them."""
    if demand.named is not None and node.name not in demand.named:
        return _NOT_NAMED
    if node.cordoned and not tolerates(demand, _CORDON_TAINT):
        return _CORDONED
    if not all(tolerates(demand, taint) for taint in node.taints):
        return _TAINTED
    if not selected(demand, node):
        return OTHER_NODE
    return None


_CORDON_TAINT = {"key": UNSCHEDULABLE_TAINT, "effect": "NoSchedule"}


def _toleration(given: Object) -> _Toleration:
    value = None if given.get("operator") == "Exists" else given.get("value", "")
    return given.get("key") or "", value, given.get("effect") or ""


def tolerates(demand: Demand, taint: Object) -> bool:
    """Whether one of the tolerations is for the taint; looked up, for there may be thousands."""
    key = taint.get("key", "")
    kinds = (("", None), (key, None), (key, taint.get("value", "")))
    effects = ("", taint.get("effect", ""))
    return any((*kind, effect) in demand.tolerated for kind in kinds for effect in effects)


def tolerated_by(toleration: Object, taint: Object) -> bool:
    """Whether one toleration is for the taint."""
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    exists = toleration.get("operator") == "Exists"
    key = toleration.get("key")
    if not key:
        return exists
    if key != taint.get("key"):
        return False
    return exists or toleration.get("value", "") == taint.get("value", "")


def selected(demand: Demand, node: NodeRoom) -> bool:
    """Whether the pods' node selector and required node affinity mean the node."""
    if any(node.labels.get(key) != value for key, value in demand.node_selector.items()):
        return False
    if demand.affinity is None:
        return True
    labels: Iterable[_Label] = (None, *node.labels.items()) if demand.terms_by_label else ()
    return any(_term(term, node) for each in labels for term in demand.terms_by_label.get(each, ()))


def _named_by(terms: Iterable[Object]) -> frozenset[str] | None:
    """The nodes that the terms name, where each names some: the scheduler looks at no others."""
    names: set[str] = set()
    for term in terms:
        asked = [
            set(each.get("values", ()))
            for each in term.get("matchFields", ())
            if (each.get("key"), each.get("operator")) == ("metadata.name", "In")
        ]
        if not asked:
            return None
        names |= set.intersection(*asked)
    return frozenset(names) or None


def _labels_of(term: Object) -> Iterable[_Label]:
    """Labels of which a node of the term has one: of many terms few need to be looked at."""
    for each in term.get("matchExpressions", ()):
        if each.get("operator") == "In":
            return {(each.get("key", ""), value) for value in each.get("values", ())}
    return (None,)


def _term(term: Object, node: NodeRoom) -> bool:
    """One nodeSelectorTerm: all of its expressions; an empty one selects nothing."""
    expressions, fields = term.get("matchExpressions", ()), term.get("matchFields", ())
    if not expressions and not fields:
        return False
    names = {"metadata.name": node.name}
    return all(_expression(each, node.labels) for each in expressions) and all(
        _expression(each, names) for each in fields
    )


def _expression(expression: Object, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression.get("key", "")), expression.get("values", ())
    match expression.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return value is not None and bool(values) and _compares(operator, value, values[0])
        case _:
            return False


def _compares(operator: str, value: str, bound: str) -> bool:
    try:
        return int(value) > int(bound) if operator == "Gt" else int(value) < int(bound)
    except ValueError:
        return False


def shortages(requests: Mapping[str, int], node: NodeRoom) -> list[str]:
    """What the node has too little of."""
    return [
        _TOO_MANY if name == "pods" else f"Insufficient {name}"
        for name, amount in requests.items()
        if amount and amount + node.used.get(name, 0) > node.allocatable.get(name, 0)
    ]


def message(demand: Demand, nodes: Iterable[NodeRoom]) -> str:
    """Why such a pod fits on none of the nodes.

    Behind `preemption:` the nodes that are too small or not meant for it are told apart from
    those that are only full.
    """
    reasons: Counter[str] = Counter()
    prospects: Counter[str] = Counter()
    count = 0
    for node in nodes:
        count += 1
        other = mismatch(demand, node)
        reasons.update([other] if other else shortages(demand.requests, node) or [_RESERVED])
        hopeless = other is not None or not node.could_hold(demand.requests)
        prospects[_NOT_HELPFUL if hopeless else _NO_VICTIMS] += 1
    if not count:
        return NO_NODES
    head = f"0/{count} nodes are available: "
    tail = head + _counted(prospects)
    if not demand.preempts:
        tail = "not eligible due to preemptionPolicy=Never."
    return f"{head}{_counted(reasons)} no new claims to deallocate, preemption: {tail}"


_RESERVED = "node(s) were reserved for a pod that has waited longer"


def claim_missing(claim: str, count: int) -> str:
    """Why a pod waits whose PersistentVolumeClaim is not there."""
    return f'0/{count} nodes are available: persistentvolumeclaim "{claim}" not found. not found'


def claim_ending(claim: str, count: int) -> str:
    """Why a pod waits whose PersistentVolumeClaim goes as soon as others let it."""
    head = f"0/{count} nodes are available: "
    return (
        f'{head}persistentvolumeclaim "{claim}" is being deleted. '
        f"no new claims to deallocate, preemption: {head}{count} {_NOT_HELPFUL}."
    )


def _counted(counts: Counter[str]) -> str:
    """`1 Insufficient cpu, 2 node(s) …`, sorted as Kubernetes does: as text."""
    return ", ".join(sorted(f"{count} {what}" for what, count in counts.items())) + "."


def missing_room(requests: Mapping[str, int], node: NodeRoom) -> float:
    """How much is to be freed before the amounts fit in, as shares of the node added up."""
    total = 0.0
    for name, amount in requests.items():
        lacking = amount + node.used.get(name, 0) - node.allocatable.get(name, 0)
        if lacking > 0:
            total += lacking / max(node.allocatable.get(name, 0), 1)
    return total
