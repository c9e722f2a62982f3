"""Reading the logs of jobs: once or following, one after the other or all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from jobman.cli.log_options import Excerpt
from jobman.errors import ApiNotFoundError, JobmanError, UsageError
from jobman.values.enums import State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.render.log_sinks import Target
    from jobman.jobs.logs import LogCopy, Sink
    from jobman.jobs.pods import PodView
    from jobman.jobs.state import JobView
    from jobman.kube.objects import Event, Job, Pod

JOBS_AT_ONCE = 16
PODS_AT_ONCE = 8
EVENTS_SHOWN = 3


class Reading:
    """Brings logs to a target; `lacking` are the pods whose log is not whole."""

    def __init__(self, app: AppContext, excerpt: Excerpt, target: Target) -> None:
        self.lacking: set[str] = set()
        self.began = False
        self._app = app
        self._excerpt = excerpt
        self._target = target
        self._lock = Lock()

    def read(self, jobs: Sequence[Job]) -> list[JobmanError]:
        """Read the logs of all; what went wrong, an error for each job at most."""
        if len(jobs) > 1 and self._excerpt.follow and self._excerpt.together:
            with ThreadPoolExecutor(min(JOBS_AT_ONCE, len(jobs))) as pool:
                found = list(pool.map(self._read_one, jobs))
        else:
            found = []
            for job in jobs:
                if len(jobs) > 1 and not self._excerpt.together:
                    self._app.say(f"==> {visible(job.metadata.name)} <==")
                found.append(self._read_one(job))
        return [problem for problem in found if problem is not None]

    def _read_one(self, job: Job) -> JobmanError | None:
        try:
            problems = self._followed(job) if self._excerpt.follow else self._copied(job)
        except JobmanError as error:
            return error
        return JobmanError("; ".join(problems)) if problems else None

    def _sink(self, pod: PodView) -> Sink:
        with self._lock:
            self.began = True
            return self._target.sink(pod)

    def _followed(self, job: Job) -> list[str]:
        from jobman.cli.waiting_line import WaitingLine
        from jobman.jobs.follow import Which, follow

        problems: list[str] = []

        def on_incomplete(pod: str, why: str) -> None:
            self.lacking.add(pod)
            problems.append(why)

        excerpt, meta = self._excerpt, job.metadata
        check(job, excerpt)
        with WaitingLine(self._app, meta.name, meta.namespace) as line:
            view = follow(
                self._app.client,
                meta.name,
                meta.namespace,
                out=self._sink,
                on_state=line.show,
                on_incomplete=on_incomplete,
                which=Which(excerpt.container, excerpt.indexes, excerpt.together),
                tail=excerpt.tail,
                since_s=excerpt.since_s,
                timestamps=excerpt.timestamps,
            )
        if view.state is State.STUCK or not any(pod.has_started for pod in view.pods):
            raise no_log(self._app, job)
        return problems

    def _copied(self, job: Job) -> list[str]:
        from jobman.jobs import state

        check(job, self._excerpt)
        pods = pods_of(self._app, job)
        view = state.of(job, list(pods.values()), now=self._app.now())
        chosen = [pod for pod in view.pods if self._is_chosen(pod, pods[pod.name])]
        copies = [(pods[pod.name], self._copy(pod)) for pod in chosen]
        at_once = PODS_AT_ONCE if self._excerpt.together else 1
        with ThreadPoolExecutor(at_once) as pool:
            found = list(pool.map(lambda each: self._copy_one(*each), copies))
        if not any(read for read, _ in found):
            raise no_log(self._app, job, self._excerpt)
        problems = [why for _, why in found if why]
        gone = view.succeeded + view.failed - sum(pod.finished for pod in view.pods)
        if gone > 0 and self._excerpt.indexes is None and not self._excerpt.previous:
            pods_are = "1 pod is" if gone == 1 else f"{gone} pods are"
            problems.append(f"job {job.metadata.name}: {pods_are} gone, with the log")
        return problems

    def _is_chosen(self, view: PodView, pod: Pod) -> bool:
        from jobman.jobs import containers

        if self._excerpt.indexes is not None and view.index not in self._excerpt.indexes:
            return False
        if self._excerpt.container is None:
            return view.has_started
        return containers.has_run(pod, self._excerpt.container)

    def _copy(self, pod: PodView) -> LogCopy:
        from jobman.jobs.logs import LogCopy

        return LogCopy(self._sink(pod), timestamps=self._excerpt.timestamps)

    def _copy_one(self, pod: Pod, copy: LogCopy) -> tuple[bool, str]:
        """Whether there was a log, and why it is not whole."""
        from jobman.jobs.follow import lack
        from jobman.jobs.logs import copy_log
        from jobman.jobs.pods import main_container

        excerpt, name = self._excerpt, pod.metadata.name
        container = excerpt.container or main_container(pod)
        client = self._app.client
        window = {"tail": excerpt.tail, "since_s": excerpt.since_s}
        try:
            found = copy_log(
                client, pod, copy, container=container, previous=excerpt.previous, **window
            )
        except ApiNotFoundError:
            self.lacking.add(name)
            return bool(copy.lines), f"pod {name} was deleted meanwhile, and its log with it"
        why = lack(
            pod,
            container,
            copy,
            from_start=excerpt.tail is None and excerpt.since_s is None,
            exact=client.connection.embedded,
            previous=excerpt.previous,
        )
        if why:
            self.lacking.add(name)
        return found, why


def check(job: Job, excerpt: Excerpt) -> None:
    """Raise UsageError for a container or an index that the job does not have."""
    spec = job.spec.template.spec
    names = [container.name for container in [*spec.containers, *spec.init_containers]]
    if excerpt.container is not None and excerpt.container not in names:
        raise UsageError(
            f"job {job.metadata.name} has no container '{visible(excerpt.container, limit=80)}'",
            hint=f"it has: {', '.join(names)}",
        )
    if excerpt.indexes is None:
        return
    if job.spec.completion_mode != "Indexed":
        raise UsageError(f"job {job.metadata.name} is no array: its pods have no index")
    from jobman.jobs import state

    highest = state.completions(job) - 1
    if max(excerpt.indexes) > highest:
        raise UsageError(
            f"job {job.metadata.name} has no index {max(excerpt.indexes)}",
            hint=f"its indexes are 0 to {highest}",
        )


def pods_of(app: AppContext, job: Job) -> dict[str, Pod]:
    """The job's pods by name."""
    from jobman.jobs import standing

    return {pod.metadata.name: pod for pod in standing.pods_of(app.client, job)}


def no_log(app: AppContext, job: Job, excerpt: Excerpt | None = None) -> JobmanError:
    """Why there is nothing to print, and what there is instead."""
    from jobman.cli.render.status_line import describe
    from jobman.jobs import state, whole

    name = job.metadata.name
    found = whole.read(app.client, name, namespace=job.metadata.namespace)
    events = found.typed_events
    view = state.of(found.typed_job, found.typed_pods, events, now=app.now())
    if excerpt and excerpt.previous and any(pod.has_started for pod in view.pods):
        return JobmanError(f"job {name} has no log of an earlier run: no container was restarted")
    if view.finished and not view.pods:
        gone = "its pods are gone, and their logs with them"
        if view.state is State.CANCELLED:
            gone = "it was cancelled before it began, or its pods were deleted since"
        return JobmanError(
            f"job {name} has no log: {gone}" + _what_is_left(view, events),
            hint=f"jobman details {name}",
        )
    yet = "" if view.finished or view.state is State.STUCK else " yet"
    hint = f"jobman details {name}" if not yet else f"jobman logs -f {name} waits for it"
    return JobmanError(f"job {name} has no log{yet}: {describe(view)}", hint=hint)


def _what_is_left(view: JobView, events: Sequence[Event]) -> str:
    """The outcome, and the last of the events, each in a line."""
    from jobman.cli.render.status_line import describe
    from jobman.values.duration import format_rfc3339

    ended = f", finished {format_rfc3339(view.finished_at)}" if view.finished_at else ""
    lines = [f"what is left: {describe(view)}{ended}"]
    lines += [f"event: {event.reason}: {event.message}" for event in events[-EVENTS_SHOWN:]]
    return "".join(f"\n  {visible(line, limit=300)}" for line in lines)
