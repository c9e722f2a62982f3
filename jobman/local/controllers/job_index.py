"""The pods of each Job, kept up to date change by change: nobody looks through all pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from jobman.local.controllers.job_backoff import Backoff
from jobman.local.controllers.job_pods import JobPod


class JobPods:
    """Pods by the uid of their Job; those that are finished and counted are not kept."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, JobPod]] = {}
        self._ended: defaultdict[str, list[JobPod]] = defaultdict(list)

    def put(self, pod: JobPod) -> None:
        """A pod is there, or is not as it was."""
        if pod.finished and not pod.tracked:
            self.drop(pod.owner, pod.uid)
        else:
            self._pods.setdefault(pod.owner, {})[pod.uid] = pod

    def get(self, owner: str, uid: str) -> JobPod | None:
        """A pod as it was told last, if it is kept."""
        return self._pods.get(owner, {}).get(uid)

    def drop(self, owner: str, uid: str) -> None:
        """A pod is gone, or not that Job's any more."""
        pods = self._pods.get(owner, {})
        if pods.pop(uid, None) is not None and not pods:
            del self._pods[owner]

    def of(self, owner: str) -> list[JobPod]:
        """The pods of a Job."""
        return list(self._pods.get(owner, {}).values())

    def count(self, owner: str) -> int:
        """How many pods of a Job are kept."""
        return len(self._pods.get(owner, ()))

    # -- what went before ------------------------------------------------------------------------

    def remember(self, pod: JobPod) -> None:
        """At the start: a pod that was counted by an earlier process."""
        if pod.finished and not pod.tracked:
            self._ended[pod.owner].append(pod)

    def backoff_of(self, owner: str) -> Backoff:
        """What the pods that were counted before say of the pause; asked for once."""
        return _backoff(self._ended.pop(owner, ()))

    def forget(self, owner: str) -> None:
        """The Job is over."""
        self._ended.pop(owner, None)


def _backoff(pods: Iterable[JobPod]) -> Backoff:
    found = list(pods)
    return Backoff().after(
        (pod.finished_at for pod in found if pod.phase == "Succeeded"),
        (pod.finished_at for pod in found if pod.phase == "Failed"),
    )
