"""Changes of a collection as they happen, through disconnects and forgotten versions."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from jobman.errors import ExpiredError, JobmanError, UnavailableError, UnreachableError
from jobman.kube import decode
from jobman.kube.objects import KubeObject, KubeStruct, ObjectMeta
from jobman.kube.resources import Resource
from jobman.kube.status import from_status
from jobman.kube.stream import ByteStream, lines
from jobman.kube.transport import Call

if TYPE_CHECKING:
    from jobman.kube.client import Client
    from jobman.kube.lists import Scope

T = TypeVar("T", bound=KubeObject)
ChangeType = Literal["ADDED", "MODIFIED", "DELETED"]

CONNECTION_S = 290
"""Seconds after which the server is asked to end one connection; another follows."""
QUIET_S = 90.0
"""Seconds without a byte, bookmarks come each minute, after which a connection counts as dead."""
STEADY_S = 10.0
"""Seconds after which a connection counts as having worked."""
LONGEST_PAUSE_S = 15.0
OUTAGE_S = 600.0
"""Seconds of a server that does not answer after which a watch gives up."""


@dataclass(frozen=True, slots=True)
class Watched(Generic[T]):
    """A change; of a DELETED one `object` is the last that was known of it."""

    type: ChangeType
    object: T


class _Marked(KubeStruct, frozen=True):
    """What a bookmark carries."""

    metadata: ObjectMeta


class Watch(Generic[T]):
    """An iterator of changes, to be used in a `with` or closed; `close` may come from any thread.

    Without a resourceVersion it begins with all objects as ADDED. When the server has forgotten
    the version it stands at, it lists again and yields what differs from what was `known`.
    It ends at the deadline; refusals are raised, and an outage longer than `outage_s` seconds.
    """

    def __init__(
        self,
        client: Client,
        resource: Resource[T],
        scope: Scope,
        *,
        resource_version: str | None = None,
        known: Iterable[T] = (),
        deadline_s: float | None = None,
        outage_s: float | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._scope = scope
        self._version = resource_version or None
        self._known = {item.metadata.uid: item for item in known}
        self._outage_s = OUTAGE_S if outage_s is None else outage_s
        self._deadline = None if deadline_s is None else time.monotonic() + deadline_s
        self._closed = threading.Event()
        self._stream: ByteStream | None = None
        self._lost_since: float | None = None
        self._ever_answered = False
        self._failures = 0
        self._changes = self._all()

    def __iter__(self) -> Iterator[Watched[T]]:
        return self

    def __next__(self) -> Watched[T]:
        return next(self._changes)

    def __enter__(self) -> Watch[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it: a reader that waits for the next change ends at once."""
        self._closed.set()
        if self._stream is not None:
            self._stream.close()

    @property
    def connected(self) -> bool:
        """Whether the server answered last; without it, changes are seen late."""
        return self._lost_since is None

    @property
    def resource_version(self) -> str | None:
        """Where the watch stands: the version of the last change or bookmark."""
        return self._version

    def _all(self) -> Iterator[Watched[T]]:
        while not self._over():
            began = time.monotonic()
            try:
                if self._version is None:
                    yield from self._difference()
                yield from self._connected()
                self._rest(began)
            except ExpiredError:
                self._version = None
                self._rest(began)
            except (UnreachableError, UnavailableError) as error:
                self._outlive(error, began)

    def _over(self) -> bool:
        return self._closed.is_set() or self._remaining_s() <= 0

    def _remaining_s(self) -> float:
        return math.inf if self._deadline is None else self._deadline - time.monotonic()

    def _difference(self) -> Iterator[Watched[T]]:
        """List, and yield what changed against what is known."""
        listing = self._client.list_in(self._resource, self._scope, budget_s=self._budget_s())
        fresh = {item.metadata.uid: item for item in listing.items}
        before, self._known = self._known, fresh
        self._version = listing.resource_version
        self._answered()
        for uid, item in before.items():
            if uid not in fresh:
                yield Watched("DELETED", item)
        for uid, item in fresh.items():
            old = before.get(uid)
            if old is None:
                yield Watched("ADDED", item)
            elif old.metadata.resource_version != item.metadata.resource_version:
                yield Watched("MODIFIED", item)

    def _connected(self) -> Iterator[Watched[T]]:
        """The changes of one connection, until the server ends it."""
        connection = self._client.connection
        answer = self._client.transport.send(self._call())
        stream = self._stream = ByteStream(answer.response, connection)
        if self._closed.is_set():
            stream.close()
        self._answered()
        try:
            for line in lines(stream):
                change = self._change(line) if line else None
                if change is not None:
                    yield change
        finally:
            stream.close()

    def _call(self) -> Call:
        remaining = self._remaining_s()
        return Call(
            "GET",
            self._scope.path(self._resource),
            (
                *self._scope.query,
                ("watch", "true"),
                ("allowWatchBookmarks", "true"),
                ("resourceVersion", self._version or "0"),
                ("timeoutSeconds", str(math.ceil(min(CONNECTION_S, max(remaining, 1))))),
            ),
            stream=True,
            read_s=min(QUIET_S, max(remaining, 0.05)),
            budget_s=self._budget_s(),
        )

    def _budget_s(self) -> float | None:
        return None if self._deadline is None else max(self._remaining_s(), 0.0)

    def _change(self, text: bytes) -> Watched[T] | None:
        """The change of a line; None for a bookmark."""
        kind = self._resource.kind
        line = decode.one(text, decode.WatchLine, f"a change of the {kind}s")
        if line.type == "ERROR":
            raise from_status(decode.whole(bytes(line.object), "the watch's error"))
        if line.type == "BOOKMARK":
            self._version = decode.one(line.object, _Marked, kind).metadata.resource_version
            return None
        found = decode.one(line.object, self._resource.model, kind)
        self._version = found.metadata.resource_version or self._version
        self._failures = 0
        uid = found.metadata.uid
        if line.type == "DELETED":
            self._known.pop(uid, None)
            return Watched("DELETED", found)
        new = uid not in self._known
        self._known[uid] = found
        return Watched("ADDED" if new and line.type == "ADDED" else "MODIFIED", found)

    def _answered(self) -> None:
        self._lost_since = None
        self._ever_answered = True

    def _outlive(self, error: JobmanError, began: float) -> None:
        """Wait for the server to come back; raise when that takes too long."""
        now = time.monotonic()
        self._lost_since = now if self._lost_since is None else self._lost_since
        if now - self._lost_since > self._outage_s:
            raise error
        self._rest(began)
        if self._remaining_s() <= 0 and not self._ever_answered:
            raise error

    def _rest(self, began: float) -> None:
        """Pause after a connection that did not last, longer each time."""
        if time.monotonic() - began > STEADY_S:
            self._failures = 0
            return
        pause = min(0.1 * 2 ** min(self._failures, 10), LONGEST_PAUSE_S, self._remaining_s())
        self._failures += 1
        self._closed.wait(max(pause, 0.0))
