"""A recorded Job lived through again: our controller, with the pods of the recording.

What the recorded kubelet, scheduler and user did is done to our pods at its time; when the
recorded controller acted, ours is given its turn. (The real one looks at most once a second.)
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from plugins.manual_clock import ManualClock
from plugins.replay_recordings import recordings

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.controllers.garbage import GarbageCollector
from jobman.local.controllers.job import JobController
from jobman.local.controllers.ttl import TtlController
from jobman.local.store import Store
from jobman.local.stored import Change, Key

Object = dict[str, Any]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
JOBS = "jobs.batch"
_LATE_S = 0.2


@dataclass
class Story:
    """What was seen: the Job's statuses one after the other, and the controller's events."""

    statuses: list[Object] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)


def lines(scenario: str) -> list[tuple[float, str, Object]]:
    """(seconds, change, object) of the scenario's watches, in the order of time."""
    found = []
    for stem in ("watch-events", "watch-jobs", "watch-pods"):
        watch = recordings().get(f"jobs/{scenario}/{stem}")
        if watch is not None:
            told = zip(watch.seconds, watch.lines or (), strict=True)
            found += [(at_s, line["type"], line["object"]) for at_s, line in told]
    return sorted(found, key=lambda line: line[0])


def recorded(scenario: str) -> Story:
    """The story as the real server told it."""
    story, names = Story(), _Names()
    for _, change, obj in lines(scenario):
        if obj["kind"] == "Job" and change != "DELETED":
            _add_status(story, obj.get("status", {}), names)
        elif obj["kind"] == "Pod" and change == "ADDED":
            names.learn(obj)
    names_of_all = names
    for _, _, obj in lines(scenario):
        if obj["kind"] == "Event" and obj.get("reportingComponent") == "job-controller":
            _add_event(story, obj, names_of_all)
    story.events.sort()
    return story


def replayed(scenario: str, directory: Path) -> Story:
    """The story as ours tells it."""
    return asyncio.run(_Replay(scenario, directory).run())


class _Names:
    """Pods by the order in which they came; an indexed Job's by index and order."""

    def __init__(self) -> None:
        self.by_uid: dict[str, str] = {}
        self.by_name: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def learn(self, pod: Object) -> str:
        about = pod["metadata"]
        base = about["generateName"]
        self._counts[base] = self._counts.get(base, 0) + 1
        name = f"{base}<{self._counts[base]}>"
        self.by_uid[about["uid"]] = self.by_name[about["name"]] = name
        return name

    def text(self, message: str) -> str:
        for real, name in self.by_name.items():
            message = message.replace(real, name)
        return message


def _add_status(story: Story, status: Object, names: _Names) -> None:
    told = json.loads(_TIME.sub("TIME", names.text(json.dumps(status))))
    for uids in told.get("uncountedTerminatedPods", {}).values():
        uids[:] = sorted(names.by_uid.get(uid, uid) for uid in uids)
    if not story.statuses or story.statuses[-1] != told:
        story.statuses.append(told)


def _add_event(story: Story, event: Object, names: _Names) -> None:
    message = re.sub(r'pods "[^"]+"', 'pods "<…>"', names.text(event["message"]))
    story.events.append((event["type"], event["reason"], message))


class _Replay:
    def __init__(self, scenario: str, directory: Path) -> None:
        self.lines = lines(scenario)
        self.registry = Registry(Store(directory / "store.db"))
        self.base = _began(self.lines)
        self.shift = timedelta(seconds=round((datetime.now(UTC) - self.base).total_seconds()))
        self.clock = ManualClock(self.base + self.shift)
        self.controllers = [
            kind(self.registry, clock=self.clock)
            for kind in (JobController, GarbageCollector, TtlController)
        ]
        self.namespace = next(o for _, _, o in self.lines if o["kind"] == "Job")["metadata"][
            "namespace"
        ]
        self.story = Story()
        self.names = _Names()
        self.ours: dict[str, str] = {}
        self.theirs = _Names()
        self.stopped = _stopped(self.lines)

    async def run(self) -> Story:
        namespace = {"kind": "Namespace", "metadata": {"name": self.namespace}}
        self.registry.create("namespaces", "", {"apiVersion": "v1", **namespace})
        self.registry.store.subscribe(self._seen, JOBS, "pods", "events")
        stops = [controller.start() for controller in self.controllers]
        for at_s, change, obj in self.lines:
            self.clock.move_to(self.base + self.shift + timedelta(seconds=at_s))
            await self._line(change, obj)
        for stop in stops:
            stop()
        self.registry.store.close()
        self.story.events.sort()
        return self.story

    def _seen(self, change: Change) -> None:
        obj = change.record.object()
        if change.record.key.resource == "pods" and change.type == "ADDED":
            self.ours[self.names.learn(obj)] = obj["metadata"]["name"]
        elif change.record.key.resource == JOBS and change.type != "DELETED":
            _add_status(self.story, obj.get("status", {}), self.names)
        elif obj.get("reportingComponent") == "job-controller":
            _add_event(self.story, obj, self.names)

    async def _line(self, change: str, obj: Object) -> None:
        if obj["kind"] == "Job":
            await self._job(change, obj)
        elif obj["kind"] == "Pod":
            await self._pod(change, obj)

    async def _job(self, change: str, job: Object) -> None:
        name = job["metadata"]["name"]
        if change == "ADDED":
            spec = {k: v for k, v in job["spec"].items() if k not in ("selector",)}
            template = copy.deepcopy(spec["template"])
            template.pop("metadata", None)
            made = {"kind": "Job", "apiVersion": "batch/v1", "metadata": {"name": name}}
            self.registry.create(
                JOBS, self.namespace, {**made, "spec": {**spec, "template": template}}
            )
            await self._turn()
            return
        found = self.registry.find(JOBS, self.namespace, name)
        if found is not None:
            for key in ("suspend", "parallelism", "completions"):
                self._follow(found, job, key)
            self.controllers[0].queue.add(Key(JOBS, self.namespace, name))
        await self._turn()

    def _follow(self, ours: Object, theirs: Object, key: str) -> None:
        if ours["spec"].get(key) != theirs["spec"].get(key):
            self.registry.modify(
                JOBS,
                self.namespace,
                ours["metadata"]["name"],
                lambda job: job["spec"].update({key: theirs["spec"][key]}),
            )

    async def _pod(self, change: str, pod: Object) -> None:
        if change == "ADDED":
            self.theirs.learn(pod)
            await self._turn()
            return
        key = self._our_pod(pod)
        if self.registry.store.get(key) is None:
            return
        status = json.loads(_TIME.sub(self._moved, json.dumps(pod.get("status", {}))))

        def follow(found: Object) -> None:
            found["status"] = status
            if "nodeName" in pod["spec"]:
                found["spec"]["nodeName"] = pod["spec"]["nodeName"]

        self.registry.modify(*key, follow)
        if "deletionTimestamp" in pod["metadata"]:
            await self._deleted(key, pod, at_once=change == "DELETED")

    async def _deleted(self, key: Key, pod: Object, *, at_once: bool) -> None:
        """By our controller, if it wants to; else by the user. The kubelet ends it."""
        if "deletionTimestamp" not in self.registry.get(*key)["metadata"]:
            if pod["metadata"]["name"] in self.stopped:
                # A watch tells a little late.
                self.clock.advance(_LATE_S)
                await self._turn()
            elif self.registry.find(*key) is not None:
                self.registry.delete(*key)
        over = at_once or pod["metadata"].get("deletionGracePeriodSeconds") == 0
        if over and self.registry.find(*key) is not None:
            self.registry.delete(*key, DeleteOptions(grace_s=0))

    def _our_pod(self, pod: Object) -> Key:
        theirs = self.theirs.by_name.get(pod["metadata"]["name"]) or self.theirs.learn(pod)
        return Key("pods", self.namespace, self.ours.get(theirs, theirs))

    def _moved(self, match: re.Match[str]) -> str:
        moment = datetime.fromisoformat(match[0]) + self.shift
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

    async def _turn(self) -> None:
        while any(len(controller.queue) for controller in self.controllers):
            for controller in self.controllers:
                while len(controller.queue):
                    await controller.step()


def _stopped(found: list[tuple[float, str, Object]]) -> set[str]:
    """The pods that the recorded controller, not a user, deleted."""
    events = [o for _, _, o in found if o["kind"] == "Event" and o["reason"] == "SuccessfulDelete"]
    return {event["message"].removeprefix("Deleted pod: ") for event in events}


def _began(found: list[tuple[float, str, Object]]) -> datetime:
    """The moment of t=0: scheduler events tell the time to the microsecond."""
    for at_s, _, obj in found:
        if obj["kind"] == "Event" and obj.get("eventTime"):
            return datetime.fromisoformat(obj["eventTime"]) - timedelta(seconds=at_s)
    return datetime.fromisoformat(found[0][2]["metadata"]["creationTimestamp"])
