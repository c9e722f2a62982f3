"""Why no node takes a pod: every kind, with its numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.config.flavors import Flavor
from jobman.kube.objects import Taint, Toleration
from jobman.queue import amounts
from jobman.queue.nodes import NodeView, Nominated
from jobman.queue.rules import Wanted, why_not
from jobman.why import scheduling, words
from jobman.why.scheduling import Waiting

GPU = "nvidia.com/gpu"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def node(name: str, *, used: dict[str, str] | None = None, **more: Any) -> NodeView:
    has = {"cpu": "64", "memory": "256Gi", GPU: "8", "pods": "110"}
    view = {"labels": {}, "taints": (), "schedulable": True, "ready": True} | more
    return NodeView(name=name, allocatable=amounts.of(has), used=amounts.of(used or {}), **view)


def wanted(requests: dict[str, str], **more: Any) -> Wanted:
    fields = {"node_selector": {}, "affinity": None, "tolerations": ()} | more
    return Wanted(amounts={**amounts.of(requests), **amounts.ONE_POD}, **fields)


FULL = {GPU: "8"}


@pytest.mark.parametrize(
    ("asked", "nodes", "kind", "sentence"),
    [
        (
            wanted({GPU: "16"}),
            [node("a"), node("b", used=FULL)],
            "never-fits",
            (
                "it can never fit: it asks for 16 nvidia.com/gpu, and the nearest of the 2 nodes"
                " that may take it has 8 nvidia.com/gpu in all (a)"
            ),
        ),
        (
            wanted({GPU: "4"}),
            [node("a", used=FULL), node("b", used={GPU: "7"}), node("c", used={GPU: "7"})],
            "busy",
            (
                "it needs 4 nvidia.com/gpu; 2 nvidia.com/gpu are free on the 3 nodes that could"
                " take it, the largest free block is 1 nvidia.com/gpu on b: 3 nvidia.com/gpu are"
                " missing there"
            ),
        ),
        (
            wanted({GPU: "4"}),
            [node("a", used={GPU: "6"}), node("b", used={GPU: "5"})],
            "fragmented",
            (
                "it needs 4 nvidia.com/gpu on one node; 5 nvidia.com/gpu are free, but scattered"
                " over 2 nodes: the largest free block is 3 nvidia.com/gpu on b"
            ),
        ),
        (
            wanted({"memory": "300Gi"}),
            [node("a")],
            "never-fits",
            (
                "it can never fit: it asks for 300 GiB of memory, and the nearest has 256 GiB of"
                " memory in all (a)"
            ),
        ),
        (
            wanted({"cpu": "1"}, node_selector={"gpu": "h100"}),
            [node("a"), node("b"), node("c", labels={"gpu": "h100"}, schedulable=False)],
            "node-rules",
            "no node may take it: 2 lack the label gpu=h100, 1 is cordoned (of 3 nodes)",
        ),
        (
            wanted({"cpu": "1"}),
            [node("a", taints=(Taint(key="team", value="x", effect="NoSchedule"),))],
            "node-rules",
            "no node may take it: 1 has the taint team=x (of 1 node)",
        ),
        (
            wanted({GPU: "1"}),
            [node("a", ready=False), node("b", ready=False)],
            "node-rules",
            "no node may take it: 2 are not ready (of 2 nodes)",
        ),
        (
            wanted({GPU: "1"}),
            [node("a"), node("b")],
            "fits-now",
            (
                "it fits now on 2 nodes (a, b): the scheduler has not got to it yet, or minds"
                " something else"
            ),
        ),
        (wanted({}), [], "node-rules", "the cluster has no node"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 20 else "",
)
def test_no_node(asked: Wanted, nodes: list[NodeView], kind: str, sentence: str) -> None:
    found = scheduling.diagnose(asked, nodes)
    assert (found.kind, found.sentence) == (kind, sentence)


def test_the_smallest_change_and_other_flavors() -> None:
    nodes = [node("gpu-06", used=FULL), node("gpu-07", used={GPU: "6"})]
    flavors = [
        Flavor.model_validate({"name": name, "resources": {"requests": requests}})
        for name, requests in (
            ("huge", {GPU: "8"}),
            ("small", {GPU: "1", "cpu": "2"}),
            ("cpu-only", {"cpu": "1"}),
        )
    ]
    found = scheduling.diagnose(wanted({GPU: "4"}), nodes, flavors=flavors)
    assert found.suggestions == (
        "with 2 nvidia.com/gpu instead of 4 nvidia.com/gpu it fits now on gpu-07",
        "flavor small fits now on gpu-07",
    )


@pytest.mark.parametrize(
    ("asked", "priority", "kind", "says"),
    [
        (
            "2",
            5,
            "reserved",
            "there is room for it on a, but it is kept for pod team/first, which waits for it",
        ),
        ("1", 5, "fits-now", "it fits now on a"),
        ("2", 6, "fits-now", "it fits now on a"),
        ("4", 5, "busy", "it needs 4 nvidia.com/gpu; 3 nvidia.com/gpu are free on"),
    ],
    ids=["no room beside it", "room beside it", "of higher priority", "no room in any case"],
)
def test_room_that_is_kept_for_another(asked: str, priority: int, kind: str, says: str) -> None:
    first = Nominated("team", "first", 5, amounts.of({GPU: "2"}))
    nodes = [node("a", used={GPU: "5"}, nominated=(first,)), node("b", used=FULL)]
    found = scheduling.diagnose(wanted({GPU: asked}, priority=priority), nodes)
    assert found.kind == kind
    assert found.sentence.startswith(says)
    if kind != "fits-now":
        smaller = f"with 1 nvidia.com/gpu instead of {asked} nvidia.com/gpu it fits now on a"
        assert found.suggestions == (smaller,)


BIG = {
    "name": "big",
    "resources": {"requests": {GPU: "8"}},
    "nodeSelector": {"gpu": "a100"},
    "tolerations": [{"key": "big", "operator": "Exists"}],
}
FOR_BIG = Toleration(key="big", operator="Exists")
FOR_TEAM = Toleration(key="team", operator="Exists")
TEAM = Taint(key="team", effect="NoSchedule")
ONLY_C = ({"matchExpressions": [{"key": "zone", "operator": "In", "values": ["c"]}]},)


@pytest.mark.parametrize(
    ("rules", "flavor", "suggestions"),
    [
        pytest.param({}, {}, ["a", "v100"], id="none of its own"),
        pytest.param({"node_selector": {"zone": "no"}}, {}, [], id="its label"),
        pytest.param({"node_selector": {"zone": "c"}}, {}, [], id="its label, on a tainted node"),
        pytest.param(
            {"node_selector": {"zone": "c"}, "tolerations": (FOR_TEAM,)},
            {},
            ["c"],
            id="its toleration",
        ),
        pytest.param({"affinity": ONLY_C}, {}, [], id="its affinity"),
        pytest.param(
            {"node_selector": {"gpu": "a100"}, "tolerations": (FOR_BIG,)},
            BIG,
            ["a", "v100"],
            id="what its flavor brought is not its own",
        ),
        pytest.param(
            {"node_selector": {"gpu": "a100", "zone": "no"}, "tolerations": (FOR_BIG,)},
            BIG,
            [],
            id="its flavor's, and its own",
        ),
        pytest.param({"node_selector": {"gpu": "a100"}}, {}, ["a"], id="its kind of GPU"),
        pytest.param(
            {}, {"nodeSelector": 1, "tolerations": [3]}, ["a", "v100"], id="no flavor at all"
        ),
    ],
)
def test_a_job_keeps_its_own_rules_when_another_flavor_is_tried(
    rules: dict[str, Any], flavor: dict[str, Any], suggestions: list[str]
) -> None:
    there = [
        node("a", used={GPU: "6"}, labels={"gpu": "a100"}),
        node("v100", used={GPU: "6"}, labels={"gpu": "v100"}),
        node("c", used={GPU: "6"}, labels={"zone": "c"}, taints=(TEAM,)),
    ]
    small = Flavor.model_validate({"name": "small", "resources": {"requests": {GPU: "1"}}})
    asked = wanted({GPU: "8"}, **rules)
    found = scheduling.diagnose(asked, there, flavors=[small], flavor=flavor)
    taking = words.nodes(suggestions) if suggestions else ""
    told = [line for line in found.suggestions if line.startswith("flavor")]
    assert told == ([f"flavor small fits now on {taking}"] if taking else [])


@pytest.mark.parametrize(
    ("asked", "used", "ways"),
    [
        (
            {GPU: "4", "cpu": "32"},
            [{GPU: "6", "cpu": "51500m"}, {GPU: "8"}],
            (
                "with 2 nvidia.com/gpu instead of 4 nvidia.com/gpu and 12.5 cpu instead of 32 cpu"
                " it fits now on n0"
            ),
        ),
        (
            {"memory": "64Gi"},
            [{"memory": "192.04Gi"}],
            "with 63 GiB of memory instead of 64 GiB of memory it fits now on n0",
        ),
        (
            {"memory": "1Gi"},
            [{"memory": "255.5Gi"}],
            "with 512 MiB of memory instead of 1 GiB of memory it fits now on n0",
        ),
        ({GPU: "4", "cpu": "32"}, [{GPU: "8", "cpu": "60"}], None),
    ],
)
def test_a_change_is_of_amounts_that_can_be_asked_for(
    asked: dict[str, str], used: list[dict[str, str]], ways: str | None
) -> None:
    nodes = [node(f"n{number}", used=each) for number, each in enumerate(used)]
    found = scheduling.diagnose(wanted(asked), nodes)
    assert found.suggestions == ((ways,) if ways else ())


def test_amounts_that_differ_do_not_read_alike() -> None:
    found = scheduling.diagnose(wanted({"memory": "256.4Gi"}), [node("a")])
    assert "asks for 256.4 GiB of memory, and the nearest has 256 GiB" in found.sentence


def waiting(gpus: str, minutes: int, priority: int = 0) -> Waiting:
    asked = wanted({GPU: gpus}, priority=priority)
    return Waiting(asked, NOW - timedelta(minutes=minutes))


ITSELF = waiting("1", 0)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (
            [waiting("4", 5), waiting("2", 1), waiting("4", -1), waiting("64", 9)],
            (
                "ahead of it: 2 pods, 6 nvidia.com/gpu (2 came earlier, of the same priority);"
                " Kubernetes promises no order"
            ),
        ),
        (
            [waiting("1", -5, 1000), waiting("2", 1), waiting("4", 9, -10)],
            (
                "ahead of it: 2 pods, 3 nvidia.com/gpu (1 of higher priority, 1 came earlier, of"
                " the same priority); Kubernetes promises no order"
            ),
        ),
        (
            [waiting("1", -5, 10)],
            (
                "ahead of it: 1 pod, 1 nvidia.com/gpu (1 of higher priority); Kubernetes promises"
                " no order"
            ),
        ),
        ([waiting("4", 9, -1), waiting("4", -9)], "nobody is ahead of it for nvidia.com/gpu"),
        (
            [waiting("4", 0)],
            (
                "nobody is known to be ahead of it for nvidia.com/gpu: 1 other pod came in the"
                " same second"
            ),
        ),
    ],
    ids=["earlier", "both", "higher", "nobody", "at once"],
)
def test_who_is_ahead(others: list[Waiting], told: str) -> None:
    there = [node("a", used=FULL)]
    found = scheduling.diagnose(ITSELF.wanted, there, others=[ITSELF, *others], since=NOW)
    assert found.evidence == (told,)


def test_who_waits_as_it_was_published() -> None:
    others = [Waiting(wanted({GPU: gpus}), None) for gpus in ("4", "8", "64")]
    found = scheduling.diagnose(
        wanted({GPU: "1"}), [node("a", used=FULL)], others=others, since=NOW
    )
    total = "waiting in all, perhaps this one too: 2 pods, 12 nvidia.com/gpu"
    assert found.evidence == (f"{total}; since when of each is not known",)


AMOUNT = st.integers(0, 9)
NODES = st.lists(
    st.builds(
        lambda name, used, ready, taint: node(
            f"n{name}",
            used={GPU: str(used)},
            ready=ready,
            taints=(Taint(key="t", effect="NoSchedule"),) if taint else (),
        ),
        st.integers(0, 99),
        AMOUNT,
        st.booleans(),
        st.booleans(),
    ),
    max_size=5,
    unique_by=lambda each: each.name,
)


@pytest.mark.parametrize(
    ("asked", "used", "kind", "sentence"),
    [
        ("16", "0", "never-fits", "the 2 nodes that may take it has 8 nvidia.com/gpu in all"),
        ("4", "5", "fragmented", "6 nvidia.com/gpu are free, but scattered over 2 nodes: the"),
        ("4", "7", "busy", "2 nvidia.com/gpu are free on the 2 nodes that could take it, the"),
        ("4", "4", "fits-now", "it fits now on 2 nodes:"),
    ],
)
def test_published_nodes_have_no_names(asked: str, used: str, kind: str, sentence: str) -> None:
    there = [node("", used={GPU: used}), node("", used={GPU: used})]
    found = scheduling.diagnose(wanted({GPU: asked}), there)
    assert found.kind == kind
    assert sentence in found.sentence
    assert "()" not in found.sentence
    assert not any(line.endswith(" on ") for line in (found.sentence, *found.suggestions))


@given(NODES, st.integers(0, 12), st.booleans())
def test_what_fits_is_never_called_impossible(
    nodes: list[NodeView], gpus: int, tolerant: bool
) -> None:
    asked = wanted(
        {GPU: str(gpus)}, tolerations=(Toleration(operator="Exists"),) if tolerant else ()
    )
    found = scheduling.diagnose(asked, nodes)
    empty = any(not why_not(asked, each, empty=True) for each in nodes)
    now = any(not why_not(asked, each) for each in nodes)
    assert (found.kind == "fits-now") == now
    assert (found.kind in ("never-fits", "node-rules")) == (not empty)
    assert scheduling.diagnose(asked, nodes[::-1]).kind == found.kind
