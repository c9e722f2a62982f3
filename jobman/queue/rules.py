"""Why a pod does not fit on a node: Kubernetes' scheduling rules. Pure.

What is judged: cordon, readiness, taints, nodeSelector, required node affinity and amounts. Not:
other pods' affinity, spreading, volumes, host ports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from jobman.kube.objects import Affinity, PodAffinity, PodSpec, Taint, Toleration
from jobman.queue import amounts
from jobman.queue.amounts import Amounts
from jobman.queue.nodes import NodeView

Kind = Literal["selector", "affinity", "taint", "cordoned", "not-ready", "insufficient"]
Term = Mapping[str, Any]

CORDONED = Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule")
_UNREACHED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class Wanted(msgspec.Struct, frozen=True):
    """What a pod asks of a node; `affinity` None: any node, else one term must hold.

    For quotas: `limits` are its limits, `priority_class` its class's name, `time_limited` whether
    it has a deadline. `unjudged` is what it asks for besides, in words: nobody here judges that.
    `tolerations_final`: admission adds no toleration any more, as the pod is there already, or
    as the cluster never adds any.
    """

    amounts: Amounts
    node_selector: Mapping[str, str]
    affinity: tuple[Term, ...] | None
    tolerations: tuple[Toleration, ...]
    priority: int = 0
    limits: Amounts = msgspec.field(default_factory=dict)
    priority_class: str = ""
    time_limited: bool = False
    unjudged: tuple[str, ...] = ()
    tolerations_final: bool = False

    @classmethod
    def of(cls, spec: PodSpec, *, tolerations_final: bool = False) -> Wanted:
        """What the pod of this spec asks."""
        node_affinity = spec.affinity.node_affinity if spec.affinity else None
        required = (
            node_affinity.required_during_scheduling_ignored_during_execution
            if node_affinity
            else None
        )
        return cls(
            amounts=amounts.of_pod(spec),
            node_selector=spec.node_selector,
            affinity=None if required is None else _objects(required.get("nodeSelectorTerms")),
            tolerations=tuple(spec.tolerations),
            priority=spec.priority or 0,
            limits=amounts.limits_of_pod(spec),
            priority_class=spec.priority_class_name,
            time_limited=spec.active_deadline_seconds is not None,
            unjudged=tuple(_unjudged(spec)),
            tolerations_final=tolerations_final,
        )


def _unjudged(spec: PodSpec) -> Iterator[str]:
    """What the scheduler minds and nothing here looks at."""
    affinity = spec.affinity or Affinity()
    if any(map(_is_a_rule, (affinity.pod_affinity, affinity.pod_anti_affinity))):
        yield "affinity between pods"
    spread = spec.topology_spread_constraints
    if any(each.when_unsatisfiable == "DoNotSchedule" for each in spread):
        yield "topology spread"
    if any(each.persistent_volume_claim or each.ephemeral for each in spec.volumes):
        yield "volumes"
    if any(port.host_port for container in spec.containers for port in container.ports):
        yield "host ports"
    if spec.resource_claims:
        yield "resource claims"


def _is_a_rule(affinity: PodAffinity | None) -> bool:
    return bool(affinity and affinity.required_during_scheduling_ignored_during_execution)


class Obstacle(msgspec.Struct, frozen=True):
    """One reason against a node.

    `key` is the label, the taint's key, or empty; `resource` and the amounts are set for
    "insufficient": `available` is what the pod could have, `short_by` what is missing.
    """

    kind: Kind
    key: str = ""
    value: str = ""
    resource: str = ""
    available: int = 0
    short_by: int = 0


def why_not(wanted: Wanted, node: NodeView, *, empty: bool = False) -> list[Obstacle]:
    """What keeps such a pod off the node now, or, `empty`, even if no pod were there."""
    return [*against(wanted, node), *shortages(wanted.amounts, node, empty=empty)]


def against(wanted: Wanted, node: NodeView) -> list[Obstacle]:
    """What keeps such a pod off the node, however small it is."""
    found: list[Obstacle] = []
    if not node.schedulable and not _is_tolerated(CORDONED, wanted):
        found.append(Obstacle("cordoned"))
    if not node.ready:
        found.append(Obstacle("not-ready"))
    found += [
        Obstacle("taint", taint.key, taint.value)
        for taint in node.taints
        if not _is_said_already(taint, node) and not _is_tolerated(taint, wanted)
    ]
    found += [
        Obstacle("selector", key, value)
        for key, value in wanted.node_selector.items()
        if node.labels.get(key) != value
    ]
    if wanted.affinity is not None and not any(_holds(term, node) for term in wanted.affinity):
        found.append(Obstacle("affinity"))
    return found


def shortages(asked: Amounts, node: NodeView, *, empty: bool = False) -> list[Obstacle]:
    """The resources the node has too little of."""
    there = node.allocatable if empty else node.free
    return [
        Obstacle("insufficient", resource=name, available=left, short_by=amount - left)
        for name, amount in asked.items()
        if amount > 0
        for left in [max(there.get(name, 0), 0)]
        if amount > left
    ]


def _is_said_already(taint: Taint, node: NodeView) -> bool:
    """Whether the taint only repeats that the node is cordoned or not ready."""
    if taint.key == CORDONED.key:
        return not node.schedulable
    return taint.key in _UNREACHED and not node.ready


def _is_tolerated(taint: Taint, wanted: Wanted) -> bool:
    """Whether the pod may be there in spite of the taint.

    A taint whose key is a resource that the pod asks for is one that admission may still make
    it tolerate.
    """
    if not wanted.tolerations_final and wanted.amounts.get(taint.key, 0) > 0:
        return True
    return any(tolerates(toleration, taint) for toleration in wanted.tolerations)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether one toleration is for the taint."""
    if toleration.effect not in ("", taint.effect):
        return False
    if not toleration.key:
        return toleration.operator == "Exists"
    if toleration.key != taint.key:
        return False
    return _compares(toleration.operator or "Equal", taint.value, [toleration.value])


def _holds(term: Term, node: NodeView) -> bool:
    """One nodeSelectorTerm: all of its expressions; an empty one selects nothing."""
    expressions = _objects(term.get("matchExpressions"))
    fields = _objects(term.get("matchFields"))
    names = {"metadata.name": node.name}
    return (
        bool(expressions or fields)
        and all(_matches(each, node.labels) for each in expressions)
        and all(_matches(each, names) for each in fields)
    )


def _matches(expression: Term, labels: Mapping[str, str]) -> bool:
    values = expression.get("values") or ()
    value = labels.get(str(expression.get("key")))
    operator = str(expression.get("operator"))
    if operator == "DoesNotExist":
        return value is None
    if operator == "NotIn":
        return value not in values
    return value is not None and _compares(operator, value, values)


def _compares(operator: str, value: str, others: Sequence[str]) -> bool:
    if operator == "Exists":
        return True
    if operator in ("In", "Equal"):
        return value in others
    try:
        number, bound = int(value), int(others[0])
    except (ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else operator == "Lt" and number < bound


def _objects(value: Any) -> tuple[Term, ...]:
    """The objects of a JSON list."""
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return tuple(item for item in items if isinstance(item, dict))


def keys_looked_at(wanted: Wanted) -> frozenset[str] | None:
    """The labels that `against` reads; None: it may look at the node's own name, too."""
    keys = set(wanted.node_selector)
    for term in wanted.affinity or ():
        if term.get("matchFields"):
            return None
        keys |= {str(each.get("key")) for each in _objects(term.get("matchExpressions"))}
    return frozenset(keys)
