"""What the API server asks of the node that a pod runs on: its logs, and commands in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from jobman.local.api.status import ApiError

Object = dict[str, Any]


@dataclass(frozen=True)
class LogOptions:
    """Kubernetes' PodLogOptions; None where not given."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_seconds: int | None = None
    since_time: datetime | None = None
    limit_bytes: int | None = None


@dataclass(frozen=True)
class ExecOptions:
    """What to run in a container, and which streams it has."""

    command: Sequence[str]
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


class LinesLostError(ApiError):
    """A follow was overtaken by the rotation: lines that it has not read are gone."""

    def __init__(self) -> None:
        super().__init__(500, "InternalError", "the log was rotated before it was read")


class Channels(Protocol):
    """The caller's end of an exec: bytes in, bytes out, the terminal's size."""

    async def read_stdin(self) -> bytes:
        """The next bytes for the process; empty at the end."""

    async def write(self, channel: int, data: bytes) -> None:
        """Bytes of the process: channel 1 is stdout, 2 stderr."""

    async def resized(self) -> tuple[int, int]:
        """Wait for the next (columns, rows) of the caller's terminal."""


class NodeAgent(Protocol):
    """A node's side of the API."""

    def check(self, pod: Object) -> None:
        """Whether the pod's node can be reached. Raises ApiError."""

    def log(self, pod: Object, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """The log in pieces as they come.

        Raises ApiError before the first one, LinesLostError also later.
        """

    def lacks_head(self, pod: Object, container: str, options: LogOptions) -> bool:
        """Whether the beginning of that log was rotated away."""

    async def exec(
        self, pod: Object, container: str, options: ExecOptions, channels: Channels
    ) -> int:
        """Run a command and return its exit code.

        Raises ApiError before anything runs, ExecError when it could not be started.
        """


class ExecError(Exception):
    """The command could not be started; the text is the runtime's."""
