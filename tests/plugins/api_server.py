"""The API server of the embedded cluster on a port of its own, without controllers and kubelet."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from jobman.local.api.agent import Channels, ExecOptions, LogOptions, NodeAgent
from jobman.local.api.bodies import BODY_MAX
from jobman.local.api.registry import Registry
from jobman.local.api.users import AUTHENTICATED, MASTERS, User
from jobman.local.controllers import basics
from jobman.local.listener import HEADERS_S, Listener
from jobman.local.server import BODY_S, Server
from jobman.local.store import Store
from jobman.local.stored import Key

Object = dict[str, Any]
T = TypeVar("T")

ADMIN = User("admin", (MASTERS, AUTHENTICATED))
ALICE = User("alice", ("team-a", AUTHENTICATED))
BOB = User("bob")
USERS = {user.name: user for user in (ADMIN, ALICE, BOB)}


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    warnings: Sequence[str] = ()

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    @property
    def lines(self) -> list[Any]:
        """The body of a watch."""
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class ScriptedAgent:
    """A node that says what a test tells it to."""

    chunks: list[bytes] = field(default_factory=list)
    refusal: Exception | None = None
    ending: Exception | None = None
    exit_code: int = 0
    asked: list[Any] = field(default_factory=list)

    def check(self, pod: Object) -> None:
        """Every node is reached."""

    def lacks_head(self, pod: Object, container: str, options: LogOptions) -> bool:
        return False

    async def log(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The refusal, or the chunks and the ending."""
        self.asked.append((pod["metadata"]["name"], container, options))
        if self.refusal is not None:
            raise self.refusal
        for chunk in self.chunks:
            yield chunk
        if self.ending is not None:
            raise self.ending

    async def exec(
        self, pod: Object, container: str, options: ExecOptions, channels: Channels
    ) -> int:
        """Echo what comes on stdin, then the chunks."""
        self.asked.append((pod["metadata"]["name"], container, options))
        if self.refusal is not None:
            raise self.refusal
        while options.stdin and (data := await channels.read_stdin()):
            await channels.write(1, data)
        for chunk in self.chunks:
            await channels.write(1, chunk)
        return self.exit_code


class ApiServer:
    """A running API server. Its registry lives in the server's thread: reach it by `on_loop`."""

    def __init__(
        self,
        directory: Path,
        *,
        headers_s: float = HEADERS_S,
        body_s: float = BODY_S,
        users: Mapping[str, User] = USERS,
        node: NodeAgent | None = None,
    ) -> None:
        self._users = users
        self._node = node
        self._headers_s = headers_s
        self._body_s = body_s
        self.agent = ScriptedAgent()
        self.port = 0
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> ApiServer:
        """Serve."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and its thread."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        self.store = Store(self._directory / "store.db")
        self.registry = Registry(self.store)
        basics.ensure(self.registry)
        server = Server(
            self.registry,
            tokens={f"token-of-{name}": user for name, user in self._users.items()},
            node_agent=self._node or self.agent,
            version="1",
            body_s=self._body_s,
        )
        self._listener = Listener(
            server.serve, body_max=BODY_MAX, shutdown_s=0.1, headers_s=self._headers_s
        )
        self.port = await self._listener.start("127.0.0.1")

    async def _stop(self) -> None:
        await self._listener.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        self.store.close()

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call a function where the registry lives."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def put(self, resource: str, obj: Object) -> Object:
        """Keep an object as it is, uid and all, without asking any rule."""
        about = obj["metadata"]
        key = Key(resource, about.get("namespace", ""), about["name"])

        def keep() -> Object:
            if self.store.get(key) is not None:
                self.store.delete(key)
            return self.store.create(key, obj).object()

        return self.on_loop(keep)

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        user: str | None = "admin",
    ) -> Answer:
        """One request. `body` is sent as it is when it is bytes, else as JSON."""
        sent = dict(headers or {})
        if user is not None:
            sent.setdefault("Authorization", f"Bearer token-of-{user}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        url = f"{path}?{urlencode(query, doseq=True)}" if query else path
        with self.connection() as connection:
            connection.request(method, url, body, sent)
            got = connection.getresponse()
            warnings = got.headers.get_all("Warning") or []
            return Answer(got.status, dict(got.headers), got.read(), warnings)

    @contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection of one's own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            yield connection
        finally:
            connection.close()
