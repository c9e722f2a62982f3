"""A response's body as it arrives: for logs and watches."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

from jobman.kube.failures import failure_of

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from jobman.kube.connect import Connection

CHUNK_BYTES = 65536
_CLOSE_PATIENCE_S = 2.0


class ByteStream:
    """Chunks of a body, each as soon as it is there; a broken one raises UnreachableError.

    `close` may be called by any thread: a reader that waits for its next chunk ends at once, and
    is handed nothing more.
    """

    def __init__(self, response: BaseHTTPResponse, connection: Connection) -> None:
        self._response = response
        self._connection = connection
        self._chunks = _chunks(response)
        self._wire = _wire(response)
        self._reading = threading.Lock()
        self._ending = threading.Lock()
        self._over = False

    def __iter__(self) -> ByteStream:
        return self

    def __next__(self) -> bytes:
        with self._reading:
            if self._over:
                raise StopIteration
            try:
                chunk = next(self._chunks)
            except StopIteration:
                self._release()
                raise
            except (HTTPError, OSError, ValueError) as error:
                self._break(error)
                raise StopIteration from None
            if self._over:
                raise StopIteration
            return chunk

    def _end(self) -> bool:
        """Whether the caller is the one that ends the stream: the wire is its own then."""
        with self._ending:
            first, self._over = not self._over, True
        return first

    def _release(self) -> None:
        """The body is read: the connection serves another request, unless it is being closed."""
        if self._end():
            self._close_wire()
            self._response.release_conn()

    def _break(self, error: Exception) -> None:
        """Raise what broke the stream, unless it was closed on purpose."""
        first = self._end()
        self._response.close()
        if not first:
            return
        self._close_wire()
        if isinstance(error, ValueError) and not isinstance(error, (HTTPError, OSError)):
            raise error
        connection = self._connection
        raise failure_of(error, connection.server, proxy=connection.proxy).error from error

    def close(self) -> None:
        """End the stream and its connection; the rest of the body is not read."""
        if not self._end():
            return
        if self._wire is not None:
            with suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)
        self._close_wire()
        if self._reading.acquire(timeout=_CLOSE_PATIENCE_S):
            try:
                self._response.close()
            finally:
                self._reading.release()

    def _close_wire(self) -> None:
        if self._wire is not None:
            self._wire.close()


def _wire(response: BaseHTTPResponse) -> socket.socket | None:
    """The connection below TLS; None where the body is over already.

    Shutting down an SSLSocket takes its TLS away under a reader, who then gets ciphertext. The
    descriptor is one of its own, so that it cannot have become another connection's.
    """
    try:
        return socket.socket(fileno=os.dup(response.fileno()))
    except (OSError, ValueError, AttributeError):
        return None


def _chunks(response: BaseHTTPResponse) -> Iterator[bytes]:
    """Each piece as it arrives; `stream` alone would wait for a whole buffer outside of chunks."""
    if getattr(response, "chunked", False):
        yield from response.stream(CHUNK_BYTES, decode_content=True)
        return
    while chunk := response.read1(CHUNK_BYTES, decode_content=True):
        yield chunk


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines without their newline; an unfinished last one is dropped."""
    parts: list[bytes] = []
    for chunk in chunks:
        first, *whole = chunk.split(b"\n")
        parts.append(first)
        for piece in whole:
            yield b"".join(parts)
            parts = [piece]
