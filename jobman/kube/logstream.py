"""The log of a container as a stream of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from jobman.kube.stream import ByteStream

if TYPE_CHECKING:
    from jobman.kube.connect import Connection
    from jobman.kube.transport import Answer


class LogStream:
    """A log's bytes as they arrive, unchanged; to be used in a `with`.

    `has_log` is False for a pod that no node has taken yet. A follow ends cleanly whatever
    happened on the cluster: look at the pod. A cut connection raises UnreachableError.
    `lacks_head`: the server warns that the log was rotated, which Kubernetes' own never does.
    """

    def __init__(self, answer: Answer, connection: Connection) -> None:
        self.has_log = answer.status != 204
        warnings = answer.response.headers.get("Warning", "")
        self.lacks_head = "rotated" in warnings
        self._chunks = ByteStream(answer.response, connection)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        """End it, from any thread."""
        self._chunks.close()

    def __enter__(self) -> LogStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
