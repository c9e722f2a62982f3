"""Why a job waits: every kind, with its numbers; what the cluster's own words tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobman.config.flavors import Flavor
from jobman.jobs import state
from jobman.kube import decode
from jobman.kube.objects import Event, Job, Pod, Taint
from jobman.queue import amounts
from jobman.queue.nodes import NodeView
from jobman.why import said, start
from jobman.why.diagnose import diagnose, rest_of_running
from jobman.why.evidence import Evidence
from jobman.why.kueue import Queued
from jobman.why.waiting_pod import unscheduled

GPU = "nvidia.com/gpu"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
FULL_NODE = NodeView(
    name="a",
    labels={},
    taints=(),
    schedulable=True,
    ready=True,
    allocatable=amounts.of({GPU: "8", "pods": "110"}),
    used=amounts.of({GPU: "8"}),
)
TAINTED_NODE = replace(FULL_NODE, used={}, taints=(Taint(GPU, "present", "NoSchedule"),))
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
            (
                "it would fit on 2 nodes, but they are busy (left: less than 2 nvidia.com/gpu"
                " on 3 nodes)"
            ),
        ),
        (
            f"{SCHEDULER}1 Insufficient {GPU}.{AFTER}1 No preemption victims found.",
            "busy",
            f"it would fit on 1 node, but that is busy (left: less than 2 {GPU} on 1 node)",
        ),
        (
            (
                f"{SCHEDULER}5 Insufficient nvidia.com/gpu.{AFTER}"
                "5 Preemption is not helpful for scheduling."
            ),
            "insufficient",
            "no node that may take it has enough left: less than 2 nvidia.com/gpu on 5 nodes",
        ),
        (
            (
                f"{SCHEDULER}4 node(s) didn't match Pod's node affinity/selector,"
                f" 1 node(s) were unschedulable.{AFTER}5 Preemption is not helpful for scheduling."
            ),
            "node-rules",
            "no node may take it: 4 do not match its node labels or affinity, 1 is cordoned",
        ),
        (
            'persistentvolumeclaim "nope" not found. not found',
            "missing",
            "PersistentVolumeClaim nope is not there",
        ),
        ("something new", "unscheduled", "something new"),
    ],
    ids=["busy", "one is busy", "insufficient", "selector", "claim", "unknown"],
)
def test_the_schedulers_words(message: str, kind: str, sentence: str) -> None:
    found = unscheduled(a_pod(condition=("Unschedulable", message)))
    assert found is not None
    assert (found.kind, found.sentence) == (kind, sentence)


RESERVED = "node(s) were reserved for a pod that has waited longer"
TWO = f"2 {RESERVED}"


@pytest.mark.parametrize("nodes", [[FULL_NODE], None], ids=["nodes", "no right to nodes"])
def test_a_node_is_kept_for_it(nodes: list[NodeView] | None) -> None:
    pod = a_pod(condition=("Unschedulable", f"{SCHEDULER}5 Insufficient {GPU}."))
    pod = replace(pod, status=replace(pod.status, nominated_node_name="a"))
    why = diagnose(evidence(a_job(), [pod], nodes=nodes))
    assert "what is freed on a is kept for it" in why.evidence


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        (
            f"{SCHEDULER}2 {RESERVED}.",
            "scheduler",
            f"there is room for it on 2 nodes (a, b), but the scheduler refuses nodes: {TWO}",
        ),
        (
            f"{SCHEDULER}1 Insufficient {GPU}, 1 {RESERVED}, 1 node(s) were unschedulable.",
            "scheduler",
            f"but the scheduler refuses nodes: 1 {RESERVED}",
        ),
        (
            f"{SCHEDULER}2 node(s) had untolerated taint(s), 1 node(s) were unschedulable.",
            "scheduler",
            "but the scheduler refuses nodes: 2 node(s) had untolerated taint(s)",
        ),
        (
            f"{SCHEDULER}2 Insufficient {GPU}, 2 Too many pods, 1 node(s) were unschedulable.",
            "fits-now",
            "it fits now on 2 nodes (a, b): the scheduler has not got to it yet",
        ),
        ("", "fits-now", "it fits now on 2 nodes (a, b): the scheduler has not got to it yet"),
    ],
    ids=["reserved", "partly reserved", "tainted", "there was no room before", "silent"],
)
def test_the_scheduler_minds_what_is_not_known_here(message: str, kind: str, says: str) -> None:
    there = [
        replace(FULL_NODE, name="a", used={}),
        replace(FULL_NODE, name="b", used={}),
        replace(FULL_NODE, name="c", used={}, schedulable=False),
    ]
    pod = a_pod(condition=("Unschedulable", message) if message else None)
    why = diagnose(evidence(a_job(), [pod], nodes=there))
    assert why.kind == kind
    assert says in why.sentence
    assert not message or f"the scheduler: {message}" in why.evidence


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
    name: str = "p",
    running: bool = False,
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
    if running:
        now = {"running": {"startedAt": "2026-01-02T00:00:00Z"}}
        status |= {"phase": "Running", "containerStatuses": [{"name": "main", "state": now}]}
    container = {"name": "main", "image": "img:1", "resources": {"requests": {GPU: "2"}}}
    pod = {
        "metadata": {"name": name, "uid": name, "creationTimestamp": "2026-01-02T00:00:00Z"},
        "spec": {"containers": [container], "nodeName": on, **(spec or {})},
        "status": status,
    }
    return decode.one(msgspec.json.encode(pod), Pod, "Pod")


def an_event(reason: str, message: str, about: str = "p", *, second: int = 1) -> Event:
    event = {
        "metadata": {"name": "e"},
        "reason": reason,
        "message": message,
        "involvedObject": {"kind": "Pod" if about == "p" else "Job", "name": about},
        "lastTimestamp": f"2026-01-02T00:00:0{second}Z",
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
            "it asks for more than quota gpus of its namespace ever allows: requests.",
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
                     nodes=[FULL_NODE], unseen=("x",)),
            "busy",
            "it needs 2 nvidia.com/gpu; none is free on a",
        ),
        (
            evidence(a_job(), [a_pod()], nodes=[TAINTED_NODE]),
            "node-rules",
            "no node may take it: 1 has the taint nvidia.com/gpu=present (of 1 node)",
        ),
    ],
    ids=[
        "held", "kueue", "quota", "over-quota", "refused", "gated", "no-scheduler", "image",
        "secret", "mount", "starting", "new", "busy", "tainted",
    ],
)  # fmt: skip
def test_each_kind(found: Evidence, kind: str, text: str) -> None:
    why = diagnose(found)
    assert why.kind == kind
    assert text in why.sentence
    assert why.unseen == found.unseen


def test_the_node_labels_of_its_flavor_go_with_it_when_another_is_tried() -> None:
    job = a_job()
    notes = {"jobman/flavor-spec": '{"name": "two", "nodeSelector": {"gpu": "a100"}}'}
    job = replace(job, metadata=replace(job.metadata, annotations=notes))
    one = Flavor.model_validate({"name": "one", "resources": {"requests": {GPU: "1"}}})
    pod = a_pod(spec={"nodeSelector": {"gpu": "a100"}})
    free = replace(FULL_NODE, used={})
    why = diagnose(evidence(job, [pod], nodes=[free], flavors=[one]))
    assert why.suggestions == ("flavor one fits now on a",)


def of_five(*others: Pod, running: int, events: Sequence[Event] = (), **more: Any) -> Evidence:
    """An array of five of which as many run."""
    pods = [a_pod(on="n", name=f"r{number}", running=True) for number in range(running)]
    return evidence(a_job(parallelism=5, completions=5), [*pods, *others], events, **more)


SHORT = "it needs 2 nvidia.com/gpu; none is free on a"
USED_UP = (
    "quota gpus of its namespace is used up: requests.nvidia.com/gpu: 8 of 8 used, 2 asked for"
)
REFUSED = [an_event("FailedCreate", QUOTA.format(hard=8), "j")]


@pytest.mark.parametrize(
    ("found", "rest"),
    [
        (of_five(running=5), None),
        (of_five(running=3, events=REFUSED), f"3 pods of it run{{}}; 2 are refused: {USED_UP}"),
        (
            of_five(a_pod(name="w"), running=4, nodes=[FULL_NODE]),
            f"4 pods of it run{{}}; 1 waits: {SHORT}",
        ),
        (
            of_five(
                a_pod(name="w"),
                a_pod(name="x"),
                a_pod(name="y", on="n", waiting=("InvalidImageName", "bad")),
                running=1,
                events=REFUSED,
                nodes=[FULL_NODE],
            ),
            (
                f"1 pod of it runs{{}}; 2 wait: {SHORT}; 1 is stuck: image img:1 cannot be pulled:"
                f" bad; 1 is refused: {USED_UP}"
            ),
        ),
        (
            evidence(
                a_job(parallelism=3, completions=5),
                [a_pod(on="n", name=f"r{number}", running=True) for number in range(3)],
                REFUSED,
            ),
            None,
        ),
    ],
    ids=["all", "refused", "waits", "all kinds", "as many as may be"],
)
def test_why_the_rest_of_a_running_job_does_not_run(found: Evidence, rest: str | None) -> None:
    why = diagnose(found)
    since = " since 2026-01-02T00:00:00Z"
    assert why.kind == "running"
    assert why.sentence == (rest.format(since) if rest else f"it runs on n{since}")
    assert rest_of_running(found) == (rest is not None)
    assert any("refused 3 times" in line for line in why.evidence) == ("refused" in (rest or ""))


def test_a_refusal_after_which_pods_were_made_is_over() -> None:
    early = [an_event("FailedCreate", QUOTA.format(hard=8), "j", second=0)]
    pods = [a_pod(on="n", name=name, running=True) for name in "ab"]
    late = [replace(pod, metadata=replace(pod.metadata, creation_timestamp=LATER)) for pod in pods]
    assert diagnose(evidence(a_job(parallelism=3, completions=3), late, early)).sentence == (
        "it runs on n since 2026-01-02T00:00:00Z"
    )


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


def test_a_mount_that_failed_before_the_pull_is_over() -> None:
    events = [
        an_event("FailedMount", "mount failed: timed out"),
        an_event("Pulling", 'Pulling image "big"', second=2),
    ]
    pods = [a_pod(on="n", waiting=("ContainerCreating", ""))]
    why = diagnose(evidence(a_job(), pods, events))
    assert (why.kind, why.evidence) == ("starting", ('Pulling: Pulling image "big"',))


BUSY = f"{SCHEDULER}2 Insufficient nvidia.com/gpu.{AFTER}2 No preemption victims found for it."
FORBIDDEN = 'pods "x" is forbidden: no privileged pods'


def an_array(wanted: int, at_once: int) -> Job:
    return a_job(completions=wanted, parallelism=at_once, completionMode="Indexed")


def pods(placed: int = 0, waiting: int = 0, silent: int = 0) -> list[Pod]:
    found = [
        *(a_pod(on="n") for _ in range(placed)),
        *(a_pod(condition=("Unschedulable", BUSY)) for _ in range(waiting)),
        *(a_pod() for _ in range(silent)),
    ]
    return [
        msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, name=f"p{i}"))
        for i, pod in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("job", "seen", "refused", "known", "line"),
    [
        (a_job(), pods(placed=1), "", True, "j starts now on n"),
        (a_job(), pods(waiting=1), "", True, "j waits: it would fit on 2 nodes, but they are busy"),
        (a_job(), pods(silent=1), "", False, "j waits: the scheduler has not got to it yet"),
        (a_job(), [], "", False, "j waits: its pods are not made yet"),
        (a_job(), [], QUOTA.format(hard=8), True, "j waits: quota gpus of its namespace is used"),
        (a_job(), [], FORBIDDEN, True, "j cannot start: the cluster refuses its pods: "),
        (a_job(suspend=True), [], "", True, "j waits: it is held (suspended)"),
        (an_array(3, 3), pods(placed=3), "", True, "j: all 3 pods start now"),
        (an_array(9, 3), pods(placed=3), "", True, "j: 3 of 9 pods start now, no more than 3 at"),
        (
            an_array(40, 40),
            pods(placed=13, waiting=27),
            "",
            True,
            "j: 13 of 40 pods start now, 27 wait: it would fit on 2 nodes, but they are busy",
        ),
        (
            an_array(4, 4),
            pods(placed=1, waiting=1, silent=1),
            "",
            False,
            "j: 1 of 4 pods start now, 1 not seen by the scheduler yet, 1 not made yet, 1 wait: ",
        ),
        (
            an_array(4, 4),
            pods(placed=1),
            QUOTA.format(hard=8),
            True,
            "j: 1 of 4 pods start now, 3 refused: quota gpus of its namespace is used up",
        ),
    ],
)
def test_the_line_at_submit(
    job: Job, seen: list[Pod], refused: str, known: bool, line: str
) -> None:
    events = [an_event("FailedCreate", refused, "j")] if refused else []
    found = evidence(job, seen, events)
    assert start.is_known(found) is known
    assert start.line(found).startswith(line)
