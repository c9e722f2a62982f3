"""Why a job failed: every cause, with what a real server says of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.recorded_watches import moments
from plugins.replay_recordings import RECORDINGS

from jobman.config.flavors import Flavor
from jobman.jobs import state
from jobman.kube.labels import COMPLETION_INDEX
from jobman.kube.objects import Event, Job, Pod
from jobman.values.duration import parse_duration
from jobman.why import cause, failed
from jobman.why.diagnosis import Diagnosis

RECORDED: dict[str, Any] = json.loads((RECORDINGS / "why" / "failed-pods.json").read_text())
REJECTED = (
    "Pod was rejected: Node didn't have enough resource: cpu, "
    "requested: 50000, used: 200, capacity: 2000"
)
LOST = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "limit"}


def flavor(name: str, memory: str) -> Flavor:
    return Flavor.model_validate({"name": name, "resources": {"limits": {"memory": memory}}})


FLAVORS = [flavor("huge", "64Gi"), flavor("small", "1Gi"), flavor("tiny", "10Mi")]


def a_pod(
    ended: dict[str, Any] | None = None,
    *,
    name: str = "train-abcde",
    index: int | None = None,
    limits: dict[str, str] | None = None,
    **status: Any,
) -> Pod:
    statuses = [{"name": "main", "state": {"terminated": ended}}] if ended else []
    notes = {} if index is None else {COMPLETION_INDEX: str(index)}
    document = {
        "metadata": {"name": name, "annotations": notes},
        "spec": {
            "nodeName": "n7",
            "restartPolicy": "Never",
            "containers": [{"name": "main", "resources": {"limits": limits or {}}}],
        },
        "status": {"phase": "Failed", "containerStatuses": statuses, **status},
    }
    return msgspec.convert(document, Pod)


def a_job(spec: dict[str, Any] | None = None, **status: Any) -> Job:
    filled = {"conditions": [LOST], **status}
    document = {"metadata": {"name": "train"}, "spec": spec or {}, "status": filled}
    return msgspec.convert(document, Job)


def why(
    pods: Sequence[Pod],
    job: Job | None = None,
    events: Sequence[Event] = (),
    log: Sequence[str] = (),
    flavors: Sequence[Flavor] = FLAVORS,
) -> Diagnosis:
    job = job or a_job()
    view = state.of(job, pods, events)
    return failed.diagnose(view, job, pods, events, flavors=flavors, log_tail=log)


def end(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"exitCode": code, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("recording", "kind", "sentence", "first"),
    [
        ("Error-exit-3", "exit", "container main ended with exit code 3", "jobman logs train"),
        (
            "Error-killed-by-own-signal",
            "exit",
            "container main ended with exit code 139 (SIGSEGV, segmentation fault)",
            "jobman logs train",
        ),
        (
            "OOMKilled",
            "oom",
            "container main was OOMKilled: it needs more than its memory limit of 20Mi",
            "jobman retry train -r small",
        ),
        (
            "StartError-missing-executable-restart-Never",
            "not-started",
            "container main could not start: /no/such/file: no such file or directory",
            "jobman submit … -- COMMAND, with a command that the image has",
        ),
        (
            "StartError-not-executable",
            "not-started",
            "container main could not start: /etc: permission denied",
            "jobman submit … -- COMMAND, with a command that the image has",
        ),
        (
            "StartError-workingDir-is-a-file",
            "not-started",
            "container main could not start: mkdir /bin/sh: not a directory",
            "jobman submit … -- COMMAND, with a command that the image has",
        ),
        (
            "delete-SIGTERM-exit-143",
            "exit",
            "container main ended with exit code 143 (SIGTERM, it was asked to stop)",
            "jobman logs train",
        ),
        (
            "init-container-fails-Never",
            "exit",
            "init container init1 ended with exit code 9",
            "jobman logs train",
        ),
        (
            "two-containers-one-fails",
            "exit",
            "container second ended with exit code 6",
            "jobman logs train",
        ),
        (
            "nodeName-given-OutOfcpu",
            "rejected",
            f"node node1 rejected its pod (OutOfcpu): {REJECTED}",
            "jobman retry train",
        ),
        (
            "node-deleted",
            "node-lost",
            "its node {node} is gone",
            "jobman retry train",
        ),
        (
            "preempted",
            "preempted",
            "its pod on {node} was preempted by one of higher priority",
            "jobman retry train",
        ),
        (
            "evicted-api",
            "evicted",
            "its pod on {node} was evicted on demand, as to drain the node",
            "jobman retry train",
        ),
        (
            "pod-deadline",
            "deadline",
            "it ran longer than its time limit of {limit}",
            "jobman submit … --time-limit {twice}",
        ),
    ],
)
def test_what_a_server_says_of_a_failed_pod(
    recording: str, kind: str, sentence: str, first: str
) -> None:
    document = RECORDED[recording]
    limit = document["spec"].get("activeDeadlineSeconds", 0)
    filled = {
        "node": document["spec"]["nodeName"],
        "limit": cause.period(limit),
        "twice": cause.period(2 * limit),
    }
    found = why([msgspec.convert(document, Pod)])
    assert (found.kind, found.sentence) == (kind, sentence.format(**filled))
    assert found.suggestions[0] == first.format(**filled)


def test_a_killed_child_is_oom_too_and_last_words_are_evidence() -> None:
    assert why([msgspec.convert(RECORDED["OOMKilled-child-process"], Pod)]).kind == "oom"
    found = why([msgspec.convert(RECORDED["terminationMessage"], Pod)], log=["one", "two"])
    assert found.evidence[0] == "the Job: BackoffLimitExceeded: limit"
    assert found.evidence[1].endswith(": my last words")
    assert found.evidence[2:] == ("log: one", "log: two")


@pytest.mark.parametrize(
    ("pod", "kind", "part", "first"),
    [
        (a_pod(end(127)), "exit", "127 (command not found)", "jobman submit … -- COMMAND"),
        (a_pod(end(126)), "exit", "no permission", "jobman submit … -- COMMAND"),
        (a_pod(end(135)), "exit", "SIGBUS", "jobman submit … --shm 8Gi"),
        (a_pod(end(134)), "exit", "SIGABRT", "jobman logs train"),
        (a_pod(end(250)), "exit", "exit code 250", "jobman logs train"),
        (
            a_pod(end(137, "OOMKilled"), limits={"memory": "64Gi"}),
            "oom",
            "memory limit of 64Gi",
            "jobman retry train --set-resource memory=128Gi",
        ),
        (
            a_pod(end(137, "OOMKilled")),
            "oom",
            "without a memory limit of its own",
            "jobman retry train --set-resource memory=AMOUNT",
        ),
        (
            a_pod(
                limits={"memory": "100Mi"},
                reason="Evicted",
                message="The node was low on resource: memory. Threshold quantity: 100Mi.",
            ),
            "evicted",
            "its pod was evicted from n7: The node was low on resource: memory. ",
            "jobman retry train -r small",
        ),
        (
            a_pod(
                limits={"ephemeral-storage": "1Gi"},
                reason="Evicted",
                message="Pod ephemeral local storage usage exceeds the total limit of 1Gi.",
            ),
            "evicted",
            "exceeds the total limit",
            "jobman retry train --set-resource ephemeral-storage=2Gi",
        ),
        (
            a_pod(reason="Evicted", message="The node had condition: [DiskPressure]. "),
            "evicted",
            "[DiskPressure]",
            "jobman retry train --set-resource ephemeral-storage=AMOUNT",
        ),
        (a_pod(reason="NodeLost"), "node-lost", "its node n7 was lost", "jobman retry train"),
        (a_pod(reason="NodeShutdown"), "node-lost", "was shut down", "jobman retry train"),
        (a_pod(), "unknown", "Error", "jobman retry train"),
    ],
)
def test_what_else_a_pod_fails_of(pod: Pod, kind: str, part: str, first: str) -> None:
    found = why([pod])
    assert found.kind == kind
    assert part in found.sentence
    assert found.suggestions[0].startswith(first)


def test_tries_are_counted_and_the_commonest_cause_comes_first() -> None:
    codes = [1, 7, 7]
    pods = [a_pod(end(code), name=f"train-{n}") for n, code in enumerate(codes)]
    assert why(pods).sentence == (
        "it failed in 3 tries: 2 times container main ended with exit code 7; "
        "1 time container main ended with exit code 1"
    )
    same = why(pods[1:], a_job({"backoffLimit": 2}, failed=3))
    assert same.sentence.endswith("exit code 7, in the 2 that are still there of 3 tries")


def test_an_array_is_grouped_by_cause_with_its_indexes() -> None:
    spec = {"completions": 10, "completionMode": "Indexed", "backoffLimitPerIndex": 0}
    job = a_job(spec, completedIndexes="4-6,8", failedIndexes="0-3,7,9")
    pods = [a_pod(end(3), name=f"train-{i}-x", index=i) for i in (0, 1, 2, 3)]
    oom = a_pod(end(137, "OOMKilled"), name="train-7-x", index=7, limits={"memory": "1Gi"})
    found = why([*pods, oom], job)
    assert found.sentence == (
        "6 of 10 indexes failed: 0-3: container main ended with exit code 3; "
        "7: container main was OOMKilled: it needs more than its memory limit of 1Gi; "
        "9: its pod is gone, and with it what it said"
    )
    assert found.suggestions == ("jobman logs train --index 0", "jobman retry train --failed")
    assert why([oom], job).suggestions[0] == "jobman retry train --failed -r huge"


def test_pods_that_could_not_be_made() -> None:
    document = {
        "metadata": {"name": "e"},
        "reason": "FailedCreate",
        "message": 'pods "train-x" is forbidden: no',
        "involvedObject": {"kind": "Job", "name": "train"},
    }
    refused = msgspec.convert(document, Event)
    ended = {**LOST, "reason": "DeadlineExceeded"}
    found = why([], a_job({"activeDeadlineSeconds": 90}, conditions=[ended]), [refused])
    assert found.kind == "job-deadline"
    assert found.sentence == (
        "the whole job took longer than its deadline of 1m30s; its pods could not be made: "
        'pods "train-x" is forbidden: no'
    )
    assert found.suggestions == ("jobman submit … --time-limit 3m",)
    alone = why([], None, [refused])
    assert (alone.kind, alone.suggestions) == ("refused", ("jobman details train",))


@pytest.mark.parametrize(
    ("scenario", "kind", "sentence"),
    [
        ("failed-backoff2", "exit", "container main ended with exit code 7, in each of 3 tries"),
        ("failed-exit1-backoff0", "exit", "container main ended with exit code 1"),
        ("failed-deadline", "job-deadline", "the whole job took longer than its deadline of"),
        ("failed-pod-activeDeadline", "deadline", "it ran longer than its time limit of"),
        ("failed-podFailurePolicy-FailJob", "exit", "container main ended with exit code 42"),
        ("failed-restartPolicy-OnFailure", "pod-gone", "its pod failed "),
        ("failed-backoffLimitPerIndex", "exit", " indexes failed: "),
        ("failed-maxFailedIndexes", "exit", ", more than the "),
        ("indexed-one-index-fails", "exit", " indexes failed: "),
    ],
)
def test_recorded_jobs(scenario: str, kind: str, sentence: str) -> None:
    *_, last = moments(f"jobs/{scenario}")
    assert last.job is not None
    found = why(list(last.pods.values()), last.job, list(last.events.values()))
    assert found.kind == kind
    assert sentence in found.sentence
    assert found.suggestions


@given(st.integers(0, 10**8))
def test_a_period_reads_back(seconds: int) -> None:
    assert parse_duration(cause.period(seconds)) == seconds


HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "Evicted",
            "OOMKilled",
            "StartError",
            "DeadlineExceeded",
            "\x1b[31m",
            'exec: "',
            "x" * 9999,
        ]
    ),
)
ENDED = st.none() | st.builds(end, st.integers(-1, 2**31), HOSTILE, HOSTILE)
PODS = st.builds(
    a_pod,
    ENDED,
    name=HOSTILE,
    index=st.none() | st.integers(0, 9),
    limits=st.dictionaries(st.sampled_from(["memory", "ephemeral-storage"]), HOSTILE),
    reason=HOSTILE,
    message=HOSTILE,
    conditions=st.lists(
        st.builds(
            lambda reason, message: {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": reason,
                "message": message,
            },
            HOSTILE,
            HOSTILE,
        ),
        max_size=2,
    ),
)
SPECS = st.sampled_from(
    [
        {},
        {"completions": 3},
        {"completions": 3, "completionMode": "Indexed"},
        {"completions": 1, "completionMode": "Indexed"},
        {"activeDeadlineSeconds": 0},
    ]
)


@given(st.lists(PODS, max_size=4), SPECS, HOSTILE, HOSTILE, st.lists(HOSTILE, max_size=3))
def test_odd_input_gives_a_sentence_of_bounded_length(
    pods: list[Pod], spec: dict[str, Any], reason: str, indexes: str, log: list[str]
) -> None:
    lost = {**LOST, "reason": reason}
    job = a_job(spec, conditions=[lost], failedIndexes=indexes)
    found = why(pods, job, log=log)
    assert found.sentence
    assert len(found.sentence) < 6 * cause.LONGEST * (1 + len(pods))
    assert [line for line in found.evidence if line.startswith("log: ")][-len(log) :] == [
        f"log: {line}" for line in log
    ] or not log


def test_a_job_of_which_nothing_is_known() -> None:
    found = why([], a_job(conditions=[]), flavors=())
    assert found.sentence == "the cluster does not say why"
    assert found.unseen
