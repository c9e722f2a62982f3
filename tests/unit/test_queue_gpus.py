"""The GPUs of the nodes by kind, and the rows of `jobman nodes`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.config.flavors import is_gpu
from jobman.kube.objects import Taint
from jobman.queue import gpus, node_rows
from jobman.queue.nodes import NodeView
from jobman.queue.snapshot import Snapshot

GPU = "nvidia.com/gpu"
A100 = {"nvidia.com/gpu.product": "A100"}
FOR_X = Taint(key="dedicated", value="x", effect="NoSchedule")
FOR_GPUS = Taint(key=GPU, effect="NoSchedule")
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def node(name: str = "n1", has: int = 8, held: int = 0, **fields: Any) -> NodeView:
    given_ = {
        "labels": A100,
        "taints": (),
        "schedulable": True,
        "ready": True,
        "allocatable": {GPU: has * 1000, "cpu": 8000, "memory": 64 * 2**30 * 1000},
        "used": {GPU: held * 1000, "cpu": 500},
    }
    return NodeView(name, **{**given_, **fields})


def test_free_and_the_largest_block() -> None:
    [line] = gpus.lines([node("b", held=6), node("a", held=5), node("c", held=8)], is_gpu)

    assert (line.product, line.total, line.in_use, line.free) == ("A100", 24, 19, 5)
    assert (line.largest_free, line.largest_free_node, line.unusable) == (3, "a", 0)


@pytest.mark.parametrize(
    ("there", "block"),
    [
        ([node("a", taints=(FOR_X,)), node("b")], (8, "b")),
        ([node("a", taints=(FOR_X,)), node("b", held=6)], (2, "b")),
        ([node("a", taints=(FOR_GPUS,)), node("b")], (8, "a")),
        ([node("a", held=6, taints=(FOR_X,)), node("b", held=8)], (2, "a")),
        ([node("a", schedulable=False), node("b", held=8)], (0, "")),
    ],
    ids=["as much elsewhere", "less elsewhere", "the GPUs' own taint", "none elsewhere", "none"],
)
def test_the_largest_block_is_one_that_anyone_can_get(
    there: list[NodeView], block: tuple[int, str]
) -> None:
    [line] = gpus.lines(there, is_gpu)
    [row] = node_rows.by_product(Snapshot(at=NOW, nodes=there), is_gpu)

    assert (line.largest_free, line.largest_free_node) == block
    assert row.largest_free == block[0]


@pytest.mark.parametrize(("final", "block"), [(False, (8, "a")), (True, (3, "b"))])
def test_a_taint_of_the_gpus_where_the_cluster_adds_no_toleration(
    final: bool, block: tuple[int, str]
) -> None:
    there = [node("a", taints=(FOR_GPUS,)), node("b", held=5)]
    [line] = gpus.lines(there, is_gpu, tolerations_final=final)
    snapshot = Snapshot(at=NOW, nodes=there, tolerations_final=final)
    [row] = node_rows.by_product(snapshot, is_gpu)

    assert (line.largest_free, line.largest_free_node) == block
    assert row.largest_free == block[0]


@pytest.mark.parametrize(
    "fields",
    [
        {"schedulable": False},
        {"ready": False},
        {"allocatable": {GPU: 2000}, "capacity": {GPU: 8000}},
    ],
    ids=["cordoned", "not ready", "broken"],
)
def test_what_cannot_be_used_stands_apart(fields: dict[str, Any]) -> None:
    [line] = gpus.lines([node("a"), node("b", held=2, **fields)], is_gpu)

    assert (line.total, line.in_use, line.free, line.unusable) == (16, 2, 8, 6)


def test_without_the_pods_only_the_nodes_are_known() -> None:
    [line] = gpus.lines([node(), node(schedulable=False)], is_gpu, usage_known=False)

    assert (line.total, line.in_use, line.free, line.largest_free) == (16, None, None, None)
    assert line.unusable == 8


@pytest.mark.parametrize(
    ("labels", "resource", "product"),
    [
        (A100, GPU, "A100"),
        ({}, GPU, GPU),
        (A100, "amd.com/gpu", "amd.com/gpu"),
        ({"amd.com/gpu.product-name": "MI300", **A100}, "amd.com/gpu", "MI300"),
        ({"cloud.google.com/gke-accelerator": "nvidia-l4"}, GPU, "nvidia-l4"),
    ],
)
def test_the_kind_of_gpu(labels: dict[str, str], resource: str, product: str) -> None:
    assert gpus.product(node(labels=labels), resource) == product


@given(
    st.lists(
        st.builds(
            lambda has, used, schedulable, ready, product: node(
                has=has,
                held=min(used, has),
                schedulable=schedulable,
                ready=ready,
                labels={"nvidia.com/gpu.product": product} if product else {},
            ),
            st.integers(0, 8),
            st.integers(0, 8),
            st.booleans(),
            st.booleans(),
            st.sampled_from(["", "A100", "H200"]),
        ),
        max_size=10,
    )
)
def test_sums_equal_the_parts(nodes: list[NodeView]) -> None:
    lines = gpus.lines(nodes, is_gpu)

    for line in lines:
        assert line.total == (line.in_use or 0) + (line.free or 0) + line.unusable
        assert (line.largest_free or 0) <= (line.free or 0)
    assert sum(line.total for line in lines) == sum(n.allocatable[GPU] for n in nodes) // 1000
    assert gpus.lines(nodes[::-1], is_gpu) == lines
    rows = node_rows.rows(Snapshot(at=NOW, nodes=nodes), is_gpu)
    kinds = node_rows.by_product(Snapshot(at=NOW, nodes=nodes), is_gpu)
    for one in (rows, kinds):
        assert sum(row.gpus for row in one) == sum(line.total for line in lines)
        assert sum(row.gpus_used or 0 for row in one) == sum(line.in_use or 0 for line in lines)
        assert sum(row.gpus_free or 0 for row in one) == sum(line.free or 0 for line in lines)
    assert sum(row.gpus_unusable for row in kinds) == sum(line.unusable for line in lines)


def test_rows_of_nodes() -> None:
    plain = node("b", labels={}, allocatable={"cpu": 4000, "memory": 2**30 * 1000}, used={})
    snapshot = Snapshot(at=NOW, nodes=[plain, node("a", held=2, schedulable=False)])

    first, second = node_rows.rows(snapshot, is_gpu)

    assert (first.name, first.state) == ("a", "Ready,SchedulingDisabled")
    assert (first.gpus, first.gpus_used) == (8, 2)
    assert (first.gpus_free, first.cpu_free, first.memory_free) == (0, "0", "0")
    assert (second.gpu_product, second.gpus, second.memory_free) == (None, 0, "1Gi")


def test_rows_by_kind_of_gpu() -> None:
    plain = node("c", labels={}, allocatable={"cpu": 4000}, used={})
    snapshot = Snapshot(at=NOW, nodes=[plain, node("a", held=2), node("b", schedulable=False)])

    first, second = node_rows.by_product(snapshot, is_gpu)

    assert (first.gpu_product, first.nodes, first.nodes_cordoned) == ("A100", 2, 1)
    assert (first.gpus, first.gpus_used, first.gpus_free, first.largest_free) == (16, 2, 6, 6)
    assert (first.gpus_unusable, first.cpu_free, first.memory_free) == (8, "7500m", "64Gi")
    assert (second.gpu_product, second.nodes, second.gpus) == (None, 1, 0)
