"""Reading the logs of jobs: once or following, one after the other or all at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from jobman.cli import map_one
from jobman.cli.log_options import Excerpt
from jobman.errors import (
    ApiNotFoundError,
    JobmanError,
    UnavailableError,
    UnreachableError,
    UsageError,
)
from jobman.kube.beside import in_order
from jobman.values.enums import State
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.cli.render.log_sinks import Target
    from jobman.jobs.logs import LogCopy, Sink
    from jobman.jobs.observe_pods import PodsObservation
    from jobman.jobs.pods import PodView
    from jobman.jobs.state import JobView
    from jobman.kube.objects import Event, Job, Pod
    from jobman.map.presence import Presence

A = TypeVar("A")
T = TypeVar("T")
JOBS_AT_ONCE = 16
PODS_AT_ONCE = 8
EVENTS_SHOWN = 3


class Reading:
    """Brings logs to a target; `lacking` are the pods whose log is not whole."""

    def __init__(self, app: AppContext, excerpt: Excerpt, target: Target) -> None:
        self.lacking: set[str] = set()
        self.began = False
        self.app = app
        self.excerpt = excerpt
        self._target = target
        self._lock = Lock()

    def read(self, jobs: Sequence[Job], runs: Sequence[Presence] = ()) -> list[JobmanError]:
        """Read the logs of all; what went wrong, an error for each job or run at most."""
        of_job = self._followed if self.excerpt.follow else self._copied
        asked = [(job.metadata.name, partial(of_job, job)) for job in jobs]
        asked += [(run.name, partial(map_one.logs, self, run)) for run in runs]
        if len(asked) > 1 and self.excerpt.follow and self.excerpt.together:
            found = self._at_once(_problem, [read for _, read in asked], JOBS_AT_ONCE)
        else:
            found = []
            for name, read in asked:
                if len(asked) > 1 and not self.excerpt.together:
                    self.app.say(f"==> {visible(name)} <==")
                found.append(_problem(read))
        return [problem for problem in found if problem is not None]

    def _at_once(self, do: Callable[[A], T], items: Iterable[A], most: int) -> list[T]:
        try:
            return list(in_order(do, items, most))
        except KeyboardInterrupt:
            self._lock.acquire()  # for good: what goes on nevertheless opens no file any more
            raise

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

        excerpt, meta = self.excerpt, job.metadata
        check(job, excerpt)
        with WaitingLine(self.app, meta.name, meta.namespace) as line:
            view = follow(
                self.app.client,
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
            raise no_log(self.app, job)
        return problems

    def _copied(self, job: Job) -> list[str]:
        from jobman.jobs import state

        check(job, self.excerpt)
        pods = pods_of(self.app, job)
        view = state.of(job, list(pods.values()), now=self.app.now())
        found, problems = self.copied([(pods[pod.name], pod) for pod in view.pods])
        if not found:
            raise no_log(self.app, job, self.excerpt)
        gone = view.succeeded + view.failed - sum(pod.finished for pod in view.pods)
        if gone > 0 and self.excerpt.indexes is None and not self.excerpt.previous:
            pods_are = "1 pod is" if gone == 1 else f"{gone} pods are"
            problems.append(f"job {job.metadata.name}: {pods_are} gone, with the log")
        return problems

    def copied(self, pods: Iterable[tuple[Pod, PodView]]) -> tuple[bool, list[str]]:
        """Copy what those among them that are asked for have written.

        Whether there was any log, and what is not whole. A log that cannot be read does not keep
        the others from being; raises JobmanError where there was none.
        """
        copies = [(pod, self._copy(view)) for pod, view in pods if self._is_chosen(view, pod)]
        at_once = PODS_AT_ONCE if self.excerpt.together else 1
        errors: list[JobmanError] = []
        away: list[JobmanError] = []

        def copy_one(pod: Pod, copy: LogCopy) -> tuple[bool, str]:
            why = ""
            try:
                if not away:
                    return self._copy_one(pod, copy)
            except (UnreachableError, UnavailableError) as error:
                away.append(error)
            except JobmanError as error:
                errors.append(error)
                why = error.message
            self.lacking.add(pod.metadata.name)
            return bool(copy.lines), why

        found = self._at_once(lambda each: copy_one(*each), copies, at_once)
        if away:
            raise away[0]
        any_log = any(read for read, _ in found)
        if errors and not any_log:
            raise errors[0]
        return any_log, [why for _, why in found if why]

    def followed(self, observation: PodsObservation, name: str) -> tuple[set[str], list[str]]:
        """Follow the logs of pods that no Job owns to their ends.

        `name` is what the pods belong to. Those that had a log, and what is not whole.
        """
        from jobman.cli.render.status_line import StatusLine, describe
        from jobman.jobs.follow import Which, follow_pods

        line, excerpt = StatusLine(self.app), self.excerpt
        problems: list[str] = []

        def sink(pod: PodView) -> Sink:
            line.clear()
            return self._sink(pod)

        def on_incomplete(pod: str, why: str) -> None:
            self.lacking.add(pod)
            problems.append(why)

        try:
            read = follow_pods(
                self.app.client,
                observation,
                out=sink,
                on_wait=lambda pod: line.show(f"{name}: pod {pod.name}: {describe(pod)}"),
                on_incomplete=on_incomplete,
                which=Which(excerpt.container, excerpt.indexes, excerpt.together),
                tail=excerpt.tail,
                since_s=excerpt.since_s,
                timestamps=excerpt.timestamps,
            )
        finally:
            line.clear()
        return read, problems

    def _is_chosen(self, view: PodView, pod: Pod) -> bool:
        from jobman.jobs import containers

        if self.excerpt.indexes is not None and view.index not in self.excerpt.indexes:
            return False
        if self.excerpt.container is None:
            return view.has_started
        return containers.has_run(pod, self.excerpt.container)

    def _copy(self, pod: PodView) -> LogCopy:
        from jobman.jobs.logs import LogCopy

        return LogCopy(self._sink(pod), timestamps=self.excerpt.timestamps)

    def _copy_one(self, pod: Pod, copy: LogCopy) -> tuple[bool, str]:
        """Whether there was a log, and why it is not whole."""
        from jobman.jobs.logs import copy_log
        from jobman.jobs.pods import main_container
        from jobman.jobs.rotation import lack

        excerpt, name = self.excerpt, pod.metadata.name
        container = excerpt.container or main_container(pod)
        client = self.app.client
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


def _problem(read: Callable[[], list[str]]) -> JobmanError | None:
    try:
        problems = read()
    except JobmanError as error:
        return error
    return JobmanError("; ".join(problems)) if problems else None


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
