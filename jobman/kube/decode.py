"""Bytes to Structs, with an error that names the object and the field that do not fit."""

from __future__ import annotations

import re
import threading
import zlib
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from jobman.errors import ApiError
from jobman.kube.objects import KubeObject, KubeStruct, ListMeta

T = TypeVar("T", bound=KubeObject)
S = TypeVar("S", bound=msgspec.Struct)


class ListOf(KubeStruct, Generic[T], frozen=True):
    """A List as the server sends it; an empty one may come as null."""

    items: list[T] | None
    metadata: ListMeta = ListMeta()


class PlainList(KubeStruct, frozen=True):
    """A List whose items are plain dicts."""

    items: list[dict[str, Any]] | None
    metadata: ListMeta = ListMeta()


class RawList(KubeStruct, frozen=True):
    """A List whose items stay JSON."""

    items: list[msgspec.Raw] | None
    metadata: ListMeta = ListMeta()


class _Named(msgspec.Struct):
    metadata: dict[str, Any] = {}


class WatchLine(msgspec.Struct):
    """A line of a watch; the object stays JSON until its type is known."""

    type: str = ""
    object: msgspec.Raw = msgspec.Raw(b"null")


_building = threading.Lock()
"""msgspec learns a Struct step by step; a second thread that looks meanwhile crashes."""


@cache
def _decoder(model: Any) -> msgspec.json.Decoder[Any]:
    with _building:
        return msgspec.json.Decoder(model)


_GZIP = b"\x1f\x8b"
_GZIP_BITS = 31


def unpacked(body: bytes, what: str) -> bytes:
    """`body`, which may be gzip; ApiError where that is damaged."""
    if not body.startswith(_GZIP):
        return body
    try:
        return zlib.decompress(body, _GZIP_BITS)
    except zlib.error as error:
        raise _unreadable(b"", what, error) from error


def beginning(body: bytes, most: int) -> bytes:
    """The first bytes of `body`, which may be gzip; nothing where that is damaged."""
    if not body.startswith(_GZIP):
        return body[:most]
    try:
        return zlib.decompressobj(_GZIP_BITS).decompress(body, most)
    except zlib.error:
        return b""


def one(body: bytes | msgspec.Raw, model: type[S], what: str) -> S:
    """`body` as `model`; ApiError where it is none. `what` names it in the message."""
    try:
        found: S = _decoder(model).decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _unreadable(bytes(body), what, error) from error
    return found


def whole(body: bytes, what: str) -> dict[str, Any]:
    """`body` as a plain dict."""
    try:
        found = _decoder(dict[str, Any]).decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _unreadable(body, what, error) from error
    return cast(dict[str, Any], found)


def listing(body: bytes, model: type[T], kind: str) -> ListOf[T]:
    """A List of `model`; ApiError naming the first item that does not fit."""
    try:
        found: ListOf[T] = _decoder(ListOf[model]).decode(body)  # type: ignore[valid-type]
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise _misfit(body, model, kind, error) from error
    return found


def plain_listing(body: bytes, kind: str) -> PlainList:
    """A List with its items whole."""
    return one(body, PlainList, f"the list of {kind}s")


def _misfit(body: bytes, model: type[T], kind: str, error: Exception) -> ApiError:
    """Look for the item by itself: only then is its name known."""
    try:
        raw = one(body, RawList, f"the list of {kind}s")
        for item in raw.items or []:
            one(item, model, kind)
    except ApiError as found:
        return found
    return _unreadable(body, f"the list of {kind}s", error)


def _name(body: bytes, what: str) -> str:
    """`what` with the object's namespace and name, as far as they can be read."""
    try:
        metadata = msgspec.json.decode(body, type=_Named).metadata
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return what
    parts = [metadata.get("namespace"), metadata.get("name")]
    name = "/".join(part[:260] for part in parts if isinstance(part, str) and part)
    return f"{what} {name}" if name else what


def _unreadable(body: bytes, what: str, error: Exception) -> ApiError:
    if body.lstrip()[:1] == b"<":
        message, hint = f"{what} came as a web page", "is there a login page before the cluster?"
    else:
        said = re.sub(r"`\$\.?", "`", str(error)) or type(error).__name__
        message = f"{_name(body, what)} cannot be read: {said}"
        hint = "the server sent something that is no Kubernetes object of this kind"
    return ApiError(message, code=200, reason="Unreadable", hint=hint)
