"""All that the cluster says of one job: the Job, its pods and the events about them, whole."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from jobman.errors import ForbiddenError
from jobman.jobs.pods import last_seen
from jobman.kube import decode, labels
from jobman.kube.beside import beside
from jobman.kube.client import Client
from jobman.kube.objects import Event, Job, Pod
from jobman.kube.resources import EVENTS, JOBS, PODS

Plain = dict[str, Any]

ASKED_BY_NAME = 8
"""Of a job with more pods, the namespace's events are read instead of each pod's."""


@dataclass(frozen=True)
class WholeJob:
    """One job as plain dicts, the events oldest first; and the same as Structs."""

    job: Plain
    pods: list[Plain]
    events: list[Plain]

    @property
    def typed_job(self) -> Job:
        """The Job."""
        return decode.one(msgspec.json.encode(self.job), Job, "Job")

    @property
    def typed_pods(self) -> list[Pod]:
        """Its pods."""
        return [_typed_pod(pod) for pod in self.pods]

    @property
    def typed_events(self) -> list[Event]:
        """The events about the Job and its pods, oldest first."""
        return [_typed_event(event) for event in self.events]


def read(client: Client, name: str, *, namespace: str | None = None) -> WholeJob:
    """Ask for all of it; events that I may not read are left out."""
    job = client.get_raw(JOBS, name, namespace=namespace)
    uid = job["metadata"]["uid"]
    found = client.list_raw(PODS, namespace=namespace, labels=f"{labels.JOB_NAME}={name}")
    pods = [pod for pod in found if _typed_pod(pod).metadata.is_owned_by(uid)]
    uids = {uid, *(pod["metadata"]["uid"] for pod in pods)}
    about = (event for event in _events(client, name, pods, namespace) if _about(event) in uids)
    return WholeJob(job, pods, sorted(about, key=_by_age))


def _by_age(event: Plain) -> tuple[datetime, int]:
    """By the second, as most events tell no more, then in the order in which they were written."""
    version = str(event["metadata"].get("resourceVersion"))
    moment = last_seen(_typed_event(event)).replace(microsecond=0)
    return moment, int(version) if version.isascii() and version.isdigit() else 0


def _typed_event(event: Plain) -> Event:
    return decode.one(msgspec.json.encode(event), Event, "Event")


def _typed_pod(pod: Plain) -> Pod:
    return decode.one(msgspec.json.encode(pod), Pod, "Pod")


def _about(event: Plain) -> str | None:
    about = event.get("involvedObject") or {}
    uid: str | None = about.get("uid")
    return uid


def _events(
    client: Client, name: str, pods: Iterable[Plain], namespace: str | None
) -> Iterable[Plain]:
    """The events of everything that has one of these names."""
    names = [name, *(pod["metadata"]["name"] for pod in pods)]
    queries = [f"involvedObject.name={each}" for each in names]
    if len(names) > ASKED_BY_NAME:
        queries = [queries[0], "involvedObject.kind=Pod"]
    asked = [
        beside(partial(client.list_raw, EVENTS, namespace=namespace, fields=query))
        for query in queries
    ]
    with suppress(ForbiddenError):
        return [event for answer in asked for event in answer()]
    return []
