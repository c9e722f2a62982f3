"""Which pods a Job has too many, and which it lacks. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from jobman.local.controllers import job_policies
from jobman.local.controllers.indexes import IndexSet
from jobman.local.controllers.job_backoff import Backoff
from jobman.local.controllers.job_pods import JobPod
from jobman.local.controllers.job_template import NewPod

Spec = Mapping[str, Any]

# More come with the next look: other Jobs have their turn in between.
CREATED_AT_ONCE = 100


def wanted(spec: Spec, succeeded: int, active: int) -> int:
    """How many pods should work at the Job."""
    parallelism: int = spec.get("parallelism", 1)
    completions = spec.get("completions")
    if completions is None:
        return active if succeeded else parallelism
    left: int = completions - succeeded
    return max(0, min(parallelism, left))


def to_remove(
    active: list[JobPod], excess: int, completions: int | None, indexed: bool
) -> list[JobPod]:
    """The pods that have no place in the Job, then those that are missed least."""
    misplaced = _misplaced(active, completions or 0) if indexed else []
    if excess <= len(misplaced):
        return misplaced
    gone = {pod.uid for pod in misplaced}
    kept = sorted((pod for pod in active if pod.uid not in gone), key=_worth)
    return misplaced + kept[: excess - len(misplaced)]


def _misplaced(active: list[JobPod], completions: int) -> list[JobPod]:
    """Pods of no index of the Job, and all but the worthiest of one index."""
    found: list[JobPod] = []
    by_index: defaultdict[int, list[JobPod]] = defaultdict(list)
    for pod in active:
        if pod.index is None or pod.index >= completions:
            found.append(pod)
        else:
            by_index[pod.index].append(pod)
    for same in by_index.values():
        found += sorted(same, key=_worth)[:-1]
    return found


def _worth(pod: JobPod) -> tuple[bool, bool, bool, int, tuple[int, ...]]:
    """Placed, running, ready, seldom restarted and old pods are kept."""
    newest_first = tuple(-ord(char) for char in pod.created)
    return bool(pod.node), pod.phase == "Running", pod.ready, -pod.restarts, newest_first


def held(active: Iterable[JobPod], done: IndexSet) -> IndexSet:
    """The indexes that are done or worked at."""
    return done | IndexSet.of(pod.index for pod in active if pod.index is not None)


def taken(pods: Iterable[JobPod], done: IndexSet, *, only_failed: bool = False) -> IndexSet:
    """The indexes that need no new pod; `only_failed`: pods that are going hold theirs, too."""
    return held((p for p in pods if p.active or (only_failed and not p.finished)), done)


def next_indexes(
    taken: IndexSet,
    count: int,
    completions: int,
    delayed: Mapping[int, JobPod],
    spec: Spec,
    now: datetime,
) -> tuple[list[NewPod], float | None]:
    """The lowest free indexes, and after how many seconds the next of them may be tried again.

    `delayed` are the pods that failed last, by index.
    """
    new: list[NewPod] = []
    waits: list[float] = []
    for index in islice(taken.missing(completions), count):
        last = delayed.get(index)
        left_s = 0.0 if last is None else _left_s(last, now)
        if left_s > 0:
            waits.append(left_s)
        else:
            new.append(_after(index, last, spec))
    return new, min(waits, default=None)


def _left_s(last: JobPod, now: datetime) -> float:
    return Backoff(last.all_failures + 1, last.finished_at).left_s(now)


def _after(index: int, last: JobPod | None, spec: Spec) -> NewPod:
    if last is None:
        return NewPod(index)
    if job_policies.ruling(last, spec).counts:
        return NewPod(index, last.failures + 1, last.ignored)
    return NewPod(index, last.failures, last.ignored + 1)
