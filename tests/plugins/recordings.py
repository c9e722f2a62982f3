"""Recorded answers of a real API server, to be replayed by a scripted one."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from plugins import replay_recordings
from plugins.replay_recordings import recordings
from plugins.scripted_server import Reply


@dataclass(frozen=True)
class Recording:
    """A request as it was sent to a real server, and the answer."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    reply: Reply

    @property
    def status(self) -> dict[str, Any]:
        """The answer's Status object; empty where the answer was none."""
        found = self.reply.body
        return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def names(group: str, pattern: str = "*") -> list[str]:
    """The recordings of a group."""
    found = (each.name for each in recordings().values() if each.group == group)
    return sorted(name for name in found if fnmatchcase(name, pattern))


def recorded(group: str, name: str) -> Recording:
    """One recording."""
    found = recordings()[f"{group}/{name}"]
    return Recording(
        method=found.method,
        path=found.request["path"],
        query=found.asked,
        body=copy.deepcopy(found.request.get("body")),
        reply=_reply(found),
    )


def _reply(found: replay_recordings.Recording) -> Reply:
    status, headers = found.response["status"], found.headers
    if found.lines is not None and status < 400:
        lines = [json.dumps(line).encode() + b"\n" for line in found.lines]
        return Reply(status, headers=headers, chunks=lines)
    if found.pieces is not None and status < 400:
        return Reply(status, headers=headers, chunks=found.pieces)
    body = copy.deepcopy(found.body)
    return Reply(status, body.encode() if isinstance(body, str) else body, headers)
