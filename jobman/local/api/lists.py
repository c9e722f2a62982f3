"""LISTs: which objects, in which order, in pages that show one moment."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from jobman.local.api import decode, selectors, status
from jobman.local.api.cause import Cause
from jobman.local.api.query import integer, is_version
from jobman.local.api.resources import Resource
from jobman.local.mirror import CompactedError
from jobman.local.store import Store
from jobman.local.stored import Key, Record

_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start"
    " a new list without the continue parameter, or use the continue token in this response to"
    " retrieve the remainder of the results. Continuing with the provided token results in an"
    " inconsistent list - objects that were created, modified, or deleted between the time the"
    " first chunk was returned and now may show up in the list."
)
_VERSION = "meta.k8s.io/v1"
_BY_NAME = re.compile(r"metadata\.name==?([^,=!]+)")


@dataclass(frozen=True)
class Selection:
    """Which objects of a resource: a namespace (None: all), labels, fields."""

    resource: Resource
    namespace: str | None
    labels: Callable[[Mapping[str, str]], bool] | None = None
    fields: Callable[[dict[str, Any]], bool] | None = None
    name: str | None = None

    @classmethod
    def of_query(
        cls, resource: Resource, namespace: str | None, query: Mapping[str, str]
    ) -> Selection:
        """The selection of a request. Raises a 400 for a selector that is none."""
        label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
        by_name = _BY_NAME.fullmatch(field_text)
        return cls(
            resource,
            namespace,
            selectors.labels(label_text) if label_text else None,
            selectors.fields(resource, field_text) if field_text and not by_name else None,
            by_name[1] if by_name else None,
        )

    @property
    def everything(self) -> bool:
        """Whether no selector leaves anything out."""
        return self.labels is None and self.fields is None and self.name is None

    def takes(self, record: Record) -> bool:
        """Whether an object belongs to it."""
        key = record.key
        return (
            (self.namespace is None or key.namespace == self.namespace)
            and (self.name is None or key.name == self.name)
            and (self.labels is None or self.labels(record.labels))
            and (self.fields is None or self.fields(record.object()))
        )

    def of(self, records: Iterable[Record], limit: int = 0) -> list[Record]:
        """Those that belong to it; with a limit, no more than show whether there are others."""
        if self.everything:
            return list(records)
        return list(islice(filter(self.takes, records), limit + 1 if limit else None))


class _Token(msgspec.Struct):
    """What a continue token tells: the version of its list, and the key to go on behind."""

    v: str = ""
    rv: int = 0
    start: str = ""


@dataclass(frozen=True)
class Page:
    """A page of a LIST: its objects and the list's metadata."""

    records: list[Record]
    metadata: dict[str, Any]


def page(store: Store, selection: Selection, query: Mapping[str, str]) -> Page:
    """The page that a request asks for. Raises 400, 410 and 504 as Kubernetes does."""
    limit = integer(query, "limit") or 0
    integer(query, "timeoutSeconds")  # a list takes no time worth a limit, but it must be a number
    token = query.get("continue", "")
    version = query.get("resourceVersion", "")
    _check_version(store, query, version, token)
    if version == "0":
        limit = 0
    if token:
        rv, start = _decoded(selection, token)
        records, rv = _continued(store, selection, rv, start, limit)
    else:
        records, rv = _at(store, selection, query, version, limit)
    return _cut(selection, records, rv, limit)


def _at(
    store: Store, selection: Selection, query: Mapping[str, str], version: str, limit: int
) -> tuple[list[Record], int]:
    """What is there, or was at an exact version; and the version."""
    resource = selection.resource.name
    if query.get("resourceVersionMatch") == "Exact" and version:
        try:
            found = store.list_at(resource, int(version), selection.namespace)
        except CompactedError:
            raise status.expired("The resourceVersion for the provided list is too old.") from None
        return selection.of(found, limit), int(version)
    if selection.name is not None and selection.namespace is not None:
        one = store.get(Key(resource, selection.namespace, selection.name))
        return selection.of([one] if one else []), store.rv
    return selection.of(store.list(resource, selection.namespace), limit), store.rv


def _continued(
    store: Store, selection: Selection, rv: int, start: tuple[str, str], limit: int
) -> tuple[list[Record], int]:
    """What comes behind `start`, as it was when the first page was made."""
    resource = selection.resource.name
    if rv > store.rv:
        raise status.version_too_large(rv, store.rv)
    if rv < 0:  # the token of a 410: whatever is there now
        there = store.list(resource, selection.namespace, after=start)
        return selection.of(there, limit), store.rv
    try:
        changed = store.since(resource, rv)
        if not changed:
            there = store.list(resource, selection.namespace, after=start)
            return selection.of(there, limit), rv
        then = store.list_at(resource, rv, selection.namespace)
    except CompactedError:
        raise status.expired(_TOO_OLD, new_continue=_encoded(selection, -1, start)) from None
    behind = [r for r in then if (r.key.namespace, r.key.name) > start]
    return selection.of(behind, limit), rv


def _cut(selection: Selection, records: list[Record], rv: int, limit: int) -> Page:
    metadata: dict[str, Any] = {"resourceVersion": str(rv)}
    if 0 < limit < len(records):
        last = records[limit - 1].key
        metadata["continue"] = _encoded(selection, rv, (last.namespace, last.name))
        if selection.everything:
            metadata["remainingItemCount"] = len(records) - limit
        records = records[:limit]
    return Page(records, metadata)


def _check_version(store: Store, query: Mapping[str, str], version: str, token: str) -> None:
    match = query.get("resourceVersionMatch", "")
    if token and version not in ("", "0"):
        raise status.bad_request("specifying resource version is not allowed when using continue")
    if match and not version:
        text = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise _list_options("resourceVersionMatch", "FieldValueForbidden", text)
    if match and match not in ("Exact", "NotOlderThan"):
        raise _list_options(
            "resourceVersionMatch",
            "FieldValueNotSupported",
            f'Unsupported value: "{match}": supported values: "Exact", "NotOlderThan", ""',
        )
    if match == "Exact" and version == "0":
        text = 'Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        raise _list_options("resourceVersionMatch", "FieldValueForbidden", text)
    if version and not is_version(version):
        raise status.bad_request(f"invalid resource version: {status.no_such_version(version)}")
    if version and int(version) > store.rv:
        raise status.version_too_large(int(version), store.rv)


def _list_options(field: str, reason: str, message: str) -> status.ApiError:
    return status.invalid("ListOptions", "meta.k8s.io", "", [Cause(reason, field, message)])


def _encoded(selection: Selection, rv: int, start: tuple[str, str]) -> str:
    """A continue token: as Kubernetes', whose keys lie under the namespace that is listed."""
    namespace, name = start
    place = f"{name}\0" if selection.namespace is not None else f"{namespace}/{name}\0"
    if rv != -1 and selection.resource.name != "events":
        place = f"/{place.lstrip('/')}"
    body = json.dumps({"v": _VERSION, "rv": rv, "start": place}, separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def _decoded(selection: Selection, token: str) -> tuple[int, tuple[str, str]]:
    try:
        body = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        given = msgspec.convert(decode.from_json(body), _Token)
        _check_token(given)
    except (binascii.Error, ValueError, TypeError) as error:
        text = f"invalid continue token: continue key is not valid: {error}"
        raise status.bad_request(text) from None
    namespace, _, name = given.start.rstrip("\0").lstrip("/").rpartition("/")
    return given.rv, (namespace or selection.namespace or "", name)


def _check_token(given: _Token) -> None:
    """Raises ValueError."""
    if given.v != _VERSION:
        raise ValueError(f'server does not recognize this encoded version "{given.v}"')
    if given.rv == 0:
        raise ValueError(f"incorrect encoded start resourceVersion (version {_VERSION})")
    if not given.start:
        raise ValueError(f"encoded start key empty (version {_VERSION})")
    if any(part in ("", ".", "..") for part in given.start.removeprefix("/").split("/")):
        raise ValueError(given.start)
