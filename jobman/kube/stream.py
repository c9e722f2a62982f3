"""A response's body as it arrives: for logs and watches."""

from __future__ import annotations

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

    `close` may be called by any thread: a reader that waits for its next chunk ends at once.
    """

    def __init__(self, response: BaseHTTPResponse, connection: Connection) -> None:
        self._response = response
        self._connection = connection
        self._chunks = _chunks(response)
        self._reading = threading.Lock()
        self._closed = False

    def __iter__(self) -> ByteStream:
        return self

    def __next__(self) -> bytes:
        with self._reading:
            if self._closed:
                raise StopIteration
            try:
                return next(self._chunks)
            except StopIteration:
                self._closed = True
                self._response.release_conn()
                raise
            except (HTTPError, OSError, ValueError) as error:
                self._break(error)
                raise StopIteration from None

    def _break(self, error: Exception) -> None:
        """Raise what broke the stream, unless it was closed on purpose."""
        closed, self._closed = self._closed, True
        self._response.close()
        if closed:
            return
        if isinstance(error, ValueError) and not isinstance(error, (HTTPError, OSError)):
            raise error
        connection = self._connection
        raise failure_of(error, connection.server, proxy=connection.proxy).error from error

    def close(self) -> None:
        """End the stream and its connection; the rest of the body is not read."""
        if self._closed:
            return
        self._closed = True
        with suppress(ValueError, RuntimeError, OSError):
            self._response.shutdown()
        if self._reading.acquire(timeout=_CLOSE_PATIENCE_S):
            try:
                self._response.close()
            finally:
                self._reading.release()


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
