"""Recorded requests with their answers, and the objects that a group of recordings shows."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from jobman.local.api.paths import Named, named
from jobman.local.api.resources import RESOURCES, Resource, of_path
from jobman.local.stored import Key

Object = dict[str, Any]

RECORDINGS = Path(__file__).parents[1] / "contract" / "recordings"
KINDS = {(each.group_version, each.kind): each for each in RESOURCES if each.stored}
_SAME = "@same"


@dataclass(frozen=True)
class Recording:
    """One request to a real server, and its answer."""

    group: str
    name: str
    request: Object
    response: Object

    @property
    def id(self) -> str:
        """`errors/404-job-get`."""
        return f"{self.group}/{self.name}"

    @property
    def method(self) -> str:
        return str(self.request["method"])

    @property
    def query(self) -> list[tuple[str, str]]:
        """The query, in its order, a name as often as it was sent."""
        found = self.request.get("query") or []
        pairs = found.items() if isinstance(found, dict) else found
        return [(name, str(value)) for name, value in pairs]

    @property
    def asked(self) -> dict[str, str]:
        """The query by name."""
        return dict(self.query)

    @property
    def named(self) -> Named | None:
        """What the URL names."""
        return named(str(self.request["path"]))

    @cached_property
    def resource(self) -> Resource | None:
        """The resource of the URL, where the embedded server has it."""
        found = self.named
        return of_path(found.group, found.version, found.plural) if found else None

    @property
    def body(self) -> Any:
        """The answer's body: JSON decoded, else a text, or bytes."""
        if self.response.get("body") is not None:
            return self.response["body"]
        if self.response.get("lines"):
            first = self.response["lines"][0]
            return first["json"] if "json" in first else b"".join(self.pieces or ()).decode()
        if "bodyBase64" in self.response:
            return base64.b64decode(self.response["bodyBase64"])
        return self.response.get("bodyText", "")

    @property
    def headers(self) -> Object:
        """The answer's headers."""
        return dict(self.response.get("headers") or {})

    @property
    def pieces(self) -> list[bytes] | None:
        """A streamed text as it came; None where the answer is none."""
        found = self.response.get("lines")
        if found is None or any("json" in line for line in found):
            return None
        return [_bytes(line) for line in found]

    @property
    def lines(self) -> list[Object] | None:
        """The lines of a watch, specs filled in; None where the answer is no stream of JSON."""
        found = self.response.get("lines")
        if found is None or not all("type" in line.get("json", ()) for line in found):
            return None
        return list(_filled_in(found))

    @property
    def seconds(self) -> list[float]:
        """When each of the lines came, from the first write of its scenario on."""
        return [line["t"] for line in self.response["lines"]]


def _filled_in(lines: Sequence[Object]) -> Iterator[Object]:
    specs: dict[str, Any] = {}
    for line in lines:
        said = copy.deepcopy(line["json"])
        obj = said.get("object") or {}
        uid = (obj.get("metadata") or {}).get("uid", "")
        if obj.get("spec") == _SAME:
            obj["spec"] = specs[uid]
        specs[uid] = obj.get("spec")
        yield said


def _bytes(line: Object) -> bytes:
    return base64.b64decode(line["base64"]) if "base64" in line else str(line["text"]).encode()


@cache
def recordings() -> dict[str, Recording]:
    """All of them, by id."""
    found = {}
    for file in sorted(RECORDINGS.glob("*.jsonl.gz")):
        group = file.name.partition(".")[0]
        for line in gzip.decompress(file.read_bytes()).splitlines():
            each = json.loads(line)
            made = Recording(group, each["name"], each["request"], each["response"])
            found[made.id] = made
    return found


def version(obj: Object) -> int:
    """An object's resourceVersion; 0 where it has none."""
    return int((obj.get("metadata") or {}).get("resourceVersion") or 0)


def is_whole(obj: Any) -> bool:
    """Whether an object was recorded with all its parts."""
    parts = obj, obj.get("spec"), obj.get("status")
    return not any(isinstance(part, dict) and part.get("cut") for part in parts)


def is_ending(obj: Object) -> bool:
    """Whether an object is being deleted."""
    return "deletionTimestamp" in obj["metadata"]


def items(answer: Object) -> list[Object]:
    """A List's items, with the kind that the wire leaves out."""
    kind, group_version = answer["kind"].removesuffix("List"), answer["apiVersion"]
    return [{"kind": kind, "apiVersion": group_version, **each} for each in answer["items"] or []]


@dataclass
class Versions:
    """Every version of every object in the answers, by key and resourceVersion."""

    of: dict[Key, dict[int, Object]] = field(default_factory=lambda: defaultdict(dict))
    ended: dict[Key, Object] = field(default_factory=dict)

    def before(self, key: Key, limit: int) -> Object | None:
        """The newest version that is older than `limit`."""
        older = [rv for rv in self.of.get(key, {}) if rv < limit]
        return copy.deepcopy(self.of[key][max(older)]) if older else None

    def alive(self, key: Key) -> Object | None:
        """The newest version that was not being deleted."""
        found = [obj for obj in self.of.get(key, {}).values() if not is_ending(obj)]
        return copy.deepcopy(max(found, key=version)) if found else None

    def at(self, resource: str, namespace: str | None, limit: int) -> Iterator[Object]:
        """The objects of a namespace (None: of all) as they were at `limit`."""
        for key in list(self.of):
            gone = key in self.ended and version(self.ended[key]) <= limit
            if key.resource == resource and namespace in (None, key.namespace) and not gone:
                found = self.before(key, limit + 1)
                if found is not None:
                    yield found

    def take(self, obj: Object, *, gone: bool = False) -> None:
        """Note what an answer shows."""
        resource = KINDS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        named = "name" in (obj.get("metadata") or {})
        if resource is None or not named or not version(obj):
            return
        key = key_of(resource, obj)
        if gone:
            self.ended[key] = obj
        elif is_whole(obj):
            self.of[key].setdefault(version(obj), obj)


def key_of(resource: Resource, obj: Object) -> Key:
    """Where the store keeps an object."""
    about = obj["metadata"]
    return Key(resource.name, about.get("namespace", ""), about["name"])


@cache
def versions() -> Versions:
    """What the recordings show; they are all of one server."""
    found = Versions()
    for each in recordings().values():
        if "dryRun" not in each.asked:
            for obj, gone in _shown(each):
                found.take(obj, gone=gone)
    return found


def _shown(each: Recording) -> Iterator[tuple[Object, bool]]:
    if each.lines is not None:
        for line in each.lines:
            yield line["object"], line["type"] == "DELETED"
        return
    body = each.body
    if isinstance(body, dict) and isinstance(body.get("items"), list) and body.get("apiVersion"):
        yield from ((obj, False) for obj in items(body) if isinstance(obj.get("metadata"), dict))
    elif isinstance(body, dict) and isinstance(body.get("metadata"), dict):
        yield body, False
