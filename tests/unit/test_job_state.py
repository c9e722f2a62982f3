"""Job + Pods + Events -> state, where recordings have no case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.jobs import pods as pod_views
from jobman.jobs import quota, state
from jobman.kube.objects import Event, Job, Pod
from jobman.values.enums import State

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
AGO = {"created": NOW - timedelta(minutes=10), "started": NOW - timedelta(minutes=9)}


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def a_job(meta: dict[str, Any] | None = None, status: Any = None, **spec: Any) -> Job:
    metadata = {"name": "train", "namespace": "team", "uid": "u-job"} | (meta or {})
    return msgspec.convert({"metadata": metadata, "spec": spec, "status": status or {}}, Job)


def a_pod(name: str = "train-x", *, at: int = 0, **status: Any) -> Pod:
    meta: dict[str, Any] = {"name": name, "uid": f"u-{name}"}
    meta["creationTimestamp"] = stamp(AGO["created"] + timedelta(seconds=at))
    meta |= status.pop("meta", {})
    spec = {"restartPolicy": "Never", "containers": [{"name": "main"}], "nodeName": "n1"}
    spec |= status.pop("spec", {})
    return msgspec.convert({"metadata": meta, "spec": spec, "status": status}, Pod)


def running() -> dict[str, Any]:
    state_now = {"running": {"startedAt": stamp(AGO["started"])}}
    return {"phase": "Running", "containerStatuses": [{"name": "main", "state": state_now}]}


def ended(code: int, reason: str = "", at: int = 60, **more: Any) -> dict[str, Any]:
    end = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "startedAt": stamp(AGO["started"]),
        "finishedAt": stamp(AGO["started"] + timedelta(seconds=at)),
    }
    return {
        "phase": "Running",
        "containerStatuses": [{"name": "main", "state": {"terminated": end}}],
    } | more


def waiting(reason: str, message: str = "", minutes_ago: float = 0.5) -> dict[str, Any]:
    since = stamp(NOW - timedelta(minutes=minutes_ago))
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": since}
    status = {"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}
    return {"phase": "Pending", "conditions": [scheduled], "containerStatuses": [status]}


def an_event(reason: str, message: str, **more: Any) -> Event:
    meta = {"name": f"e-{reason}", "creationTimestamp": stamp(NOW)}
    about = {"kind": "Job", "name": "train", "uid": "u-job"}
    return msgspec.convert(
        {"metadata": meta, "reason": reason, "message": message, "involvedObject": about} | more,
        Event,
    )


CANCELLED = {"annotations": {"jobman/cancelled-at": "2026-11-21T11:59:00.000000Z"}}
BAD = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "limit"}

JOBS: dict[str, tuple[Job, list[Pod], tuple[str, str, int | None]]] = {
    "new": (a_job(), [], ("Pending", "", None)),
    "suspended": (a_job(suspend=True), [], ("Suspended", "", None)),
    "being deleted": (
        a_job({"deletionTimestamp": stamp(NOW)}),
        [a_pod(**running())],
        ("Deleting", "", None),
    ),
    "its pod cannot be seen": (a_job(status={"active": 1, "ready": 1}), [], ("Running", "", None)),
    "container over, phase behind": (a_job(), [a_pod(**ended(0))], ("Succeeded", "", 0)),
    "no retry left": (
        a_job(backoffLimit=0),
        [a_pod(**ended(3))],
        ("Failed", "Error(exit 3)", 3),
    ),
    "a retry left": (
        a_job(backoffLimit=1),
        [a_pod(**ended(3))],
        ("Pending", "Error(exit 3)", None),
    ),
    "the retry runs": (
        a_job(backoffLimit=1),
        [a_pod("a", **ended(3)), a_pod("b", at=60, **running())],
        ("Running", "", None),
    ),
    "the retries are used up": (
        a_job(backoffLimit=1),
        [a_pod("a", **ended(3)), a_pod("b", at=60, **ended(4))],
        ("Failed", "Error(exit 4)", 4),
    ),
    "out of memory": (
        a_job(backoffLimit=0),
        [a_pod(**ended(137, "OOMKilled"))],
        ("Failed", "OOMKilled", 137),
    ),
    "evicted": (
        a_job(backoffLimit=0),
        [a_pod(**ended(137, reason="Error") | {"phase": "Failed", "reason": "Evicted"})],
        ("Failed", "Evicted", 137),
    ),
    "cancelled while it ran": (
        a_job(CANCELLED, backoffLimit=0),
        [a_pod(**ended(143) | {"phase": "Failed", "reason": "DeadlineExceeded"})],
        ("Cancelled", "", 143),
    ),
    "cancelled, still stopping": (a_job(CANCELLED), [a_pod(**running())], ("Running", "", None)),
    "cancelled while it waited": (a_job(CANCELLED, suspend=True), [], ("Cancelled", "", None)),
    "cancelled before its pod began": (
        a_job(CANCELLED, status={"conditions": [BAD], "failed": 1, "startTime": stamp(NOW)}),
        [],
        ("Cancelled", "", None),
    ),
    "cancelled too late": (a_job(CANCELLED), [a_pod(**ended(0))], ("Succeeded", "", 0)),
    "cancelled by nonsense": (
        a_job({"annotations": {"jobman/cancelled-at": "\x1b[31m"}}),
        [],
        ("Pending", "", None),
    ),
    "failed, pods gone": (
        a_job(status={"conditions": [BAD], "failed": 1}),
        [],
        ("Failed", "BackoffLimitExceeded", None),
    ),
    "simulated, no container status": (a_job(), [a_pod(phase="Running")], ("Running", "", None)),
    "node lost": (
        a_job(),
        [a_pod(phase="Unknown", reason="NodeLost")],
        ("Running", "NodeLost", None),
    ),
    "wrong volume, not for long": (
        a_job(),
        [a_pod(**waiting("ContainerCreating"))],
        ("Starting", "ContainerCreating", None),
    ),
    "several, one runs": (
        a_job(parallelism=3, completions=3),
        [a_pod("a", **running()), a_pod("b", **waiting("InvalidImageName")), a_pod("c")],
        ("Running", "", None),
    ),
    "several, one stuck": (
        a_job(parallelism=2, completions=2),
        [a_pod("a", **ended(0)), a_pod("b", **waiting("InvalidImageName"))],
        ("Stuck", "InvalidImageName", None),
    ),
}


@pytest.mark.parametrize("case", JOBS)
def test_the_state_of_a_job(case: str) -> None:
    job, pods, expected = JOBS[case]
    view = state.of(job, pods, now=NOW)
    assert (view.state.value, view.reason, view.exit_code) == expected


DENIED = "pull access denied, repository does not exist or may require authorization"
PULLS: list[tuple[str, str, float, State]] = [
    ("ErrImagePull", 'failed to resolve "x": not found', 0, State.STUCK),
    ("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {DENIED}', 0, State.STUCK),
    ("ErrImagePull", "unexpected status: 401 Unauthorized", 0, State.STUCK),
    ("ErrImagePull", "manifest unknown", 0, State.STUCK),
    ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", 0.9, State.STARTING),
    ("ErrImagePull", "dial tcp 10.0.0.1:443: i/o timeout", 1.0, State.STUCK),
    ("ImagePullBackOff", 'Back-off pulling image "x"', 0.5, State.STARTING),
    ("InvalidImageName", "", 0, State.STUCK),
    ("ErrImageNeverPull", "", 0, State.STUCK),
    ("CreateContainerConfigError", 'secret "s" not found', 0, State.STUCK),
    ("CreateContainerConfigError", "couldn't find key k in ConfigMap a/b", 0, State.STUCK),
    ("CreateContainerConfigError", "failed to sync secret cache: timed out", 0.9, State.STARTING),
    ("RunContainerError", "context deadline exceeded", 0.5, State.STARTING),
    ("RunContainerError", "context deadline exceeded", 2, State.STUCK),
    ("ContainerCreating", "", 60, State.STARTING),
]


@pytest.mark.parametrize(("reason", "message", "minutes", "expected"), PULLS)
def test_what_keeps_a_container_from_starting(
    reason: str, message: str, minutes: float, expected: State
) -> None:
    view = pod_views.view(a_pod(**waiting(reason, message, minutes)), now=NOW)
    assert (view.state, view.reason, view.message) == (expected, reason, message)


def test_a_pull_counts_from_its_first_failure_not_from_the_start() -> None:
    pod = a_pod(**waiting("ErrImagePull", "connection reset", minutes_ago=30))
    failure = an_event("Failed", "connection reset", firstTimestamp=stamp(NOW))
    assert pod_views.view(pod, now=NOW).state is State.STUCK
    assert pod_views.view(pod, [failure], now=NOW).state is State.STARTING


def seen(reason: str, first_s: float, last_s: float) -> Event:
    """An event about the pod: how many seconds ago first, and how many last."""
    first, last = (stamp(NOW - timedelta(seconds=each)) for each in (first_s, last_s))
    about = {"kind": "Pod", "name": "train-x"}
    times = {"firstTimestamp": first, "lastTimestamp": last}
    return an_event(reason, reason, involvedObject=about, **times)


MOUNTS: dict[str, tuple[list[Event], tuple[State, str]]] = {
    "it fails for a minute": ([seen("FailedMount", 60, 5)], (State.STUCK, "FailedMount")),
    "it fails since a moment": ([seen("FailedMount", 59, 5)], (State.STARTING, "FailedMount")),
    "it failed before the image's pull": (
        [seen("Pulling", 300, 300), seen("FailedMount", 320, 301)],
        (State.STARTING, "ContainerCreating"),
    ),
    "it failed in the second of the pull": (
        [seen("Pulling", 300, 300), seen("FailedMount", 320, 300)],
        (State.STARTING, "ContainerCreating"),
    ),
    "the sandbox fails after the pull": (
        [seen("Pulling", 300, 300), seen("FailedCreatePodSandBox", 200, 5)],
        (State.STUCK, "FailedCreatePodSandBox"),
    ),
    "attached at last": (
        [seen("FailedAttachVolume", 400, 90), seen("SuccessfulAttachVolume", 80, 80)],
        (State.STARTING, "ContainerCreating"),
    ),
    "attached, and not mounted": (
        [seen("SuccessfulAttachVolume", 90, 90), seen("FailedMount", 80, 10)],
        (State.STUCK, "FailedMount"),
    ),
}


@pytest.mark.parametrize("case", MOUNTS)
def test_what_failed_before_a_pod_got_further_is_over(case: str) -> None:
    events, expected = MOUNTS[case]
    pod = a_pod(**waiting("ContainerCreating", minutes_ago=10))
    for order in (events, events[::-1]):
        view = pod_views.view(pod, order, now=NOW)
        assert (view.state, view.reason) == expected


def test_a_pod_that_was_made_ready_had_its_volumes() -> None:
    events = [seen("FailedMount", 400, 350)]
    creating = waiting("ContainerCreating", minutes_ago=10)
    ready = [{"type": "PodReadyToStartContainers", "status": "True"}]
    pulls = a_pod(**creating | {"conditions": creating["conditions"] + ready})
    begun = {"running": {"startedAt": stamp(AGO["started"])}}
    initializes = a_pod(
        **waiting("PodInitializing"), initContainerStatuses=[{"name": "init", "state": begun}]
    )
    for pod in (pulls, initializes):
        assert pod_views.view(pod, events, now=NOW).state is State.STARTING
    assert pod_views.view(a_pod(**creating), events, now=NOW).state is State.STUCK


QUOTA = (
    'Error creating: pods "a-b" is forbidden: exceeded quota: q,'
    " requested: {}, used: {}, limited: {}"
)
REFUSALS: list[tuple[str, bool]] = [
    (QUOTA.format("cpu=2", "cpu=3", "cpu=4"), False),
    (QUOTA.format("cpu=5", "cpu=0", "cpu=4"), True),
    (
        QUOTA.format("cpu=1,requests.nvidia.com/gpu=8", "cpu=0", "cpu=4,requests.nvidia.com/gpu=4"),
        True,
    ),
    (QUOTA.format("memory=500Mi", "memory=1Gi", "memory=1Gi"), False),
    (QUOTA.format("cpu=lots", "cpu=3", "cpu=4"), False),
    (
        'Error creating: pods "a" is forbidden: error looking up service account n/s: not found',
        True,
    ),
    ("Error creating: Internal error occurred: failed calling webhook: timeout", False),
    ('Error creating: Pod "a" is invalid: spec.containers: Required value', True),
    ("", False),
]


@pytest.mark.parametrize(("message", "never"), REFUSALS)
def test_which_refusals_do_not_pass(message: str, never: bool) -> None:
    assert quota.can_never_be_created(message) is never


def test_refusals_older_than_the_last_pod_say_nothing() -> None:
    job = a_job(backoffLimit=3)
    pods = [a_pod(**ended(1))]
    old = an_event("FailedCreate", "forbidden", lastTimestamp=stamp(AGO["created"]))
    new = an_event("FailedCreate", "webhook down", lastTimestamp=stamp(NOW))
    assert state.of(job, pods, [old], now=NOW).reason == "Error(exit 1)"
    assert state.of(job, pods, [old, new], now=NOW).reason == "FailedCreate"


def test_events_of_another_job_say_nothing() -> None:
    other = an_event("FailedCreate", "no", involvedObject={"kind": "Job", "name": "other"})
    assert state.of(a_job(), [], [other], now=NOW).reason == ""


@pytest.mark.parametrize(("done", "expected"), [(2, State.CANCELLED), (9, State.SUCCEEDED)])
def test_an_array_that_a_cancel_cut_short_has_its_size(done: int, expected: State) -> None:
    """What had begun of it succeeded after all: the rest is cancelled."""
    notes = CANCELLED["annotations"] | {"jobman/array": "9%3"}
    complete = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": done}
    job = a_job({"annotations": notes}, status=complete, completions=2, completionMode="Indexed")
    view = state.of(job, [], now=NOW)
    assert (view.state, view.completions, view.succeeded) == (expected, 9, done)


@pytest.mark.parametrize(
    ("ended_at", "reason", "expected"),
    [
        (59, "DeadlineExceeded", (State.FAILED, "DeadlineExceeded")),
        (60, "DeadlineExceeded", (State.CANCELLED, "")),
        (90, "DeadlineExceeded", (State.CANCELLED, "")),
        (90, "Evicted", (State.FAILED, "Evicted")),
    ],
    ids=["its own time limit", "the same second", "after it", "another end"],
)
def test_what_a_cancel_ended_is_cancelled(
    ended_at: int, reason: str, expected: tuple[State, str]
) -> None:
    """A deadline is how a cancel ends a pod: its log stays."""
    moment = stamp(AGO["started"] + timedelta(seconds=60, milliseconds=500))
    pods = [
        a_pod("a", **ended(143, at=ended_at) | {"phase": "Failed", "reason": reason}),
        a_pod("b", **ended(3)),
    ]
    job = a_job(
        {"annotations": {"jobman/cancelled-at": moment}},
        status={"conditions": [BAD], "failed": 2},
        completions=2,
    )
    view = state.of(job, pods, now=NOW)
    first, other = view.pods
    assert view.state is State.CANCELLED
    assert (first.state, first.reason, first.exit_code) == (*expected, 143)
    assert (other.state, other.reason) == (State.FAILED, "Error(exit 3)")
    assert view.failed == 1 + (first.state is State.FAILED)


def test_times_span_all_attempts() -> None:
    job = a_job(backoffLimit=1)
    pods = [a_pod("a", **ended(1, at=10)), a_pod("b", at=20, **ended(1, at=90))]
    view = state.of(job, pods, now=NOW)
    assert view.started_at == AGO["started"]
    assert view.finished_at == AGO["started"] + timedelta(seconds=90)


def test_a_container_that_never_started_has_no_start() -> None:
    status = ended(128, "StartError")
    status["containerStatuses"][0]["state"]["terminated"]["startedAt"] = "1970-01-01T00:00:00Z"
    view = pod_views.view(a_pod(**status), now=NOW)
    assert view.started_at is None
    assert not view.has_started
    assert view.message == ""


REASONS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["ErrImagePull", "CrashLoopBackOff", "ContainerCreating", "OOMKilled"]),
)
STATES = st.one_of(
    st.builds(lambda r, m: {"waiting": {"reason": r, "message": m}}, REASONS, st.text()),
    st.just({"running": {}}),
    st.builds(
        lambda c, r: {"terminated": {"exitCode": c, "reason": r}}, st.integers(-1, 300), REASONS
    ),
    st.just({}),
)
STATUSES = st.lists(st.builds(lambda s: {"name": "main", "state": s}, STATES), max_size=3)
PHASES = st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown", "", "Odd"])


@given(
    phase=PHASES,
    statuses=STATUSES,
    inits=STATUSES,
    policy=st.sampled_from(["Never", "OnFailure", "Always", ""]),
    limit=st.integers(0, 2),
    completions=st.integers(0, 3),
    index=st.text(max_size=12),
)
def test_every_status_has_a_state(
    phase: str,
    statuses: list[Any],
    inits: list[Any],
    policy: str,
    limit: int,
    completions: int,
    index: str,
) -> None:
    pod = a_pod(
        phase=phase,
        containerStatuses=statuses,
        initContainerStatuses=inits,
        spec={"restartPolicy": policy},
        meta={"annotations": {"batch.kubernetes.io/job-completion-index": index}},
    )
    job = a_job(backoffLimit=limit, completions=completions)
    view = state.of(job, [pod], now=NOW)
    assert view.finished == (view.state in (State.SUCCEEDED, State.FAILED, State.CANCELLED))
    if view.state is State.SUCCEEDED and completions == 1:
        assert view.exit_code == 0
    if view.many:
        assert view.exit_code is None
