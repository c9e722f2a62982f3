"""A pod that has not started -> why. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jobman.config.flavors import Flavor
from jobman.jobs.pods import PodView, last_seen, mount_trouble
from jobman.kube.objects import Event, Pod
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted
from jobman.values.enums import State
from jobman.why import said, scheduling, words
from jobman.why.diagnosis import Diagnosis
from jobman.why.scheduling import Waiting

_IMAGE = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CONFIG = ("CreateContainerConfigError", "CreateContainerError")


@dataclass(frozen=True)
class Around:
    """What decides where a pod may go.

    `nodes` None: not known; `others` are pods that wait, `flavor` is its own as it was submitted,
    `flavors` are others that may be tried.
    """

    nodes: Sequence[NodeView] | None = None
    others: Sequence[Waiting] = ()
    flavors: Sequence[Flavor] = ()
    flavor: Mapping[str, Any] | None = None


def diagnose(
    pod: Pod, view: PodView, events: Sequence[Event], around: Around = Around(), *, job: str
) -> Diagnosis:
    """Why the pod has not started; `events` may be about others, too, `job` is what it is of."""
    if not pod.spec.node_name:
        return without_node(pod, around)
    about = pod.metadata.name
    own = [event for event in events if event.involved_object.name == about]
    return _on_its_node(pod, view, own, job)


def without_node(pod: Pod, around: Around) -> Diagnosis:
    """Why a pod is on no node: from the nodes, else as the scheduler says."""
    spec = pod.spec
    condition = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if condition is not None and condition.reason == "SchedulingGated":
        gates = ", ".join(gate.name for gate in spec.scheduling_gates)
        return Diagnosis("gated", f"it is held back before the scheduler by: {gates}")
    message = condition.message if condition else ""
    lacking = said.missing(message)
    if lacking:
        return _missing(lacking, message)
    if condition is None and spec.scheduler_name not in ("", "default-scheduler"):
        return Diagnosis(
            "no-scheduler",
            f"no scheduler has looked at it: it asks for one named {spec.scheduler_name}",
        )
    place = pod.status.nominated_node_name
    kept = (f"what is freed on {place} is kept for it",) if place else ()
    if around.nodes is not None:
        judged = scheduling.diagnose(
            Wanted.of(spec, tolerations_final=True),
            around.nodes,
            others=around.others,
            since=pod.metadata.creation_timestamp,
            flavors=around.flavors,
            flavor=around.flavor,
            said=said.scheduler(message),
        )
        said_so = (f"the scheduler: {message}",) if message else ()
        return replace(judged, evidence=(*judged.evidence, *kept, *said_so))
    judged = _by_message(pod, message)
    return replace(judged, evidence=(*kept, *judged.evidence))


def unscheduled(pod: Pod) -> Diagnosis | None:
    """What the scheduler says of a pod; None as long as it says nothing."""
    condition = next((c for c in pod.status.conditions if c.type == "PodScheduled"), None)
    if condition is None or not condition.message:
        return None
    lacking = said.missing(condition.message)
    return _missing(lacking, condition.message) if lacking else _by_message(pod, condition.message)


def _by_message(pod: Pod, message: str) -> Diagnosis:
    """What the scheduler says, as the nodes may not be read."""
    found = said.scheduler(message)
    evidence = (f"the scheduler: {message}",) if message else ()
    if found is None:
        return Diagnosis("unscheduled", message or "the scheduler has not got to it yet")
    wanted = Wanted.of(pod.spec)
    short = ", ".join(
        f"less than {words.amount(name, wanted.amounts.get(name, 0))} on"
        f" {words.count(count, 'node')}"
        for name, count in found.insufficient.items()
    )
    if found.full:
        busy = "that is busy" if found.full == 1 else "they are busy"
        sentence = f"it would fit on {words.count(found.full, 'node')}, but {busy}"
        told = f"{sentence} (left: {short})" if short else sentence
        return Diagnosis(scheduling.BUSY, told, evidence)
    if found.insufficient:
        sentence = f"no node that may take it has enough left: {short}"
        return Diagnosis("insufficient", sentence, evidence)
    kinds = (
        (found.selector, "does not match", "do not match", " its node labels or affinity"),
        (found.taints, "has", "have", " taints that it does not tolerate"),
        (found.cordoned, "is", "are", " cordoned"),
    )
    told = ", ".join(
        f"{count} {one if count == 1 else many}{what}" for count, one, many, what in kinds if count
    )
    return Diagnosis(scheduling.RULES, f"no node may take it: {told or message}", evidence)


def _on_its_node(pod: Pod, view: PodView, events: Sequence[Event], job: str) -> Diagnosis:
    node = pod.spec.node_name
    image = next((c.image for c in pod.spec.containers), "")
    if view.reason in _IMAGE:
        why = view.message or view.reason
        ways = (f"jobman images lists what is there; then jobman delete {job}",)
        return Diagnosis("image", f"image {image} cannot be pulled: {why}", (), ways)
    lacking = said.missing(view.message)
    if lacking:
        return _missing(lacking, view.message)
    trouble = mount_trouble(pod, events)
    if trouble is not None:
        return _not_prepared(trouble, node, job)
    if view.reason in _CONFIG:
        ways = (f"change what it asks for: jobman delete {job}, submit anew",)
        why = f"its container cannot be made on {node}: {view.message}"
        return Diagnosis("config", why, (), ways if view.state is State.STUCK else ())
    last = max(events, key=last_seen, default=None)
    evidence = (f"{last.reason}: {last.message}",) if last else ()
    why = f" ({view.reason})" if view.reason else ""
    return Diagnosis("starting", f"it is starting on {node}{why}", evidence)


def _not_prepared(last: Event, node: str, job: str) -> Diagnosis:
    """The node could not make ready what the containers need; it goes on trying."""
    lacking = said.missing(last.message)
    if lacking:
        return _missing(lacking, last.message)
    if last.reason == "FailedCreatePodSandBox":
        sentence = f"{node} cannot make the pod's sandbox: {last.message}"
        ways = (f"tell who runs the cluster: node {node} is at fault",)
        return Diagnosis("config", sentence, (), ways)
    ways = (f"the node tries again by itself; if it lasts: jobman details {job}",)
    return Diagnosis("volume", f"a volume cannot be mounted on {node}: {last.message}", (), ways)


def _missing(what: str, message: str) -> Diagnosis:
    return Diagnosis(
        "missing",
        f"{what} is not there",
        (message,),
        (f"make {what}: it starts then by itself",),
    )
