"""Pods and Jobs -> claims: who holds or wants what, of which flavor, since when. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from jobman.jobs import mounts
from jobman.jobs import pods as pod_views
from jobman.jobs.mounts import Failures
from jobman.jobs.quota import can_never_be_created
from jobman.kube import decode
from jobman.kube import labels as names
from jobman.kube.identity import user_of_label
from jobman.kube.objects import (
    Affinity,
    Container,
    ContainerStatus,
    Event,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Toleration,
    TopologySpread,
)
from jobman.queue.active import (
    ABSENT,
    NOTHING,
    ActiveContainer,
    ActiveLabels,
    ActivePod,
    ActivePodSpec,
    QueuedJob,
    QueuedTemplate,
)
from jobman.queue.rules import Wanted
from jobman.values.duration import parse_rfc3339
from jobman.values.enums import State

SETTLING_S = 10
"""How long a new Job may be without its pods, if nobody refuses them, before they wait."""

WORK = ("Job", "")
"""Kinds of controllers whose pods are work to be queued, and bare pods; others serve."""

IsGpu = Callable[[str], bool]
_NOTHING_RARE = (ABSENT,) * 6


class Shape(msgspec.Struct, frozen=True, gc=False, eq=False):
    """What equal pods ask for, once for all of them.

    `cpu` and `memory` in thousandths, `gpus` too, by resource in the order of their names.
    """

    wanted: Wanted
    cpu: int
    memory: int
    gpus: tuple[tuple[str, int], ...]
    devices_claimed: bool = False

    @property
    def gpu_total(self) -> int:
        """Thousandths of GPUs of all vendors."""
        return sum(amount for _, amount in self.gpus)


class Claim(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """`count` pods alike that hold or want something.

    `state` is Pending (waits for a node), Starting, Running, Stuck or Suspended. `since` is when
    they came, as RFC 3339 in UTC. `work` is false of pods that serve (a Deployment's, a
    DaemonSet's): they count where they hold GPUs. `name` is the pod's or Job's own, `job` its
    Job's. `settling`: of a Job so new that its pods may just be on their way. `nominated` is the
    node that the scheduler keeps for a pod without one.
    """

    shape: Shape
    state: State
    namespace: str
    flavor: str | None = None
    user: str | None = None
    mine: bool = False
    managed: bool = False
    work: bool = True
    node: str = ""
    since: str = ""
    count: int = 1
    name: str = ""
    job: str = ""
    settling: bool = False
    nominated: str = ""


class Shapes:
    """The shapes of pods; equal JSON is read once.

    `tolerations_final`: the cluster adds no toleration to pods.
    """

    def __init__(self, is_gpu: IsGpu, *, tolerations_final: bool = False) -> None:
        self._is_gpu = is_gpu
        self._tolerations_final = tolerations_final
        self._known: dict[tuple[object, ...], Shape] = {}

    def of(self, spec: ActivePodSpec, *, made: bool) -> Shape:
        """The shape of the spec of a pod that is `made`, or that a Job has yet to make."""
        rare = (
            spec.node_selector,
            spec.affinity,
            spec.overhead,
            spec.resources,
            spec.topology_spread_constraints,
            spec.resource_claims,
        )
        key = (
            tuple([bytes(container.resources) for container in spec.containers]),
            tuple([(bytes(c.resources), c.restart_policy) for c in spec.init_containers])
            if spec.init_containers
            else (),
            bytes(spec.tolerations),
            None if rare == _NOTHING_RARE else tuple(map(bytes, rare)),
            spec.priority,
            spec.priority_class_name,
            spec.active_deadline_seconds is None,
            made,
        )
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.of_wanted(
                Wanted.of(_whole(spec), tolerations_final=made or self._tolerations_final),
                devices_claimed=bytes(spec.resource_claims) != NOTHING,
            )
        return found

    def of_wanted(self, wanted: Wanted, *, devices_claimed: bool = False) -> Shape:
        """The shape of what is wanted."""
        amounts = wanted.amounts
        return Shape(
            wanted=wanted,
            cpu=amounts.get("cpu", 0),
            memory=amounts.get("memory", 0),
            gpus=tuple(
                (name, amounts[name]) for name in sorted(amounts) if self._gpus(name, amounts[name])
            ),
            devices_claimed=devices_claimed,
        )

    def _gpus(self, name: str, amount: int) -> bool:
        return amount > 0 and self._is_gpu(name)


def _whole(spec: ActivePodSpec) -> PodSpec:
    return PodSpec(
        containers=[_container(each) for each in spec.containers],
        init_containers=[_container(each) for each in spec.init_containers],
        node_selector=_read(spec.node_selector, dict[str, str]) or {},
        tolerations=_read(spec.tolerations, list[Toleration]) or [],
        affinity=_read(spec.affinity, Affinity),
        overhead=_read(spec.overhead, dict[str, str]) or {},
        resources=_read(spec.resources, ResourceRequirements),
        topology_spread_constraints=_read(spec.topology_spread_constraints, list[TopologySpread])
        or [],
        priority=spec.priority,
        priority_class_name=spec.priority_class_name,
        active_deadline_seconds=spec.active_deadline_seconds,
    )


def _container(container: ActiveContainer) -> Container:
    resources = _read(container.resources, ResourceRequirements) or ResourceRequirements()
    return Container(resources=resources, restart_policy=container.restart_policy or None)


def _read(raw: msgspec.Raw, model: Any) -> Any:
    """Part of a pod as `model`; None where it is absent."""
    return None if bytes(raw) == NOTHING else decode.one(raw, model, "part of a Pod")


class Claims:
    """Makes claims; `user` is who I am, `label` the annotation that names the flavor.

    `failures` is what the kubelets say of pods that have been starting for long.
    """

    def __init__(
        self, shapes: Shapes, *, user: str, now: datetime, label: str | None = None
    ) -> None:
        self.shapes = shapes
        self.now = now
        self.failures: Failures = {}
        self._user = user
        self._label = label
        self._flavors: dict[str, str] = {}

    def of_pod(self, pod: ActivePod) -> Claim | None:
        """The claim of a pod; None where it wants nothing any more."""
        meta, spec = pod.metadata, pod.spec
        state = self._state(pod)
        if state is None:
            return None
        user = _user(meta.labels, meta.annotations.user)
        managed = meta.labels.managed_by == names.MANAGED_BY_JOBMAN
        owner = meta.controller if meta.owner_references else None
        flavor = meta.labels.flavor if managed else ""
        if not flavor and owner is not None and self._flavors:
            flavor = self._flavors.get(owner.uid, "")
        return Claim(
            shape=self.shapes.of(spec, made=True),
            state=state,
            namespace=meta.namespace,
            flavor=flavor or None,
            user=user if managed else None,
            mine=managed and user == self._user,
            managed=managed,
            work=(owner.kind if owner else "") in WORK,
            node=spec.node_name,
            since=meta.creation_timestamp or "",
            name=meta.name,
            job=owner.name if owner else "",
            nominated="" if spec.node_name else pod.status.nominated_node_name,
        )

    def _state(self, pod: ActivePod) -> State | None:
        phase = pod.status.phase
        if phase in ("Running", "Unknown"):
            return State.RUNNING
        if phase in ("Succeeded", "Failed"):
            return None
        if not pod.spec.node_name:
            return None if pod.metadata.deletion_timestamp else State.PENDING
        events = self.failures.get((pod.metadata.namespace, pod.metadata.name), ())
        found = pod_views.view(_pod(pod), events, now=self.now).state
        return State.RUNNING if found.finished else found

    def may_be_stuck(self, claim: Claim) -> bool:
        """Whether only events can tell if the pod is stuck."""
        if claim.state is not State.STARTING:
            return False
        return mounts.may_hide_trouble(claim.state, moment(claim.since), self.now)

    def of_job(self, job: QueuedJob) -> Claim | None:
        """The claim of the pods that a Job wants and does not have; None where there are none.

        Kueue's Jobs are suspended while they wait for it; others wait for somebody's word.
        """
        meta, spec = job.metadata, job.spec
        annotated = meta.annotations.get(self._label) if self._label else None
        if annotated and not meta.labels.flavor:
            self._flavors[meta.uid] = annotated
        lacking = _pods_lacking(job)
        if lacking <= 0:
            return None
        template = decode.one(spec.template, QueuedTemplate, f"the template of Job {meta.name}")
        managed = meta.labels.managed_by == names.MANAGED_BY_JOBMAN
        user = _user(meta.labels, meta.annotations.get(names.USER, ""))
        return Claim(
            shape=self.shapes.of(template.spec, made=False),
            state=self._state_of_job(job),
            namespace=meta.namespace,
            flavor=meta.labels.flavor or annotated or None,
            user=user if managed else None,
            mine=managed and user == self._user,
            managed=managed,
            since=meta.creation_timestamp or "",
            count=lacking,
            name=meta.name,
            settling=self.is_settling(job),
        )

    def _state_of_job(self, job: QueuedJob) -> State:
        meta = job.metadata
        if job.spec.suspend:
            return State.PENDING if meta.labels.kueue_queue else State.SUSPENDED
        return State.PENDING

    def is_settling(self, job: QueuedJob) -> bool:
        """Whether the Job is so new that its pods are still to come."""
        if job.spec.suspend:
            return False
        made = moment(job.metadata.creation_timestamp or "")
        return made is not None and (self.now - made).total_seconds() < SETTLING_S


Refusals = Mapping[tuple[str, str], bool]
"""The Jobs, by namespace and name, that are refused pods: whether for good."""


def refused_by(events: Iterable[Event]) -> Refusals:
    """The Jobs of which the events say that they are refused pods."""
    found: dict[tuple[str, str], bool] = {}
    for event in events:
        if event.reason == "FailedCreate":
            about = event.involved_object.namespace, event.involved_object.name
            found[about] = found.get(about, False) or can_never_be_created(event.message)
    return found


def told(claim: Claim, refused: Refusals) -> Claim | None:
    """The claim of a Job, once it is known which are refused pods; None: they are on their way."""
    for_good = refused.get((claim.namespace, claim.name))
    if claim.settling and for_good is None:
        return None
    if claim.state is State.PENDING and for_good:
        return msgspec.structs.replace(claim, state=State.STUCK)
    return claim


def moment(text: str) -> datetime | None:
    """The point in time; None where there is none."""
    try:
        return parse_rfc3339(text)
    except ValueError:
        return None


def _pods_lacking(job: QueuedJob) -> int:
    spec, status = job.spec, job.status
    if job.metadata.deletion_timestamp or status.finished:
        return 0
    at_once = 1 if spec.parallelism is None else spec.parallelism
    if spec.completions is not None:
        at_once = min(at_once, spec.completions - status.succeeded)
    elif status.succeeded and spec.parallelism is not None:
        return 0
    return at_once - status.active - (status.terminating or 0)


def _user(labels: ActiveLabels, annotation: str) -> str | None:
    return annotation or user_of_label(labels.user) or None


def _pod(pod: ActivePod) -> Pod:
    """As much of the pod as its state needs."""
    status = pod.status
    return Pod(
        metadata=ObjectMeta(name=pod.metadata.name),
        spec=PodSpec(
            node_name=pod.spec.node_name,
            restart_policy=pod.spec.restart_policy,
        ),
        status=PodStatus(
            phase=status.phase,
            reason=status.reason,
            message=status.message,
            conditions=_read(status.conditions, list[PodCondition]) or [],
            container_statuses=_read(status.container_statuses, list[ContainerStatus]) or [],
            init_container_statuses=_read(status.init_container_statuses, list[ContainerStatus])
            or [],
        ),
    )
