"""What fits where: amounts, rules and capacity, by tables and by properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jobman.kube.objects import Node, Pod, PodSpec, Taint
from jobman.queue import amounts, capacity, nodes, rules
from jobman.queue.nodes import NodeView, Nominated
from jobman.queue.rules import Wanted

GPU = "nvidia.com/gpu"
KILO = 1000


def spec(**fields: Any) -> PodSpec:
    return msgspec.convert(fields, PodSpec)


def asking(**requests: str) -> dict[str, Any]:
    return {"resources": {"requests": {key.replace("gpu", GPU): v for key, v in requests.items()}}}


def wanted(asked: Mapping[str, int], **fields: Any) -> Wanted:
    found = Wanted.of(spec(**fields))
    return structs.replace(found, amounts={name: amount * KILO for name, amount in asked.items()})


def node(name: str = "n1", **fields: Any) -> NodeView:
    given_ = {
        "labels": {},
        "taints": (),
        "schedulable": True,
        "ready": True,
        "allocatable": {"cpu": 8 * KILO, "pods": 110 * KILO, GPU: 4 * KILO},
        "used": {},
    }
    return NodeView(name, **{**given_, **fields})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1000),
        ("250m", 250),
        ("1.5", 1500),
        ("1Ki", 1_024_000),
        ("1k", 1_000_000),
        ("1e3", 1_000_000),
        ("100u", 1),
        ("-1", -1000),
        ("0", 0),
        ("many", 0),
        ("", 0),
    ],
)
def test_a_quantity_is_thousandths_rounded_up(text: str, expected: int) -> None:
    assert amounts.milli(text) == expected


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param({"containers": [{}]}, {}, id="asks for nothing"),
        pytest.param(
            {"containers": [asking(cpu="1"), asking(cpu="500m", gpu="2")]},
            {"cpu": 1500, GPU: 2000},
            id="containers add up",
        ),
        pytest.param(
            {"containers": [asking(cpu="1")], "initContainers": [asking(cpu="3")]},
            {"cpu": 3000},
            id="a bigger init container decides",
        ),
        pytest.param(
            {
                "containers": [asking(cpu="1")],
                "initContainers": [
                    asking(cpu="1") | {"restartPolicy": "Always"},
                    asking(cpu="2"),
                    asking(cpu="1") | {"restartPolicy": "Always"},
                ],
            },
            {"cpu": 3000},
            id="sidecars stay beside the containers",
        ),
        pytest.param(
            {"containers": [asking(memory="1Gi")], "overhead": {"memory": "1Mi"}},
            {"memory": (1024 + 1) * 2**20 * KILO},
            id="overhead",
        ),
        pytest.param(
            {"containers": [{"resources": {"limits": {GPU: "1"}}}]},
            {GPU: 1000},
            id="a limit alone is a request",
        ),
        pytest.param(
            {"containers": [asking(cpu="1", gpu="1")], "resources": {"requests": {"cpu": "4"}}},
            {"cpu": 4000, GPU: 1000},
            id="the pod as a whole",
        ),
    ],
)
def test_what_a_pod_asks_for(pod: dict[str, Any], expected: dict[str, int]) -> None:
    assert amounts.of_pod(spec(**pod)) == expected | {"pods": 1000}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": [*terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": [*values]}]}


NO_SCHEDULE = Taint("team", "a", "NoSchedule")


@pytest.mark.parametrize(
    ("ask", "there", "kinds"),
    [
        pytest.param({}, {}, [], id="fits"),
        pytest.param({}, {"schedulable": False}, ["cordoned"], id="cordoned"),
        pytest.param(
            {"tolerations": [{"operator": "Exists"}]},
            {"schedulable": False},
            [],
            id="a cordon is tolerated",
        ),
        pytest.param(
            {},
            {"schedulable": False, "taints": (rules.CORDONED,)},
            ["cordoned"],
            id="a cordon is said once",
        ),
        pytest.param({}, {"ready": False}, ["not-ready"], id="not ready"),
        pytest.param({}, {"taints": (NO_SCHEDULE,)}, ["taint"], id="a taint"),
        pytest.param(
            {"tolerations": [{"key": "team", "value": "a"}]},
            {"taints": (NO_SCHEDULE,)},
            [],
            id="tolerated by value",
        ),
        pytest.param(
            {"tolerations": [{"key": "team", "value": "b"}]},
            {"taints": (NO_SCHEDULE,)},
            ["taint"],
            id="another value",
        ),
        pytest.param(
            {"tolerations": [{"key": "team", "operator": "Exists", "effect": "NoExecute"}]},
            {"taints": (NO_SCHEDULE,)},
            ["taint"],
            id="another effect",
        ),
        pytest.param(
            {}, {"taints": (Taint(GPU, "present", "NoSchedule"),)}, [], id="its own resource"
        ),
        pytest.param(
            {"nodeSelector": {"zone": "a"}}, {"labels": {"zone": "b"}}, ["selector"], id="selector"
        ),
        pytest.param(
            {"affinity": affinity(expression("zone", "In", "a", "b"))},
            {"labels": {"zone": "b"}},
            [],
            id="In",
        ),
        pytest.param(
            {"affinity": affinity(expression("zone", "NotIn", "b"))},
            {"labels": {"zone": "b"}},
            ["affinity"],
            id="NotIn",
        ),
        pytest.param(
            {"affinity": affinity(expression("zone", "NotIn", "b"))}, {}, [], id="NotIn, no label"
        ),
        pytest.param(
            {"affinity": affinity(expression("zone", "Exists"))}, {}, ["affinity"], id="Exists"
        ),
        pytest.param(
            {"affinity": affinity(expression("zone", "DoesNotExist"))}, {}, [], id="DoesNotExist"
        ),
        pytest.param(
            {"affinity": affinity(expression("mem", "Gt", "40"))},
            {"labels": {"mem": "80"}},
            [],
            id="Gt",
        ),
        pytest.param(
            {"affinity": affinity(expression("mem", "Lt", "40"))},
            {"labels": {"mem": "lots"}},
            ["affinity"],
            id="Lt of no number",
        ),
        pytest.param(
            {"affinity": affinity({}, expression("zone", "In", "a"))},
            {},
            ["affinity"],
            id="an empty term selects nothing",
        ),
        pytest.param(
            {"affinity": affinity({"matchFields": [expression("", "")]})},
            {},
            ["affinity"],
            id="a malformed term",
        ),
        pytest.param({}, {"used": {GPU: 3 * KILO}}, ["insufficient"], id="no room"),
    ],
)
def test_why_a_pod_does_not_fit(
    ask: dict[str, Any], there: dict[str, Any], kinds: list[str]
) -> None:
    asked = wanted({"cpu": 1, GPU: 2, "pods": 1}, **ask)

    found = rules.why_not(asked, node(**there))

    assert [obstacle.kind for obstacle in found] == kinds
    assert capacity.how_many(asked, [node(**there)]) == (0 if kinds else 2)


@pytest.mark.parametrize(
    ("tolerations", "final", "fits"),
    [
        pytest.param([], False, True, id="admission may add one"),
        pytest.param([], True, False, id="the pod is there, without one"),
        pytest.param([{"key": GPU, "operator": "Exists"}], True, True, id="and with one"),
    ],
)
def test_of_a_pod_that_is_there_its_own_tolerations_decide(
    tolerations: list[dict[str, str]], final: bool, fits: bool
) -> None:
    pod = spec(containers=[asking(gpu="1")], tolerations=tolerations)
    asked = Wanted.of(pod, tolerations_final=final)
    tainted = node(taints=(Taint(GPU, "present", "NoSchedule"),))

    assert (not rules.why_not(asked, tainted)) == fits


def test_a_shortage_says_what_is_missing() -> None:
    busy = node(used={GPU: 3 * KILO})

    [short] = rules.why_not(wanted({GPU: 2}), busy)

    assert (short.resource, short.available, short.short_by) == (GPU, KILO, KILO)
    assert rules.why_not(wanted({GPU: 2}), busy, empty=True) == []
    assert rules.why_not(wanted({GPU: 9}), busy, empty=True)[0].short_by == 5 * KILO


@pytest.mark.parametrize(("priority", "fits"), [(0, 1), (1, 1), (2, 2)])
def test_those_nominated_count_for_pods_of_their_priority_or_lower(
    priority: int, fits: int
) -> None:
    first = Nominated("team", "first", 1, {GPU: 2 * KILO, "pods": KILO})
    there = capacity.Capacity([node("n1", nominated=(first,)), node("n2", used={GPU: 4 * KILO})])

    assert there.how_many(wanted({GPU: 2}, priority=priority)) == fits


def test_what_is_kept_for_a_pod_is_free_to_itself() -> None:
    first, second = (Nominated("team", name, 0, {GPU: KILO}) for name in ("first", "second"))
    there = node(nominated=(first, second))

    assert capacity.how_many(wanted({GPU: 1}), [there]) == 2
    assert capacity.how_many(wanted({GPU: 1}), [there.not_kept_for({("team", "first")})]) == 3


def test_by_name_of_the_node() -> None:
    field = {"key": "metadata.name", "operator": "In", "values": ["n2"]}
    asked = wanted({"cpu": 8}, affinity=affinity({"matchFields": [field]}))

    assert capacity.how_many(asked, [node("n1"), node("n2")]) == 1


def test_pods_that_ended_use_nothing() -> None:
    def pod(name: str, phase: str, node_name: str) -> Pod:
        return msgspec.convert(
            {
                "metadata": {"name": name},
                "spec": {"nodeName": node_name, "containers": [asking(cpu="1")]},
                "status": {"phase": phase},
            },
            Pod,
        )

    there = msgspec.convert(
        {
            "metadata": {"name": "n1", "labels": {"nvidia.com/gpu.product": "A100"}},
            "spec": {"taints": [{"key": "x", "effect": "PreferNoSchedule"}]},
            "status": {
                "allocatable": {"cpu": "4"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        },
        Node,
    )

    [found] = nodes.views(
        [there],
        [pod("a", "Running", "n1"), pod("b", "Succeeded", "n1"), pod("c", "Pending", "")],
    )

    assert found.free == {"cpu": 3000}
    assert (found.usable, found.taints, nodes.gpu_product(found)) == (True, (), "A100")


RESOURCES = ("cpu", GPU)
some_amounts = st.fixed_dictionaries({name: st.integers(0, 6) for name in RESOURCES})
some_nodes = st.lists(
    st.builds(
        lambda has, used, schedulable, zone, taints: node(
            allocatable=has,
            used=used,
            schedulable=schedulable,
            labels={"zone": zone},
            taints=taints,
        ),
        some_amounts,
        some_amounts,
        st.booleans(),
        st.sampled_from("ab"),
        st.sampled_from([(), (NO_SCHEDULE,), (Taint(GPU, "", "NoSchedule"),)]),
    ),
    max_size=8,
)
some_wanted = st.builds(
    lambda asked, zone: structs.replace(
        Wanted.of(spec(nodeSelector={"zone": zone} if zone else {})), amounts=asked
    ),
    some_amounts.filter(lambda asked: any(asked.values())),
    st.sampled_from(["", "a"]),
)


def first_fit(asked: Wanted, there: Sequence[NodeView]) -> int:
    """Place pods one by one until no node takes another."""
    left, placed = [*there], 0
    while True:
        at = next((i for i, n in enumerate(left) if not rules.why_not(asked, n)), None)
        if at is None:
            return placed
        placed += 1
        left[at] = structs.replace(left[at], used=amounts.add(left[at].used, asked.amounts))


@given(some_wanted, some_nodes)
def test_as_many_fit_as_a_first_fit_places(asked: Wanted, there: list[NodeView]) -> None:
    assert capacity.how_many(asked, there) == first_fit(asked, there)


@given(some_wanted, some_nodes, st.randoms(use_true_random=False))
def test_the_order_of_the_nodes_does_not_matter(
    asked: Wanted, there: list[NodeView], random: Any
) -> None:
    shuffled = random.sample(there, len(there))

    assert capacity.how_many(asked, shuffled) == capacity.how_many(asked, there)


@given(some_wanted, some_nodes, some_nodes)
def test_what_fits_on_all_is_what_fits_on_the_parts(
    asked: Wanted, some: list[NodeView], others: list[NodeView]
) -> None:
    together = capacity.how_many(asked, [*some, *others])

    assert together == capacity.how_many(asked, some) + capacity.how_many(asked, others)


@given(some_wanted, some_nodes)
def test_many_questions_to_one_capacity(asked: Wanted, there: list[NodeView]) -> None:
    asked_often = capacity.Capacity(there)
    first = asked_often.how_many(asked)

    assert asked_often.how_many(asked) == first
