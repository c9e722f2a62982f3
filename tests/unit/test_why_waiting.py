"""Why a job waits: every kind, with its numbers; what the cluster's own words tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.config.flavors import Flavor
from jobman.jobs import state
from jobman.kube import decode
from jobman.kube.objects import Event, Job, Pod, Taint, Toleration
from jobman.queue import amounts
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted, why_not
from jobman.why import said, scheduling
from jobman.why.diagnose import diagnose, unscheduled
from jobman.why.evidence import Evidence
from jobman.why.kueue import Queued
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
            [node("a", used=FULL), node("b", used={GPU: "7"})],
            "busy",
            (
                "it needs 4 nvidia.com/gpu; 1 nvidia.com/gpu are free on the 2 nodes that could"
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


def test_who_is_ahead() -> None:
    nodes = [node("a", used=FULL)]

    def other(gpus: str, minutes: int, priority: int = 0) -> Waiting:
        asked = wanted({GPU: gpus}, priority=priority)
        return Waiting(asked, NOW - timedelta(minutes=minutes))

    others = [other("4", 5), other("2", 1), other("4", -1), other("4", 9, -1), other("64", 9)]
    found = scheduling.diagnose(wanted({GPU: "1"}), nodes, others=others, since=NOW)
    ahead = "ahead (earlier, of no lower priority): 2 pods, 6 nvidia.com/gpu"
    assert f"{ahead}; Kubernetes promises no order" in found.evidence


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


SCHEDULER = "0/5 nodes are available: "
AFTER = " no new claims to deallocate, preemption: 0/5 nodes are available: "


@pytest.mark.parametrize(
    ("message", "kind", "sentence"),
    [
        (
            (
                f"{SCHEDULER}3 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint(s)."
                f"{AFTER}3 Preemption is not helpful for scheduling,"
                " 2 No preemption victims found for incoming pod."
            ),
            "busy",
            "it would fit on 2 nodes, but they are busy (short: 2 nvidia.com/gpu on 3 nodes)",
        ),
        (
            (
                f"{SCHEDULER}5 Insufficient nvidia.com/gpu.{AFTER}"
                "5 Preemption is not helpful for scheduling."
            ),
            "insufficient",
            "no node that may take it has enough: 2 nvidia.com/gpu on 5 nodes",
        ),
        (
            (
                f"{SCHEDULER}4 node(s) didn't match Pod's node affinity/selector,"
                f" 1 node(s) were unschedulable.{AFTER}5 Preemption is not helpful for scheduling."
            ),
            "node-rules",
            "no node may take it: 4 do not match its node labels or affinity, 1 are cordoned",
        ),
        (
            'persistentvolumeclaim "nope" not found. not found',
            "missing",
            "PersistentVolumeClaim nope is not there",
        ),
        ("something new", "unscheduled", "something new"),
    ],
    ids=["busy", "insufficient", "selector", "claim", "unknown"],
)
def test_the_schedulers_words(message: str, kind: str, sentence: str) -> None:
    found = unscheduled(a_pod(condition=("Unschedulable", message)))
    assert found is not None
    assert (found.kind, found.sentence) == (kind, sentence)


@pytest.mark.parametrize(
    ("message", "wanted_text"),
    [
        ('secret "token" not found', "Secret token"),
        ('configmap "c" not found', "ConfigMap c"),
        ("couldn't find key x in ConfigMap ns/c", "key x of ConfigMap c"),
        ('MountVolume.SetUp failed for volume "v" : secret "s" not found', "Secret s"),
        ("no such thing", None),
    ],
)
def test_what_is_missing(message: str, wanted_text: str | None) -> None:
    assert said.missing(message) == wanted_text


@given(st.text())
def test_any_words_are_taken(text: str) -> None:
    said.scheduler(text)
    said.quota(text)
    said.missing(text)
    assert unscheduled(a_pod(condition=("Unschedulable", text))) is not None or not text


def a_pod(
    *,
    condition: tuple[str, str] | None = None,
    waiting: tuple[str, str] | None = None,
    on: str = "",
    spec: dict[str, Any] | None = None,
) -> Pod:
    status: dict[str, Any] = {"phase": "Pending", "conditions": []}
    if condition:
        reason, message = condition
        status["conditions"].append(
            {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        )
    if waiting:
        reason, message = waiting
        status["containerStatuses"] = [
            {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}
        ]
    container = {"name": "main", "image": "img:1", "resources": {"requests": {GPU: "2"}}}
    pod = {
        "metadata": {"name": "p", "uid": "p1", "creationTimestamp": "2026-01-02T00:00:00Z"},
        "spec": {"containers": [container], "nodeName": on, **(spec or {})},
        "status": status,
    }
    return decode.one(msgspec.json.encode(pod), Pod, "Pod")


def an_event(reason: str, message: str, about: str = "p") -> Event:
    event = {
        "metadata": {"name": "e"},
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": "Pod" if about == "p" else "Job", "name": about},
        "lastTimestamp": "2026-01-02T00:00:01Z",
        "count": 3,
    }
    return decode.one(msgspec.json.encode(event), Event, "Event")


def a_job(**spec: Any) -> Job:
    job = {
        "metadata": {"name": "j", "uid": "j1", "labels": {}},
        "spec": {"template": {"spec": {"containers": [{"name": "main"}]}}, **spec},
        "status": {},
    }
    return decode.one(msgspec.json.encode(job), Job, "Job")


def evidence(
    job: Job,
    pods: Sequence[Pod] = (),
    events: Sequence[Event] = (),
    **more: Any,
) -> Evidence:
    return Evidence(job, pods, events, state.of(job, pods, events, now=NOW), **more)


QUOTA = (
    'Error creating: pods "j-x" is forbidden: exceeded quota: gpus, requested:'
    " requests.nvidia.com/gpu=2, used: requests.nvidia.com/gpu=8, limited:"
    " requests.nvidia.com/gpu={hard}"
)


@pytest.mark.parametrize(
    ("found", "kind", "text"),
    [
        (evidence(a_job(suspend=True)), "held", "it is held (suspended)"),
        (
            evidence(a_job(suspend=True), queued=Queued("q", True, "Pending", "no quota", 3, 12)),
            "kueue",
            "it waits in Kueue's LocalQueue q, as number 3",
        ),
        (
            evidence(a_job(), [], [an_event("FailedCreate", QUOTA.format(hard=8), "j")]),
            "quota",
            ("quota gpus of its namespace is used up: requests.nvidia.com/gpu: 8 of 8 used, 2 asked"
            " for"),
        ),
        (
            evidence(a_job(), [], [an_event("FailedCreate", QUOTA.format(hard=1), "j")]),
            "quota",
            "quota gpus of its namespace asks for more than the quota ever allows",
        ),
        (
            evidence(
                a_job(),
                [],
                [an_event("FailedCreate", 'pods "x" is forbidden: no privileged pods', "j")],
            ),
            "refused",
            "the cluster refuses its pods: ",
        ),
        (
            evidence(a_job(), [a_pod(condition=("SchedulingGated", "blocked"),
                                     spec={"schedulingGates": [{"name": "a/b"}]})]),
            "gated",
            "it is held back before the scheduler by: a/b",
        ),
        (
            evidence(a_job(), [a_pod(spec={"schedulerName": "mine"})]),
            "no-scheduler",
            "no scheduler has looked at it: it asks for one named mine",
        ),
        (
            evidence(a_job(), [a_pod(on="n", waiting=("ImagePullBackOff", "not found"))]),
            "image",
            "image img:1 cannot be pulled: ",
        ),
        (
            evidence(
                a_job(),
                [a_pod(on="n", waiting=("CreateContainerConfigError", 'secret "s" not found'))],
            ),
            "missing",
            "Secret s is not there",
        ),
        (
            evidence(
                a_job(),
                [a_pod(on="n", waiting=("ContainerCreating", ""))],
                [an_event("FailedMount", "mount failed: timed out")],
            ),
            "volume",
            "a volume cannot be mounted on n: mount failed: timed out",
        ),
        (
            evidence(a_job(), [a_pod(on="n", waiting=("ContainerCreating", ""))]),
            "starting",
            "it is starting on n",
        ),
        (evidence(a_job()), "no-pods-yet", "its pods are not made yet"),
        (
            evidence(a_job(), [a_pod(condition=("Unschedulable", "busy"))],
                     nodes=[node("a", used=FULL)], unseen=("x",)),
            "busy",
            "it needs 2 nvidia.com/gpu; 0 nvidia.com/gpu are free on a",
        ),
    ],
    ids=[
        "held", "kueue", "quota", "over-quota", "refused", "gated", "no-scheduler", "image",
        "secret", "mount", "starting", "new", "busy",
    ],
)  # fmt: skip
def test_each_kind(found: Evidence, kind: str, text: str) -> None:
    why = diagnose(found)
    assert why.kind == kind
    assert text in why.sentence
    assert why.unseen == found.unseen


def test_what_kueue_tells() -> None:
    found = evidence(a_job(suspend=True), queued=Queued("q", True, "Pending", "no quota", 3, 12))
    assert diagnose(found).evidence == ("Kueue: Pending: no quota", "ahead of it: 12 GPUs")


def test_what_kueue_does_not_tell() -> None:
    gone = Queued("q", True, installed=False)
    found = diagnose(evidence(a_job(suspend=True), queued=gone))
    assert found.sentence.endswith("LocalQueue q, and there is no Kueue")
    assert found.suggestions == ("jobman delete j, and submit it without --local-queue",)
    lost = Queued("q", True, message="it has no Workload", unseen=("its place",))
    found = diagnose(evidence(a_job(suspend=True), queued=lost))
    assert (found.evidence, found.unseen) == (
        ("Kueue: it has no Workload",),
        ("its place",),
    )


@pytest.mark.parametrize(
    ("reason", "message", "kind", "way"),
    [
        ("FailedCreatePodSandBox", "no address left", "config", "node n is at fault"),
        ("FailedAttachVolume", "in use elsewhere", "volume", "tries again by itself"),
        ("FailedMount", 'secret "s" not found', "missing", "make Secret s"),
    ],
)
def test_a_node_that_cannot_make_a_pod_ready(
    reason: str, message: str, kind: str, way: str
) -> None:
    pods = [a_pod(on="n", waiting=("ContainerCreating", ""))]
    found = diagnose(evidence(a_job(), pods, [an_event(reason, message)]))
    assert found.kind == kind
    assert any(way in line for line in found.suggestions)
