"""A published queue: what a ConfigMap says, in jobman's form or the earlier tool's. Pure.

Anyone who may write the ConfigMap wrote what is read here: what cannot be read is an error that
names the place, what is merely odd is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from jobman.errors import ApiError
from jobman.kube.objects import ConfigMap
from jobman.queue import amounts, compact
from jobman.queue import group as groups
from jobman.queue.amounts import ONE_POD
from jobman.queue.claims import Claim, IsGpu, Shapes
from jobman.queue.compact import FORMAT, PublishedQueue
from jobman.queue.group import Group
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted
from jobman.values.duration import parse_rfc3339
from jobman.values.enums import QueueBy as By
from jobman.values.enums import State


@dataclass(frozen=True)
class Published:
    """A published queue. `nodes` None: it does not tell. `earlier`: in the earlier tool's form.

    `claims` are the earlier tool's jobs; jobman's form has `groups` alone.
    """

    at: datetime | None
    groups: Sequence[Group]
    claims: Sequence[Claim] = ()
    nodes: Sequence[NodeView] | None = None
    earlier: bool = False
    notes: Sequence[str] = ()

    def grouped(self, by: By) -> Sequence[Group] | None:
        """The groups; None where the form does not tell them apart that way."""
        if by is By.FLAVOR:
            return self.groups
        if self.earlier and by is By.NAMESPACE:
            return groups.grouped(self.claims, groups.keying(by))
        return None


class _Resources(msgspec.Struct):
    flavor: str | None = None
    label: str | None = None
    requests: dict[str, Any] | None = None


class _Job(msgspec.Struct, rename="camel"):
    namespace: str = ""
    name: str = ""
    updated: str | None = None
    creation_date: str | None = None
    resources: _Resources | None = None
    pod_status: str | None = None


class _Earlier(msgspec.Struct):
    updated: str | None = None
    jobs: list[_Job] = []


def read(configmap: ConfigMap, *, namespace: str, is_gpu: IsGpu) -> Published:
    """What the ConfigMap says; `namespace` is mine. Raises ApiError where it is no queue."""
    where = f"{configmap.metadata.namespace}/{configmap.metadata.name}"
    text = _text(configmap, where)
    try:
        head = msgspec.json.decode(text, type=_Head)
        if head.format == FORMAT:
            return _own(msgspec.json.decode(text, type=PublishedQueue), is_gpu)
        if head.format:
            raise _unreadable(where, f"it is in the form '{head.format[:40]}'")
        return _earlier(msgspec.json.decode(text, type=_Earlier), namespace, Shapes(is_gpu))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _unreadable(where, str(error)) from error


class _Head(msgspec.Struct):
    format: str = ""


def _text(configmap: ConfigMap, where: str) -> str:
    """The data key of the ConfigMap's own name, else the only one."""
    data = configmap.data
    if configmap.metadata.name in data:
        return data[configmap.metadata.name]
    if len(data) == 1:
        return next(iter(data.values()))
    raise _unreadable(where, f"it has no key '{configmap.metadata.name}'")


def _unreadable(where: str, why: str) -> ApiError:
    return ApiError(
        f"ConfigMap {where} is no published queue: {why}",
        code=200,
        reason="Unreadable",
        hint="which one is read: jobsQueue.namespace and jobsQueue.configmap in the settings",
    )


def _own(queue: PublishedQueue, is_gpu: IsGpu) -> Published:
    shapes = Shapes(is_gpu)
    cut = [f"{queue.more_pods} pods in small groups are left out"] if queue.more_pods else []
    return Published(
        at=moment(queue.updated),
        groups=[compact.group_of(each, shapes) for each in queue.groups],
        nodes=compact.nodes_of(queue.nodes),
        notes=[*queue.notes, *cut],
    )


def _earlier(queue: _Earlier, namespace: str, shapes: Shapes) -> Published:
    claims = [_claim(job, namespace, shapes) for job in queue.jobs]
    untold = sum(job.pod_status not in ("Pending", "Running") for job in queue.jobs)
    note = f"of {untold} jobs it does not say whether they wait or run: counted as running"
    return Published(
        at=moment(queue.updated),
        groups=groups.grouped(claims),
        claims=claims,
        earlier=True,
        notes=[note] if untold else [],
    )


def _claim(job: _Job, namespace: str, shapes: Shapes) -> Claim:
    resources = job.resources or _Resources()
    requests = {k: str(v) for k, v in (resources.requests or {}).items()}
    asked = {**amounts.of(requests), **ONE_POD}
    return Claim(
        shape=shapes.of_wanted(Wanted(asked, {}, None, ())),
        state=State.PENDING if job.pod_status == "Pending" else State.RUNNING,
        namespace=job.namespace,
        flavor=resources.flavor or resources.label or None,
        mine=job.namespace == namespace,
        since=job.creation_date or job.updated or "",
        name=job.name,
    )


def moment(text: str | None) -> datetime | None:
    """RFC 3339 as a time; None where it is none."""
    try:
        return parse_rfc3339(text) if text else None
    except ValueError:
        return None


def names_document(claims: Iterable[Claim], *, now: datetime, most_bytes: int) -> tuple[str, int]:
    """The earlier tool's form, newest first, and how many jobs were cut off to fit."""
    entries = sorted(claims, key=lambda claim: (claim.since, claim.namespace, claim.name))
    head = f'{{"updated":{json.dumps(compact.stamp(now))},"jobs":['
    size = len(head) + 2
    lines: list[str] = []
    for claim in reversed(entries):
        line = msgspec.json.encode(_entry(claim)).decode()
        size += len(line.encode()) + 1
        if size > most_bytes:
            return head + ",".join(lines) + "]}", len(entries) - len(lines)
        lines.append(line)
    return head + ",".join(lines) + "]}", 0


def _entry(claim: Claim) -> Mapping[str, Any]:
    asked = claim.shape.wanted.amounts
    requests = {k: compact.text(k, v) for k, v in asked.items() if k not in ONE_POD}
    waits = claim.state in (State.PENDING, State.SUSPENDED, State.STUCK)
    return {
        "namespace": claim.namespace,
        "name": claim.job or claim.name,
        "creationDate": claim.since,
        "resources": {"flavor": claim.flavor, "requests": requests},
        "podStatus": "Pending" if waits else "Running",
    }
