"""States derived from what a real server said, at each moment of a job's life."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from plugins.recorded_watches import items, moments

from jobman.jobs import pods, quota, state
from jobman.jobs.state import JobView
from jobman.kube.objects import Event, Job, ObjectMeta
from jobman.values.enums import State

Step = tuple[str, str, int | None]
BEGIN: list[Step] = [
    ("Pending", "", None),
    ("Starting", "Scheduled", None),
    ("Starting", "ContainerCreating", None),
    ("Running", "", None),
]
AGAIN = BEGIN
DEADLINE = "DeadlineExceeded"
LIMIT = "BackoffLimitExceeded"
EVICTED = "EvictionByEvictionAPI"

JOBS: dict[str, list[Step]] = {
    "complete": [*BEGIN, ("Succeeded", "", 0)],
    "completions-0": [("Pending", "", None), ("Succeeded", "", 0)],
    "failed-exit1-backoff0": [*BEGIN, ("Failed", "Error(exit 1)", 1)],
    "failed-backoff2": [
        *BEGIN,
        ("Pending", "Error(exit 7)", None),
        *AGAIN,
        ("Pending", "Error(exit 7)", None),
        *AGAIN,
        ("Failed", "Error(exit 7)", 7),
    ],
    "failed-deadline": [
        *BEGIN,
        ("Running", "Terminating", None),
        ("Running", DEADLINE, None),
        ("Failed", DEADLINE, 137),
        ("Failed", DEADLINE, None),
    ],
    "failed-pod-activeDeadline": [*BEGIN, ("Failed", DEADLINE, 137)],
    "failed-podFailurePolicy-FailJob": [
        *BEGIN,
        ("Pending", "Error(exit 42)", None),
        ("Failed", "Error(exit 42)", 42),
    ],
    "failed-restartPolicy-OnFailure": [
        *BEGIN,
        ("Running", "Error(exit 4)", None),
        ("Running", "", None),
        ("Running", "Error(exit 4)", None),
        ("Running", "CrashLoopBackOff", None),
        ("Running", "", None),
        ("Running", "Error(exit 4)", None),
        ("Running", LIMIT, None),
        ("Failed", "Error(exit 4)", 4),
        ("Failed", LIMIT, None),
    ],
    "indexed-complete": [*BEGIN, *AGAIN, ("Succeeded", "", None)],
    "indexed-one-index-fails": [
        *BEGIN,
        ("Running", LIMIT, None),
        ("Failed", LIMIT, None),
    ],
    "indexed-successPolicy": [*BEGIN, ("Succeeded", "", None)],
    "failed-backoffLimitPerIndex": [
        *BEGIN,
        *AGAIN,
        ("Pending", "Error(exit 3)", None),
        ("Failed", "FailedIndexes", None),
    ],
    "suspend-resume": [
        ("Suspended", "", None),
        *BEGIN,
        ("Suspended", "Terminating", None),
        ("Suspended", "", None),
        *AGAIN,
        ("Succeeded", "", 0),
    ],
    "podFailurePolicy-Ignore-eviction": [
        *BEGIN,
        ("Running", EVICTED, None),
        ("Pending", EVICTED, None),
        *AGAIN,
        ("Succeeded", "", 0),
    ],
    "pod-deleted-while-running": [
        *BEGIN,
        ("Running", "Terminating", None),
        ("Pending", "Error(exit 143)", None),
        *AGAIN,
        ("Succeeded", "", 0),
    ],
    "stuck-image-pull": [*BEGIN[:3], ("Starting", "ErrImagePull", None)],
    "ttlSecondsAfterFinished-0": [*BEGIN, ("Succeeded", "", 0), ("Deleting", "", None)],
    "work-queue": [*BEGIN, ("Succeeded", "", None)],
}


@pytest.mark.parametrize("scenario", JOBS)
def test_the_states_of_a_job(scenario: str) -> None:
    steps: list[Step] = []
    for moment in moments(f"jobs/{scenario}"):
        if moment.job is None or moment.job_gone:
            continue
        found = list(moment.pods.values()), list(moment.events.values())
        view = state.of(moment.job, *found, now=moment.now)
        step = (view.state.value, view.reason, view.exit_code)
        if [step] != steps[-1:]:
            steps.append(step)
    assert steps == JOBS[scenario]


def last_view(scenario: str) -> JobView:
    *_, moment = moments(f"jobs/{scenario}")
    assert moment.job is not None
    return state.of(moment.job, list(moment.pods.values()), now=moment.now)


def test_the_times_and_the_place_of_a_run() -> None:
    view = last_view("complete")
    assert view.started_at is not None
    assert view.finished_at is not None
    assert (view.finished_at - view.started_at).total_seconds() == 2
    assert view.node == "node1"
    assert (view.completions, view.succeeded, view.failed, view.active) == (1, 1, 0, 0)


def test_an_array_counts_its_indexes() -> None:
    view = last_view("indexed-complete")
    assert view.many
    assert (view.completions, view.succeeded, view.active) == (4, 4, 0)
    assert [pod.index for pod in view.pods] == [0, 1, 2, 3]


def test_the_first_failure_of_an_array_is_named() -> None:
    view = last_view("failed-backoffLimitPerIndex")
    assert view.message.startswith("Job has failed indexes; first: pod pidx-1-")
    assert view.message.endswith(": Error(exit 3)")


PENDING: Step = ("Pending", "", None)
SCHEDULED: Step = ("Starting", "Scheduled", None)
CREATING: Step = ("Starting", "ContainerCreating", None)
INITIALIZING: Step = ("Starting", "PodInitializing", None)
RUNNING: Step = ("Running", "", None)
START = [PENDING, SCHEDULED, CREATING]
DONE: Step = ("Succeeded", "Completed", 0)
CONFIG: Step = ("Stuck", "CreateContainerConfigError", None)
CRASHED: Step = ("Running", "Error(exit 1)", 1)
CRASH_LOOP: Step = ("Running", "CrashLoopBackOff", 1)

PODS: dict[str, list[Step]] = {
    "Completed": [*START, RUNNING, DONE],
    "ContainerCreating-missing-configmap-volume": [*START, ("Starting", "FailedMount", None)],
    "CrashLoopBackOff-OnFailure": [
        *START,
        *(RUNNING, CRASHED, RUNNING, CRASHED),
        *(CRASH_LOOP, RUNNING, CRASHED),
        *(CRASH_LOOP, RUNNING, CRASHED),
    ],
    "CreateContainerConfigError-configmap": [*START, CONFIG],
    "CreateContainerConfigError-configmap-key": [*START, CONFIG],
    "CreateContainerConfigError-runAsNonRoot": [*START, CONFIG],
    "CreateContainerConfigError-secret": [*START, CONFIG],
    "Error-exit-3": [*START, RUNNING, ("Failed", "Error(exit 3)", 3)],
    "Error-killed-by-own-signal": [*START, RUNNING, ("Failed", "Error(exit 139)", 139)],
    "OOMKilled": [*START, RUNNING, ("Failed", "OOMKilled", 137)],
    "StartError-missing-executable-restart-Never": [*START, ("Failed", "StartError", 128)],
    "delete-SIGTERM-exit-143": [*START, RUNNING, ("Failed", "Error(exit 143)", 143)],
    "image-ErrImageNeverPull": [*START, ("Stuck", "ErrImageNeverPull", None)],
    "image-ErrImagePull-ImagePullBackOff": [
        *START,
        ("Starting", "ErrImagePull", None),
        ("Starting", "ImagePullBackOff", None),
        ("Starting", "ErrImagePull", None),
    ],
    "image-InvalidImageName": [*START, ("Stuck", "InvalidImageName", None)],
    "init-container-fails-Never": [
        *(PENDING, SCHEDULED, INITIALIZING),
        ("Failed", "Error(exit 9)", 9),
    ],
    "init-containers-ok": [PENDING, SCHEDULED, INITIALIZING, RUNNING, DONE],
    "native-sidecar": [PENDING, SCHEDULED, INITIALIZING, RUNNING, DONE],
    "nodeName-given-OutOfcpu": [SCHEDULED, ("Failed", "OutOfcpu", None)],
    "scheduling-gated": [("Pending", "SchedulingGated", None)],
    "two-containers-one-fails": [*START, RUNNING, ("Failed", "Error(exit 6)", 6)],
    "unknown-scheduler": [PENDING],
    "unschedulable-gpu": [PENDING, ("Pending", "Unschedulable", None)],
    "unschedulable-missing-pvc": [PENDING, ("Pending", "Unschedulable", None)],
}


@pytest.mark.parametrize("scenario", PODS)
def test_the_states_of_a_pod(scenario: str) -> None:
    steps: list[Step] = []
    for moment in moments(f"pods/{scenario}"):
        for pod in moment.pods.values():
            view = pods.view(pod, moment.events.values(), now=moment.now)
            step = (view.state.value, view.reason, view.exit_code)
            if [step] != steps[-1:]:
                steps.append(step)
    assert steps == PODS[scenario]


@pytest.mark.parametrize(
    ("scenario", "reason"),
    [
        ("image-ErrImagePull-ImagePullBackOff", "ErrImagePull"),
        ("ContainerCreating-missing-configmap-volume", "FailedMount"),
    ],
)
def test_trouble_that_lasts_a_minute_is_stuck(scenario: str, reason: str) -> None:
    *_, moment = moments(f"pods/{scenario}")
    (pod,) = moment.pods.values()
    events = list(moment.events.values())
    began = min(e.first_seen for e in events if e.reason in ("Failed", "FailedMount"))
    before, after = began + timedelta(seconds=59), began + timedelta(seconds=60)
    assert pods.view(pod, events, now=before).state is State.STARTING
    found = pods.view(pod, events, now=after)
    assert (found.state, found.reason) == (State.STUCK, reason)


@pytest.mark.parametrize(
    ("recording", "expected"),
    [
        ("quota/gpu-over-quota/events-of-job", State.PENDING),
        ("quota/limitrange/events-job-FailedCreate", State.STUCK),
        ("quota/compute/events-job-FailedCreate", State.STUCK),
        ("errors/events-job-FailedCreate-serviceaccount", State.STUCK),
    ],
)
def test_a_job_without_a_pod_is_explained_by_events(recording: str, expected: State) -> None:
    events = [msgspec.convert(item, Event) for item in items(recording)]
    about = events[0].involved_object
    job = Job(metadata=ObjectMeta(name=about.name, uid=about.uid))
    view = state.of(job, [], events, now=datetime.now(UTC))
    assert (view.state, view.reason) == (expected, "FailedCreate")
    refused = max((e for e in events if e.reason == "FailedCreate"), key=pods.last_seen)
    assert view.message == refused.message
    assert quota.can_never_be_created(view.message) is (expected is State.STUCK)
