"""The node of the recorded pods: its logs lie in files, its commands say what they said."""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from plugins.replay_recordings import Object, Recording, recordings, versions

from jobman.local import layout, logs
from jobman.local.api.agent import Channels, ExecError, ExecOptions, LogOptions
from jobman.local.crilog import STAMP_BYTES, stamp
from jobman.local.notify import DirectoryWatcher
from jobman.local.stored import Key

_UID = "of-the-pod"
_STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")
_FINISHED: Object = {"terminated": {"exitCode": 0, "reason": "Completed"}}
_WAITING = {
    "creating": "ContainerCreating",
    "badcfg": "CreateContainerConfigError",
    "badimg": "ErrImagePull",
    "one-init": "PodInitializing",
}
_INIT, _TWO = {"two": ("ini",)}, {"two": ("main", "second"), "dflt": ("main", "second")}
_RUNNING = ("sh", "two")
_UNBOUND = ("unsched", "pend")
# Whose logs were recorded more fully than by the request in question.
_FULL: Mapping[str, str] = {
    "fin": "logs/finished-timestamps",
    "run": "logs/running",
    "bytes": "logs/bytes-invalid-utf8-timestamps",
}


def pods(recording: Recording) -> Iterator[Object]:
    """The pod whose log or process is asked for."""
    found = recording.named
    if found is None or found.subresource not in ("log", "exec"):
        return
    if found.name is None or recording.response["status"] == 404:
        return
    key = Key("pods", found.namespace or "", found.name)
    yield versions().alive(key) or _pod(recording, found.namespace or "", found.name)


def _pod(recording: Recording, namespace: str, name: str) -> Object:
    """A pod of which no answer tells, as the recorded one must have been."""
    about: Object = {"name": name, "namespace": namespace, "uid": _UID, "resourceVersion": "10"}
    here = "without-kubelet" not in recording.name
    spec: Object = {"nodeName": "node1" if here else "elsewhere", "containers": []}
    status: Object = {"phase": "Running", "containerStatuses": [], "initContainerStatuses": []}
    for part, names, state in (
        ("c", _TWO.get(name, ("main",)), _state(recording, name)),
        ("initC", _INIT.get(name, ()) if namespace == "rec-logs" else (), {"state": _FINISHED}),
    ):
        field = "containers" if part == "c" else "initContainers"
        spec[field] = [{"name": each, "image": "busybox"} for each in names]
        status[f"{part}ontainerStatuses"] = [{"name": each, **state} for each in names]
    if name in _UNBOUND:
        del spec["nodeName"]
        status = {"phase": "Pending"}
    elif name == "done":
        status["phase"] = "Succeeded"
    return {"kind": "Pod", "apiVersion": "v1", "metadata": about, "spec": spec, "status": status}


def _state(recording: Recording, name: str) -> Object:
    if name in _WAITING:
        return {"state": {"waiting": {"reason": _WAITING[name]}}}
    if name == "prev":
        last = {"lastState": _FINISHED, "restartCount": 1}
        waits = "CrashLoopBackOff" in recording.name
        return {"state": {"waiting": {}} if waits else {"running": {}}, **last}
    return {"state": {"running": {}} if name in _RUNNING else _FINISHED}


class RecordedNode:
    """The NodeAgent of a replay."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._watcher: DirectoryWatcher | None = None
        self._recording: Recording | None = None

    def prepare(self, recording: Recording) -> None:
        """Put the log of a recording where its pod has it."""
        self._recording = recording
        shutil.rmtree(self._directory, ignore_errors=True)

    def close(self) -> None:
        """End the watcher."""
        if self._watcher is not None:
            self._watcher.close()

    async def log(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The log as a kubelet answers for it."""
        assert self._recording is not None
        self.check(pod)
        if self._watcher is None:
            self._watcher = DirectoryWatcher()
        number = logs.run_number(pod, container, previous=options.previous)
        place = self._directory / layout.run_directory(container, number)
        place.mkdir(parents=True)
        writing = _writing(place, self._recording, follow=options.follow)
        next(writing)
        async for chunk in logs.read(self._directory, pod, container, options, self._watcher):
            yield chunk
            next(writing, None)

    def check(self, pod: Object) -> None:
        """One node alone has a kubelet."""
        if pod["spec"]["nodeName"] != "node1":
            raise logs.no_address()

    def lacks_head(self, pod: Object, container: str, options: LogOptions) -> bool:
        """No log was rotated."""
        return False

    async def exec(
        self, pod: Object, container: str, options: ExecOptions, channels: Channels
    ) -> int:
        """Play the recorded frames: what is read must be what was sent then."""
        assert self._recording is not None
        for frame in self._recording.response["frames"]:
            data = content(frame)
            if frame.get("channel") == 0 or frame.get("closesChannel") == 0:
                assert await channels.read_stdin() == (data if frame["channel"] == 0 else b"")
            elif frame.get("channel") == 4:
                assert await channels.resized() == (100, 30)
            elif frame.get("channel") in (1, 2) and data:
                await channels.write(frame["channel"], data)
            elif frame.get("channel") == 3:
                return _outcome(frame["json"])
        raise asyncio.CancelledError


def content(frame: Object) -> bytes:
    """A frame's bytes behind the channel's number."""
    if "base64" in frame:
        return base64.b64decode(frame["base64"])
    return str(frame.get("text", "")).encode()


def _writing(place: Path, recording: Recording, *, follow: bool) -> Iterator[None]:
    """Write a log; what came while it was followed bit by bit, and then the container's end."""
    pieces = [_bytes(each["text"]) for each in recording.response.get("lines", ())]
    if not (follow and pieces):
        assert recording.named is not None
        full = _FULL.get(str(recording.named.name), recording.id)
        pieces = [_bytes(recordings()[full].body)]
    begin = b"".join(pieces[:2])
    with (place / layout.LOG).open("wb", buffering=0) as file:
        file.write(_in_lines(begin))
        for piece in pieces[2:]:
            yield
            file.write(_in_lines(piece))
    (place / layout.EXIT).write_text("0")
    yield


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _in_lines(text: bytes) -> bytes:
    """The file's lines: at the recorded times, else a second apart until now."""
    *whole, rest = text.split(b"\n")
    now = time.time_ns() - 100_000_000
    lines = []
    for number, line in enumerate([*whole, rest] if rest else whole):
        when, content = line[:STAMP_BYTES], line[STAMP_BYTES + 1 :]
        if not _STAMP.fullmatch(when):
            when, content = stamp(now - (len(whole) - 1 - number) * 1_000_000_000), line
        flag = b"F" if number < len(whole) else b"P"
        lines.append(b"%s stdout %s %s\n" % (when, flag, content))
    return b"".join(lines)


def _outcome(said: Object) -> int:
    if said["status"] == "Success":
        return 0
    causes = said["details"]["causes"]
    if said["reason"] == "NonZeroExitCode":
        return int(causes[0]["message"])
    raise ExecError(causes[0]["message"])
