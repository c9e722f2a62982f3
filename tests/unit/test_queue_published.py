"""A published queue: written, read back, cut to its size, and read in the earlier tool's form."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobman.config.flavors import is_gpu
from jobman.errors import ApiError
from jobman.kube.objects import ConfigMap, Taint
from jobman.queue import capacity, compact, group, published, sources
from jobman.queue.claims import Claim, Shapes
from jobman.queue.group import Group
from jobman.queue.nodes import NodeView, Nominated
from jobman.queue.rules import Wanted
from jobman.values.enums import QueueBy, State

GPU = "nvidia.com/gpu"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EARLIER = "2026-11-21T11:00:00Z"
SHAPES = Shapes(is_gpu)
LIMIT = 1_000_000


def shape_of(cpu: int, gpus: int = 0, **selector: str) -> Any:
    amounts = {"cpu": cpu, GPU: gpus * 1000, "pods": 1000}
    return SHAPES.of_wanted(Wanted({k: v for k, v in amounts.items() if v}, selector, None, ()))


def claim(**fields: Any) -> Claim:
    given_ = {
        "shape": shape_of(1500, 1, zone="a"),
        "state": State.PENDING,
        "namespace": "team",
        "flavor": "small",
        "managed": True,
        "since": EARLIER,
        "name": "pod",
    }
    return Claim(**{**given_, **fields})


def node(name: str, held: int = 0, **fields: Any) -> NodeView:
    given_ = {
        "labels": {"zone": "a", "kubernetes.io/hostname": name},
        "taints": (Taint("team", "x", "NoSchedule"),),
        "schedulable": True,
        "ready": True,
        "allocatable": {"cpu": 64_000, "memory": 2**40 * 1000, "pods": 110_000, GPU: 8000},
        "used": {"cpu": held * 100, GPU: held * 1000},
    }
    return NodeView(name, **{**given_, **fields})


def configmap(text: str, name: str = "queue", key: str | None = None) -> ConfigMap:
    meta = {"name": name, "namespace": "public"}
    return msgspec.convert({"metadata": meta, "data": {key or name: text}}, ConfigMap)


def read(text: str, **more: Any) -> published.Published:
    return published.read(configmap(text, **more), namespace="team", is_gpu=is_gpu)


def written(groups: list[Group], nodes: list[NodeView] | None, limit: int = LIMIT) -> str:
    return compact.document(groups, nodes, ["a note"], now=NOW, most_bytes=limit)


def test_what_is_written_is_read_back() -> None:
    made = SHAPES.of_wanted(replace(shape_of(250).wanted, tolerations_final=True))
    groups = group.grouped(
        [
            claim(count=3),
            claim(state=State.RUNNING, node="n1"),
            claim(flavor=None, shape=made, state=State.SUSPENDED, managed=False),
        ]
    )
    nodes = [node("n1", held=1), node("n2", held=1), node("n3", ready=False)]

    found = read(written(groups, nodes))

    assert (found.at, found.earlier, found.notes) == (NOW, False, ["a note"])
    back = {each.key: each for each in found.groups}
    for each in groups:
        other = back[each.key]
        assert (other.counts, other.managed, other.oldest) == (
            each.counts,
            each.managed,
            each.oldest,
        )
        assert (other.holding, other.wanting) == (each.holding, each.wanting)
        assert other.usual_shape is not None
        assert each.usual_shape is not None
        assert other.usual_shape.wanted == each.usual_shape.wanted
    assert found.nodes is not None
    assert [(n.name, n.ready, n.free[GPU]) for n in found.nodes] == [
        ("", True, 7000),
        ("", True, 7000),
        ("", False, 8000),
    ]


def test_no_names_are_published() -> None:
    text = written(group.grouped([claim(name="secret-pod", user="alice")]), [node("secret-node")])

    assert "secret" not in text
    assert "alice" not in text
    assert "team" not in json.dumps(json.loads(text)["groups"])


asked = st.builds(
    lambda cpu, gpus, zone: Wanted(
        {"cpu": cpu * 500, GPU: gpus * 1000, "pods": 1000}, {"zone": zone} if zone else {}, None, ()
    ),
    st.integers(1, 200),
    st.integers(0, 8),
    st.sampled_from(["", "a", "b"]),
)
some_nodes = st.lists(
    st.builds(
        lambda number, used, zone, schedulable: node(
            f"n{number}", used, labels={"zone": zone}, schedulable=schedulable, taints=()
        ),
        st.integers(0, 5),
        st.integers(0, 8),
        st.sampled_from("ab"),
        st.booleans(),
    ),
    max_size=12,
)


@given(asked, some_nodes)
def test_as_much_fits_on_published_nodes_as_on_the_nodes(
    wanted: Wanted, nodes: list[NodeView]
) -> None:
    back = read(written([], nodes)).nodes

    assert back is not None
    assert capacity.how_many(wanted, back) == capacity.how_many(wanted, nodes)


@pytest.mark.parametrize(
    ("held", "kept", "priority", "free"),
    [(4, 3, 0, 1), (4, 3, -1, 4), (8, 3, 10, 0), (6, 3, 10, 0), (9, 3, 10, -1)],
    ids=["free", "of less than the usual priority", "in use", "in part", "more than there is"],
)
def test_what_is_kept_for_a_pod_that_waits_is_not_published_as_free(
    held: int, kept: int, priority: int, free: int
) -> None:
    waits = Nominated("team", "big", priority, {GPU: kept * 1000})
    (back,) = read(written([], [node("n1", held, nominated=(waits,))])).nodes or ()

    assert back.free[GPU] == free * 1000
    assert back.free["cpu"] == 64_000 - held * 100


def test_too_much_is_told_more_coarsely() -> None:
    groups = group.grouped(
        claim(flavor=f"flavor-{n}", shape=shape_of(1000 + n), count=1 + n) for n in range(200)
    )
    nodes = [node(f"n{n}", held=n % 8) for n in range(10)]

    text = written(groups, nodes, limit=6000)
    found = read(text)

    assert len(text) <= 6000
    assert found.groups[0].key.name == "flavor-199"
    told = sum(each.counts.total for each in found.groups)
    assert found.notes[1] == f"{200 * 201 // 2 - told} pods in small groups are left out"


def test_2_000_nodes_of_which_no_two_are_alike_fit_into_a_configmap() -> None:
    nodes = [
        node(f"n{n}", used={"cpu": n * 31 % 64_000, "memory": n * 7919 * 1000, GPU: n % 9 * 1000})
        for n in range(2000)
    ]
    groups = group.grouped(
        claim(flavor=f"flavor-{n}", shape=shape_of(1000 + n), count=100) for n in range(1000)
    )

    found = read(written(groups, nodes))

    assert len(found.groups) == 1000
    assert found.nodes is not None
    assert len(found.nodes) == 2000
    assert {n.free["cpu"] for n in found.nodes} == {n.free["cpu"] for n in nodes}


def test_mine_are_counted_over_what_is_published() -> None:
    rows = read(written(group.grouped([claim(count=3)]), None)).groups
    own = [claim(mine=True), claim(flavor="new", mine=True, state=State.RUNNING)]

    found = sources.with_mine(rows, own)

    assert [(g.key.name, g.counts.total, g.yours.total) for g in found] == [
        ("new", 1, 1),
        ("small", 3, 1),
    ]


OF_THE_EARLIER_TOOL = {
    "updated": EARLIER,
    "jobs": [
        {
            "namespace": "team",
            "name": "a",
            "creationDate": EARLIER,
            "resources": {"flavor": "small-gpu", "requests": {"cpu": 1, GPU: "1"}},
            "podStatus": "Pending",
        },
        {
            "namespace": "other",
            "name": "b",
            "updated": EARLIER,
            "resources": {"label": None, "requests": {"cpu": "500m"}},
            "podStatus": "Running",
        },
        {"namespace": "other", "name": "c", "resources": None},
    ],
}


def test_the_earlier_tools_form() -> None:
    found = read(json.dumps(OF_THE_EARLIER_TOOL))

    assert (found.earlier, found.nodes) == (True, None)
    assert [
        (g.key.name, g.counts.waiting, g.counts.running, g.yours.total) for g in found.groups
    ] == [
        ("small-gpu", 1, 0, 1),
        (None, 0, 1, 0),
        (None, 0, 1, 0),
    ]
    assert found.notes == ["of 1 jobs it does not say whether they wait or run: counted as running"]
    by_namespace = found.grouped(QueueBy.NAMESPACE)
    assert by_namespace is not None
    assert [(g.key.name, g.counts.total) for g in by_namespace] == [("other", 2), ("team", 1)]
    assert found.grouped(QueueBy.USER) is None


def test_the_earlier_tools_form_is_written_newest_first_and_cut() -> None:
    jobs = [claim(name=f"j{n}", since=f"2026-11-21T11:{n:02d}:00Z") for n in range(60)]

    text, cut = published.names_document(jobs, now=NOW, most_bytes=2000)
    found = json.loads(text)

    assert len(text.encode()) <= 2000
    assert cut == 60 - len(found["jobs"]) > 0
    assert found["jobs"][0] == {
        "namespace": "team",
        "name": "j59",
        "creationDate": "2026-11-21T11:59:00Z",
        "resources": {"flavor": "small", "requests": {"cpu": "1500m", GPU: "1"}},
        "podStatus": "Pending",
    }
    assert read(text).groups[0].counts.waiting == len(found["jobs"])


@pytest.mark.parametrize(
    ("text", "more", "why"),
    [
        ("nonsense", {}, "malformed"),
        ('{"jobs": 3}', {}, "jobs"),
        ('{"format": "jobman-queue/9"}', {}, "jobman-queue/9"),
    ],
)
def test_what_is_no_queue(text: str, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError) as error:
        read(text, **more)
    assert "ConfigMap public/queue" in error.value.message
    assert why in error.value.message


def test_a_document_of_too_many_nodes_is_no_trouble() -> None:
    nodes = [{"free": [[10**12, {"cpu": "1"}], [-5, {}]], "allocatable": {"cpu": "1"}}]

    found = read(json.dumps({"format": "jobman-queue/1", "nodes": nodes}))

    assert found.nodes is not None
    assert len(found.nodes) == compact.MOST_NODES


def test_the_only_key_will_do() -> None:
    assert read('{"jobs": []}', key="data").groups == []
    two = msgspec.convert({"metadata": {"name": "q"}, "data": {"a": "", "b": ""}}, ConfigMap)
    with pytest.raises(ApiError, match="no key 'q'"):
        published.read(two, namespace="team", is_gpu=is_gpu)
