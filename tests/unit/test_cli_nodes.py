"""`jobman nodes`: whole commands, a scripted cluster behind."""

from __future__ import annotations

import json

import pytest
from plugins.command_line import Run
from plugins.job_world import JobWorld
from plugins.queue_world import NODES, listed, machine


def test_nodes(run: Run, cluster: JobWorld) -> None:
    assert run("nodes", "-v", "n*").lines == [
        "NODE  STATE           GPU   GPUS  USED  FREE  CPU FREE  MEM FREE",
        "n1    Ready           A100     4     1     3        14      64Gi",
        "n2    Ready           A100     4     3     1        15      64Gi",
        "n3    Ready,cordoned  A100     4     0     0         0         0",
        "",
        "NODE  GPUS  USER   NAMESPACE  POD",
        "n1       1  alice  team       a",
        "n2       3  -      team       c",
    ]
    assert run("nodes", "--by", "gpu").lines[1].split() == [
        *("A100", "3", "3", "1", "12", "4", "4", "4", "3", "29", "128Gi"),
    ]
    assert run("nodes", "-o", "name", "n1", "n3").out == "n1\nn3\n"
    assert [row["gpusFree"] for row in json.loads(run("nodes", "-o", "json").out)] == [3, 1, 0]


def test_taints_of_nodes(run: Run, cluster: JobWorld) -> None:
    taints = [
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "team", "value": "a", "effect": "NoExecute"},
    ]
    cluster.server.script("GET", NODES, listed(machine("n1", taints=taints)))
    assert run("nodes").lines[0].endswith("  TAINTS")
    assert run("nodes").lines[1].endswith("  team=a:NoExecute")


def test_free_memory_is_never_rounded_up(run: Run, cluster: JobWorld) -> None:
    node = machine("n1")
    node["status"]["allocatable"] = node["status"]["allocatable"] | {"memory": "65436Mi"}
    cluster.server.script("GET", NODES, listed(node))
    assert run("nodes").lines[1].split()[-1] == "63.9Gi"
    assert run("nodes", "-o", "wide").lines[1].endswith("63.9Gi of 63.9Gi")


@pytest.mark.parametrize("form", [(), ("-o", "json"), ("--by", "gpu")])
def test_a_name_that_no_node_has(run: Run, cluster: JobWorld, form: tuple[str, ...]) -> None:
    done = run("nodes", "n1", "n9", *form)
    assert (done.code, bool(done.out)) == (3, True)
    assert "error: no node is called n9\n" in done.talk
    assert run("nodes", "x*").code == 0
