"""Carrying bytes between a command in a container and the streams of this process."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from jobman.errors import JobmanError, UnreachableError
from jobman.jobs.logs import Sink
from jobman.kube.channels import OUTCOME, STDERR, STDIN, STDOUT, Channels

READ_BYTES = 32 * 1024
MOST_UNSENT = 1 << 20
"""Input beyond this waits until the command has taken some."""
ALIVE_S = 25.0
"""A connection without a byte for this long is taken for dead by many a load balancer."""


@dataclass(frozen=True)
class Streams:
    """This end: `stdin` is a file descriptor, None where the command gets no input.

    `resized` is readable when the terminal's size has changed; `size` tells it.
    """

    stdout: Sink
    stderr: Sink
    stdin: int | None = None
    resized: int | None = None
    size: Callable[[], tuple[int, int]] | None = None


def carry(channels: Channels, streams: Streams) -> int:
    """Pass everything on until the command ends; its exit code.

    Raises JobmanError where it could not be run, UnreachableError for a lost connection.
    """
    pump = _Pump(channels, streams)
    while pump.outcome is None:
        pump.turn()
    return exit_code(pump.outcome)


class _Pump:
    def __init__(self, channels: Channels, streams: Streams) -> None:
        self.outcome: bytes | None = None
        self._channels = channels
        self._streams = streams
        self._stdin = streams.stdin
        self._tell_size()

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        channels, streams = self._channels, self._streams
        readers: list[Any] = [channels.socket]
        if self._stdin is not None and channels.unsent < MOST_UNSENT:
            readers.append(self._stdin)
        if streams.resized is not None:
            readers.append(streams.resized)
        writers = [channels.socket] if channels.unsent else []
        ready, writable, _ = select.select(readers, writers, [], ALIVE_S)
        if not ready and not writable:
            channels.keep_alive()
        channels.flush()
        if streams.resized in ready and streams.resized is not None:
            os.read(streams.resized, READ_BYTES)
            self._tell_size()
        if self._stdin in ready and self._stdin is not None:
            self._pass_input(self._stdin)
        self._take_frames()

    def _tell_size(self) -> None:
        if self._streams.size is not None:
            self._channels.resize(*self._streams.size())

    def _pass_input(self, stdin: int) -> None:
        data = os.read(stdin, READ_BYTES)
        if data:
            self._channels.send(STDIN, data)
        else:
            self._stdin = None
            self._channels.close_stdin()

    def _take_frames(self) -> None:
        sinks = {STDOUT: self._streams.stdout, STDERR: self._streams.stderr}
        written: set[int] = set()
        for channel, data in self._channels.frames():
            if channel in sinks and data:
                sinks[channel].write(data)
                written.add(channel)
            elif channel == OUTCOME:
                self.outcome = (self.outcome or b"") + data
        for channel in written:
            sinks[channel].flush()
        if self._channels.closed and self.outcome is None:
            raise UnreachableError(
                "the connection ended before the command did", hint="the command may still run"
            )


class _Cause(msgspec.Struct):
    reason: str = ""
    message: str = ""


class _Details(msgspec.Struct):
    causes: list[_Cause] = []


class _Outcome(msgspec.Struct):
    status: str = ""
    message: str = ""
    reason: str = ""
    details: _Details | None = None


def exit_code(status: bytes) -> int:
    """The exit code that the Status of a command's end tells. Raises JobmanError where none."""
    try:
        outcome = msgspec.json.decode(status, type=_Outcome)
    except msgspec.DecodeError as error:
        raise JobmanError("the server did not tell how the command ended") from error
    if outcome.status == "Success":
        return 0
    for cause in outcome.details.causes if outcome.details else []:
        if cause.reason == "ExitCode" and cause.message.isdigit():
            return int(cause.message)
    raise JobmanError(f"the command could not be run: {outcome.message or outcome.reason}")
