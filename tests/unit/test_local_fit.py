"""Does a pod fit on a node, and why not."""

from __future__ import annotations

from typing import Any

import pytest
from plugins.local_registry import node, pod
from plugins.work import assert_grows_in_proportion

from jobman.local import fit
from jobman.local.fit import Demand, NodeRoom

NO_SCHEDULE = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
CORDON = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def named(*names: str) -> dict[str, Any]:
    """The affinity of a pod for the nodes of these names."""
    field = {"key": "metadata.name", "operator": "In", "values": list(names)}
    terms = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def demand(requests: dict[str, str] | None = None, **spec: Any) -> Demand:
    return Demand.of(pod("p", requests, **spec)["spec"])


def room(
    name: str = "n",
    allocatable: dict[str, str] | None = None,
    *,
    labels: dict[str, str] | None = None,
    used: dict[str, int] | None = None,
    **spec: Any,
) -> NodeRoom:
    made = node(name, allocatable, **spec)
    made["metadata"]["labels"].update(labels or {})
    found = NodeRoom.of(made)
    found.take(used or {})
    return found


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("requests", "amounts"),
    [
        ({"cpu": "1500m", "memory": "1Gi"}, {"cpu": 1500, "memory": 1 << 30, "pods": 1}),
        ({"cpu": "0.0001"}, {"cpu": 1, "pods": 1}),
        ({"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": 2, "pods": 1}),
        ({"cpu": "0"}, {"pods": 1}),
        (None, {"pods": 1}),
    ],
)
def test_requests(requests: dict[str, str] | None, amounts: dict[str, int]) -> None:
    assert demand(requests).requests == amounts


def test_init_containers_count_where_they_need_more() -> None:
    spec = pod("p", {"cpu": "1", "memory": "1Gi"})["spec"]
    spec["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "3"}}}]
    assert Demand.of(spec).requests == {"cpu": 3000, "memory": 1 << 30, "pods": 1}


@pytest.mark.parametrize(
    ("toleration", "fits"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Exists"}, True),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}, True),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "dedicated", "operator": "Equal", "value": "gpu"}, True),
        ({"key": "dedicated", "value": "gpu"}, True),
        ({"key": "dedicated", "value": "cpu"}, False),
        ({"key": "other", "operator": "Exists"}, False),
        ({"value": "gpu"}, False),
    ],
)
def test_tolerations(toleration: dict[str, str], fits: bool) -> None:
    found = fit.mismatch(demand(tolerations=[toleration]), room(taints=[NO_SCHEDULE]))
    assert (found is None) is fits


@pytest.mark.parametrize(
    ("taint", "fits"),
    [("NoSchedule", False), ("NoExecute", False), ("PreferNoSchedule", True)],
)
def test_taints(taint: str, fits: bool) -> None:
    tainted = room(taints=[{"key": "a", "effect": taint}])
    assert (fit.mismatch(demand(), tainted) is None) is fits


@pytest.mark.parametrize(
    ("term", "fits"),
    [
        (expression("gpu", "In", "A100", "H100"), True),
        (expression("gpu", "In", "H100"), False),
        (expression("gpu", "NotIn", "H100"), True),
        (expression("none", "NotIn", "H100"), True),
        (expression("gpu", "Exists"), True),
        (expression("none", "Exists"), False),
        (expression("none", "DoesNotExist"), True),
        (expression("gpu", "DoesNotExist"), False),
        (expression("count", "Gt", "7"), True),
        (expression("count", "Gt", "8"), False),
        (expression("count", "Lt", "9"), True),
        (expression("gpu", "Lt", "9"), False),
        (expression("none", "Lt", "9"), False),
        ({}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["m"]}]}, False),
    ],
)
def test_node_affinity(term: dict[str, Any], fits: bool) -> None:
    labelled = room(labels={"gpu": "A100", "count": "8"})
    assert (fit.mismatch(demand(affinity=affinity(term)), labelled) is None) is fits
    other = expression("none", "Exists")
    either = demand(affinity=affinity(other, term))
    assert (fit.mismatch(either, labelled) is None) is fits


def test_affinity_and_selector_are_both_asked() -> None:
    wanted = demand(nodeSelector={"zone": "a"}, affinity=affinity(expression("gpu", "Exists")))
    assert fit.mismatch(wanted, room(labels={"gpu": "x"})) is not None
    assert fit.mismatch(wanted, room(labels={"gpu": "x", "zone": "a"})) is None


@pytest.mark.parametrize(
    ("beside", "fits"), [({}, True), ({"cpu": 1000}, False), ({"nvidia.com/gpu": 9}, True)]
)
def test_room_beside_a_reservation(beside: dict[str, int], fits: bool) -> None:
    assert room(used={"cpu": 3000}).has_room({"cpu": 1000, "pods": 1}, beside=beside) is fits


# What a real scheduler said of the same clusters.
ONE = [room("node1", {"cpu": "2"})]
GPU = {"nvidia.com/gpu": "8", "cpu": "64"}
THREE = [room("node1", {"cpu": "2"}), room("gpu-a", GPU), room("gpu-b", GPU)]
BUSY = {"nvidia.com/gpu": 6}
THREE_BUSY = [room("node1"), room("gpu-a", GPU, used=BUSY), room("gpu-b", GPU, used=BUSY)]
TAINTED = {"taints": [NO_SCHEDULE]}
HEAD, TAIL = "no new claims to deallocate, preemption: ", " for scheduling."
NOT_HELPFUL, NO_VICTIMS = "Preemption is not helpful", "No preemption victims found"


@pytest.mark.parametrize(
    ("wanted", "nodes", "text"),
    [
        (
            demand({"cpu": "64", "memory": "1Ti"}),
            ONE,
            (
                "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory. "
                f"{HEAD}0/1 nodes are available: 1 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"nvidia.com/gpu": "16"}),
            THREE,
            (
                "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. "
                f"{HEAD}0/3 nodes are available: 3 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"nvidia.com/gpu": "4"}),
            THREE_BUSY,
            (
                "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. "
                f"{HEAD}0/3 nodes are available: 1 {NOT_HELPFUL} for scheduling, "
                f"2 {NO_VICTIMS} for incoming pod."
            ),
        ),
        (
            demand({"nvidia.com/gpu": "4"}, nodeSelector={"kubernetes.io/hostname": "gpu-b"}),
            THREE_BUSY,
            (
                "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, "
                "2 node(s) didn't match Pod's node affinity/selector. "
                f"{HEAD}0/3 nodes are available: 1 {NO_VICTIMS} for incoming pod, "
                f"2 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"nvidia.com/gpu": "4"}),
            [room("node1"), room("gpu-a", GPU, **TAINTED), room("gpu-b", GPU, **TAINTED)],
            (
                "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, "
                f"2 node(s) had untolerated taint(s). {HEAD}"
                f"0/3 nodes are available: 3 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"nvidia.com/gpu": "4"}),
            [
                room("node1"),
                room("gpu-a", GPU, used=BUSY),
                room("gpu-b", GPU, unschedulable=True, taints=[CORDON]),
            ],
            (
                "0/3 nodes are available: 1 node(s) were unschedulable, "
                f"2 Insufficient nvidia.com/gpu. {HEAD}0/3 nodes are available: "
                f"1 {NO_VICTIMS} for incoming pod, 2 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"nvidia.com/gpu": "4"}, affinity=named("gpu-a", "gone")),
            [room("node1"), room("gpu-a", GPU, used=BUSY), room("gpu-b", GPU, **TAINTED)],
            (
                "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, "
                f"2 node(s) didn't satisfy plugin(s) [NodeAffinity]. {HEAD}0/3 nodes are "
                f"available: 1 {NO_VICTIMS} for incoming pod, 2 {NOT_HELPFUL}{TAIL}"
            ),
        ),
        (
            demand({"cpu": "3"}, preemptionPolicy="Never"),
            [room("node1", {"cpu": "2"})],
            (
                "0/1 nodes are available: 1 Insufficient cpu. "
                f"{HEAD}not eligible due to preemptionPolicy=Never."
            ),
        ),
        (
            demand(),
            [room("node1", {"pods": "1"}, used={"pods": 1})],
            (
                f"0/1 nodes are available: 1 Too many pods. {HEAD}"
                f"0/1 nodes are available: 1 {NO_VICTIMS} for incoming pod."
            ),
        ),
        (demand(), [], "no nodes available to schedule pods"),
    ],
    ids=[
        "too big",
        "too many GPUs",
        "busy",
        "selector",
        "taints",
        "cordon",
        "named",
        "never preempts",
        "too many pods",
        "no nodes",
    ],
)
def test_message(wanted: Demand, nodes: list[NodeRoom], text: str) -> None:
    assert fit.message(wanted, nodes) == text


def test_a_missing_claim() -> None:
    text = '0/1 nodes are available: persistentvolumeclaim "nope" not found. not found'
    assert fit.claim_missing("nope", 1) == text


class _Read(dict[str, Any]):
    """A term that counts how often it is looked at."""

    count = 0

    def get(self, key: str, default: Any = None) -> Any:
        _Read.count += 1
        return super().get(key, default)


def test_of_many_terms_those_of_a_nodes_labels_are_looked_at() -> None:
    terms = [
        _Read(matchExpressions=[{"key": "zone", "operator": "In", "values": [f"z{n}", f"y{n}"]}])
        for n in range(1000)
    ]
    wanted = demand(affinity=affinity(*terms))
    _Read.count = 0
    for zone, fits in (("z7", True), ("y999", True), ("x", False)):
        assert (fit.mismatch(wanted, room(labels={"zone": zone})) is None) is fits
    assert _Read.count <= 10


def test_tolerations_are_looked_up_not_through() -> None:
    def asked(many: int) -> tuple[fit.Demand, Any]:
        wanted = [{"key": f"a{number}", "operator": "Exists"} for number in range(many)]
        taints = [{"key": f"a{number}", "effect": "NoSchedule"} for number in range(many)]
        return demand(tolerations=wanted), room(taints=taints)

    def placed(given: tuple[fit.Demand, Any]) -> None:
        assert fit.mismatch(*given) is None

    assert_grows_in_proportion(placed, asked)
