"""The jobs of a namespace, or of all, as rows: three requests, however many jobs there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from jobman.config.flavors import is_gpu
from jobman.errors import ForbiddenError
from jobman.jobs import find, mounts, state, tasks
from jobman.jobs import pods as pod_views
from jobman.jobs.order import ordered
from jobman.jobs.pods import PodView
from jobman.jobs.state import JobView
from jobman.jobs.tasks import TaskRow
from jobman.kube import labels
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Event, Job, ObjectMeta, PodBrief, PodSpec, PodTemplateSpec
from jobman.kube.resources import EVENTS, JOBS, POD_BRIEFS
from jobman.values import names, quantity
from jobman.values.enums import State

PodsByJob = defaultdict[str, list[PodView]]

NO_TEMPLATE = PodTemplateSpec()
FAILED_CREATE = "reason=FailedCreate,involvedObject.kind=Job"


class JobRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    """One job, as `jobman list -o json` prints it; the order of the fields is kept.

    `user` is null for a Job that jobman did not make. `gpus` are those of all pods that may run
    at once. `exitCode` is null for several completions, and while there is none. `active` pods
    wait or run, `running` ones run.
    """

    name: str
    namespace: str
    user: str | None
    state: State
    reason: str
    message: str
    exit_code: int | None
    flavor: str | None
    gpus: int
    image: str
    node: str
    submitted_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_seconds: int | None
    completions: int
    succeeded: int
    failed: int
    active: int
    running: int


class ListQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: of `user`, or everybody's; in `namespace`, or everywhere (None).

    `words` are names, globs and LAST (of `user`'s), `states` none is all; `labels` is a label
    selector; `gpu_resources` are what counts as a GPU, None: whatever is named so. `since`: only
    what was submitted then or later. `sort`: a word of `order.KEYS`.
    """

    user: str
    everybody: bool = False
    namespace: str | None
    words: Sequence[str] = ()
    states: frozenset[State] = frozenset()
    labels: str | None = None
    gpu_resources: frozenset[str] | None = None
    since: datetime | None = None
    sort: str = "age"

    @property
    def selector(self) -> str | None:
        """The label selector of the user's own; None for everybody's."""
        return None if self.everybody else find.selector_of(self.user)

    @property
    def one_name(self) -> str | None:
        """The name of the only job that is asked for, so that the server can look it up."""
        only = self.words[0] if len(self.words) == 1 else names.LAST
        return None if only == names.LAST or names.is_glob(only) else only

    @property
    def pods_selector(self) -> str:
        """The label selector of the pods of the jobs, besides whose they are."""
        name = self.one_name
        # a server refuses to look for a value that no label can have
        only = name is not None and not names.label_value_problem(name)
        return f"{labels.JOB_NAME}={name}" if only else labels.JOB_NAME


class _Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is kept of a Job: what its row says, and as much of the Job as its state needs."""

    job: Job
    user: str | None
    flavor: str | None
    gpus: int
    image: str
    marked_at: datetime | None
    created_at: datetime | None


def rows(client: Client, query: ListQuery, *, now: datetime) -> list[JobRow]:
    """The jobs in the order asked for. Jobs and Pods are asked for at the same time."""
    found = (_row(draft, view, now) for draft, view in _found(client, query, now))
    return ordered((row for row in found if is_wanted(row, query)), query.sort)


def tasks_by_row(client: Client, query: ListQuery, *, now: datetime) -> dict[JobRow, list[TaskRow]]:
    """The tasks of these jobs."""
    found = ((draft, view, _row(draft, view, now)) for draft, view in _found(client, query, now))
    return {
        row: tasks.of(draft.job, view, now=now)
        for draft, view, row in found
        if is_wanted(row, query)
    }


def rows_of(
    jobs: Iterable[Job],
    pods: Mapping[str, Sequence[PodView]],
    refused: Mapping[str, Sequence[Event]],
    query: ListQuery,
    *,
    now: datetime,
) -> list[JobRow]:
    """The same of jobs, and views of pods and refusals by their uid, that are known already."""
    drafts = _meant([_draft(job, query.gpu_resources) for job in jobs], query)
    found = (_row(draft, view, now) for draft, view in _views(drafts, pods, refused))
    return ordered((row for row in found if is_wanted(row, query)), query.sort)


def _found(client: Client, query: ListQuery, now: datetime) -> Iterator[tuple[_Draft, JobView]]:
    pods_later = beside(lambda: _pods_by_job(client, query, now))
    drafts = _drafts(client, query)
    pods = pods_later()
    jobs = [draft.job for draft in drafts]
    return _views(drafts, pods, refusals(client, query.namespace, jobs, pods))


def _views(
    drafts: Iterable[_Draft],
    pods: Mapping[str, Sequence[PodView]],
    refused: Mapping[str, Sequence[Event]],
) -> Iterator[tuple[_Draft, JobView]]:
    for draft in drafts:
        uid = draft.job.metadata.uid
        yield draft, state.derive(draft.job, pods.get(uid, ()), refused.get(uid, ()))


def is_wanted(row: JobRow, query: ListQuery) -> bool:
    """Whether the row's time and state are those asked for."""
    if query.since is not None and (row.submitted_at or pod_views.LONG_AGO) < query.since:
        return False
    return not query.states or row.state in query.states


def _drafts(client: Client, query: ListQuery) -> list[_Draft]:
    found: list[_Draft] = []
    for page in client.pages(
        JOBS,
        namespace=query.namespace,
        all_namespaces=query.namespace is None,
        labels=_selectors(query, query.labels),
        fields=f"metadata.name={query.one_name}" if query.one_name else None,
    ):
        found += [_draft(job, query.gpu_resources) for job in page.items]
    return _meant(found, query)


def _meant(found: list[_Draft], query: ListQuery) -> list[_Draft]:
    mine = [draft for draft in found if draft.user == query.user]
    wanted = found if query.everybody else mine
    if not query.words:
        return wanted
    last = max((d for d in mine if d.marked_at), key=_marked_at, default=None)
    return [
        draft
        for draft in wanted
        if (draft is last and names.LAST in query.words) or _is_meant(draft, query.words)
    ]


def _draft(job: Job, gpu_resources: frozenset[str] | None) -> _Draft:
    meta = job.metadata
    containers = job.spec.template.spec.containers
    return _Draft(
        job=_lean(job),
        user=find.owner(job),
        flavor=meta.labels.get(labels.FLAVOR),
        gpus=gpus(job, gpu_resources),
        image=containers[0].image if containers else "",
        marked_at=labels.submitted_at(meta.annotations),
        created_at=meta.creation_timestamp,
    )


def _lean(job: Job) -> Job:
    """The Job without what its state does not need: of ten thousand, that is most of the memory."""
    meta = job.metadata
    marks = (labels.CANCELLED_AT, labels.CANCELLED_BY, labels.ARRAY)
    cancelled = {key: meta.annotations[key] for key in marks if key in meta.annotations}
    kept = ObjectMeta(
        name=meta.name,
        namespace=meta.namespace,
        uid=meta.uid,
        deletion_timestamp=meta.deletion_timestamp,
        annotations=cancelled,
    )
    return Job(metadata=kept, spec=replace(job.spec, template=NO_TEMPLATE), status=job.status)


def _marked_at(draft: _Draft) -> datetime:
    return draft.marked_at or pod_views.LONG_AGO


def _is_meant(draft: _Draft, words: Iterable[str]) -> bool:
    name = draft.job.metadata.name
    return any(names.means(word, name) for word in words)


def _pods_by_job(client: Client, query: ListQuery, now: datetime) -> PodsByJob:
    """Views of the pods by their Job's uid; of a page only these are kept."""
    views: PodsByJob = defaultdict(list)
    slow: list[tuple[str, PodBrief]] = []
    for page in client.pages(
        POD_BRIEFS,
        namespace=query.namespace,
        all_namespaces=query.namespace is None,
        labels=_selectors(query, query.pods_selector),
    ):
        for pod in page.items:
            owner = pod.metadata.controller
            if owner is None:
                continue
            view = pod_views.view(pod, now=now)
            if mounts.may_hide_trouble(view.state, view.created_at, now):
                slow.append((owner.uid, pod))
            else:
                views[owner.uid].append(view)
    failures = mounts.failures(client, query.namespace) if slow else {}
    for uid, pod in slow:
        events = failures.get((pod.metadata.namespace, pod.metadata.name), ())
        views[uid].append(pod_views.view(pod, events, now=now))
    return views


def _selectors(query: ListQuery, more: str | None) -> str | None:
    return ",".join(part for part in (query.selector, more) if part) or None


def refusals(
    client: Client,
    namespace: str | None,
    jobs: Iterable[Job],
    pods: Mapping[str, Sequence[PodView]],
) -> dict[str, list[Event]]:
    """The FailedCreate events by their Job's uid; asked for only when a job should have a pod."""
    if all(pods.get(job.metadata.uid) or not _should_have_pods(job) for job in jobs):
        return {}
    refused: defaultdict[str, list[Event]] = defaultdict(list)
    with suppress(ForbiddenError):
        for page in client.pages(
            EVENTS, namespace=namespace, all_namespaces=namespace is None, fields=FAILED_CREATE
        ):
            for event in page.items:
                refused[event.involved_object.uid].append(event)
    return refused


def _should_have_pods(job: Job) -> bool:
    return not job.spec.suspend and state.derive(job, ()).state is State.PENDING


def _row(draft: _Draft, view: JobView, now: datetime) -> JobRow:
    meta = draft.job.metadata
    return JobRow(
        name=meta.name,
        namespace=meta.namespace,
        user=draft.user,
        state=view.state,
        reason=view.reason,
        message=view.message,
        exit_code=view.exit_code,
        flavor=draft.flavor,
        gpus=draft.gpus,
        image=draft.image,
        node=view.node,
        submitted_at=draft.marked_at or draft.created_at,
        started_at=view.started_at,
        finished_at=view.finished_at,
        duration_seconds=duration_s(view, now, draft.marked_at),
        completions=view.completions,
        succeeded=view.succeeded,
        failed=view.failed,
        active=view.active,
        running=sum(pod.state is State.RUNNING for pod in view.pods),
    )


def duration_s(view: JobView, now: datetime, submitted: datetime | None = None) -> int | None:
    """Whole seconds from the start to the end, or to `now`; None while it has not started.

    Kubernetes cuts the start to the second: what still runs would seem older than `submitted`.
    """
    start, end = view.started_at, view.finished_at
    if start is None:
        return None
    if end is None and submitted and start < submitted < start + timedelta(seconds=1):
        start = submitted
    return max(int(((end or now) - start).total_seconds()), 0)


def gpus(job: Job, gpu_resources: frozenset[str] | None) -> int:
    """GPUs of the pods that may run at once; what cannot be read counts as none."""
    at_once = max(job.spec.parallelism if job.spec.parallelism is not None else 1, 1)
    return at_once * pod_gpus(job.spec.template.spec, gpu_resources)


def pod_gpus(spec: PodSpec, gpu_resources: frozenset[str] | None) -> int:
    """GPUs of one pod."""
    per_pod = 0
    for container in spec.containers:
        asked = container.resources.limits | container.resources.requests
        per_pod += sum(
            _whole(amount)
            for name, amount in asked.items()
            if (is_gpu(name) if gpu_resources is None else name in gpu_resources)
        )
    return per_pod


def _whole(text: str) -> int:
    try:
        return quantity.parse(text).int_ceil
    except ValueError:
        return 0
