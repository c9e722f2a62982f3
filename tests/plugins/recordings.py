"""Recorded answers of a real API server, to be replayed by a scripted one."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.scripted_server import Reply

RECORDINGS = Path(__file__).parents[1] / "contract" / "recordings"
_OF_THE_CONNECTION = {"content-length", "transfer-encoding", "content-encoding"}


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
    return sorted(file.stem for file in (RECORDINGS / group).glob(f"{pattern}.json"))


def recorded(group: str, name: str) -> Recording:
    """One recording."""
    found = json.loads((RECORDINGS / group / f"{name}.json").read_text())
    asked, answer = found["request"], found["response"]
    return Recording(
        method=asked["method"],
        path=asked["path"],
        query={key: str(value) for key, value in asked.get("query", {}).items()},
        body=asked.get("body"),
        reply=_reply(answer),
    )


def _reply(answer: dict[str, Any]) -> Reply:
    headers = {
        key: value
        for key, value in answer.get("headers", {}).items()
        if key.lower() not in _OF_THE_CONNECTION
    }
    lines = answer.get("lines")
    if lines is None:
        return Reply(answer["status"], _body(answer), headers)
    if answer["status"] >= 400:
        return Reply(answer["status"], lines[0]["json"], headers)
    return Reply(answer["status"], headers=headers, chunks=_chunks(lines))


def _body(answer: dict[str, Any]) -> Any:
    if "bodyBase64" in answer:
        return base64.b64decode(answer["bodyBase64"])
    if "bodyText" in answer:
        return answer["bodyText"].encode()
    return answer.get("body", b"")


def _chunks(lines: list[dict[str, Any]]) -> list[bytes]:
    """The pieces of a stream; a spec equal to the object's last one is stored as "@same"."""
    specs: dict[str, Any] = {}
    found = []
    for line in lines:
        obj = line.get("json", {}).get("object") or {}
        uid = (obj.get("metadata") or {}).get("uid", "")
        if obj.get("spec") == "@same":
            obj["spec"] = specs[uid]
        elif "spec" in obj:
            specs[uid] = obj["spec"]
        found.append(_piece(line))
    return found


def _piece(line: dict[str, Any]) -> bytes:
    if "json" in line:
        return json.dumps(line["json"]).encode() + b"\n"
    return base64.b64decode(line["base64"]) if "base64" in line else line["text"].encode()
