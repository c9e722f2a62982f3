"""The one client of the Kubernetes API: Kubernetes' verbs on Structs and plain dicts."""

from __future__ import annotations

import builtins
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from jobman.errors import ApiError, ApiNotFoundError, ConflictError, ForbiddenError
from jobman.kube import decode, lists
from jobman.kube import labels as names
from jobman.kube.lists import Listing, Scope
from jobman.kube.logstream import LogStream
from jobman.kube.objects import KubeObject
from jobman.kube.resources import PODS, Resource
from jobman.kube.retry import Patience
from jobman.kube.transport import Call, Effect, Transport, Tries
from jobman.kube.watch import Watch

if TYPE_CHECKING:
    from jobman.kube.connect import Connection

T = TypeVar("T", bound=KubeObject)
Propagation = Literal["Background", "Foreground", "Orphan"]
PatchKind = Literal["merge", "json", "strategic"]

LOG_QUIET_S = 300.0
"""Seconds without a byte after which a followed log counts as cut."""

_PATCH_TYPES: dict[str, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_STRICT = ("fieldValidation", "Strict")
_SELF_REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_ACCESS_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


class Client:
    """Calls to one cluster; may be used by many threads at once.

    Every method raises the ApiError of a refusal and UnreachableError where no answer comes.
    `namespace` None stands for the client's own namespace. `log` gets a line per request,
    `warn` each of the server's warnings.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        patience: Patience | None = None,
        log: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.connection = connection
        self.namespace = connection.namespace
        self.transport = Transport(connection, patience=patience, log=log, warn=warn, sleep=sleep)

    def get(self, resource: Resource[T], name: str, *, namespace: str | None = None) -> T:
        """One object."""
        body = self._get(resource, name, namespace)
        return decode.one(body, resource.model, resource.kind)

    def get_raw(
        self, resource: Resource[Any], name: str, *, namespace: str | None = None
    ) -> dict[str, Any]:
        """One object, whole."""
        return decode.whole(self._get(resource, name, namespace), f"{resource.kind} {name}")

    def _get(self, resource: Resource[Any], name: str, namespace: str | None) -> bytes:
        path = resource.path(namespace or self.namespace, name)
        return self.transport.send(Call("GET", path, gzip=True)).body

    def list(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Listing[T]:
        """All objects of a collection, by label and field selectors, as of one version."""
        scope = self._scope(resource, namespace, all_namespaces, labels, fields)
        return self.list_in(resource, scope)

    def list_in(
        self, resource: Resource[T], scope: Scope, *, budget_s: float | None = None
    ) -> Listing[T]:
        """`list` of a scope; `budget_s`: seconds after which nothing that failed is tried again."""
        until = None if budget_s is None else time.monotonic() + budget_s
        pages = lists.complete(lambda: self._pages(resource, scope, until))
        items = [item for page in pages for item in page.items or []]
        return Listing(items, pages[-1].metadata.resource_version)

    def pages(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Iterator[Listing[T]]:
        """The same in pages of 500, each object once, also when the list is started over."""
        scope = self._scope(resource, namespace, all_namespaces, labels, fields)
        for page, fresh in lists.distinct(lambda: self._pages(resource, scope)):
            yield Listing(fresh, page.metadata.resource_version)

    def list_raw(
        self,
        resource: Resource[Any],
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        labels: str | None = None,
        fields: str | None = None,
    ) -> builtins.list[dict[str, Any]]:
        """All objects whole, each with its kind and apiVersion."""
        scope = self._scope(resource, namespace, all_namespaces, labels, fields)
        pages = lists.complete(lambda: self._plain_pages(resource, scope))
        head = {"apiVersion": resource.group_version, "kind": resource.kind}
        return [{**head, **item} for page in pages for item in page.items or []]

    def _pages(
        self, resource: Resource[T], scope: Scope, until: float | None = None
    ) -> Iterator[decode.ListOf[T]]:
        def read(body: bytes) -> decode.ListOf[T]:
            return decode.listing(body, resource.model, resource.kind)

        return lists.walk(self.transport, resource, scope, read, until)

    def _plain_pages(self, resource: Resource[Any], scope: Scope) -> Iterator[decode.PlainList]:
        def read(body: bytes) -> decode.PlainList:
            return decode.plain_listing(body, resource.kind)

        return lists.walk(self.transport, resource, scope, read)

    def _scope(
        self,
        resource: Resource[Any],
        namespace: str | None,
        all_namespaces: bool,
        labels: str | None,
        fields: str | None,
    ) -> Scope:
        everywhere = all_namespaces or not resource.namespaced
        return Scope(None if everywhere else namespace or self.namespace, labels, fields)

    def watch(
        self,
        resource: Resource[T],
        *,
        namespace: str | None = None,
        all_namespaces: bool = False,
        labels: str | None = None,
        fields: str | None = None,
        resource_version: str | None = None,
        known: Iterable[T] = (),
        deadline_s: float | None = None,
        outage_s: float | None = None,
    ) -> Watch[T]:
        """Changes as they happen, for `deadline_s` seconds or until closed; see `Watch`.

        Without `resource_version` all objects come first, as ADDED. `known` are those that the
        caller has seen: what differs from them comes then, and DELETED what is missing of them.
        """
        scope = self._scope(resource, namespace, all_namespaces, labels, fields)
        return Watch(
            self,
            resource,
            scope,
            resource_version=resource_version,
            known=known,
            deadline_s=deadline_s,
            outage_s=outage_s,
        )

    def create(
        self,
        resource: Resource[Any],
        manifest: Mapping[str, Any],
        *,
        namespace: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Create an object and return it whole.

        It is marked with the annotation jobman/submission (the manifest's own, or a random one),
        so that it is known again when the answer to a first try was lost. An object with a
        generateName alone is not sent again then: LostWriteError.
        """
        path = resource.path(namespace or self.namespace)
        marked = _marked(manifest)
        name = marked["metadata"].get("name")
        effect = Effect.NONE if dry_run else Effect.REPEATABLE if name else Effect.ONCE
        call = Call("POST", path, _write_query(dry_run), marked, effect=effect)
        try:
            answer = self.transport.send(call)
        except (ConflictError, ForbiddenError):
            own = None if dry_run or not name else self._own(resource, marked, namespace)
            if own is None:
                raise
            return own
        return decode.whole(answer.body, f"{resource.kind} {name or ''}")

    def _own(
        self, resource: Resource[Any], marked: Mapping[str, Any], namespace: str | None
    ) -> dict[str, Any] | None:
        """The object of that name if it came of this very creation.

        A try whose answer was lost makes the next one meet the name, or a quota it filled.
        """
        metadata = marked["metadata"]
        try:
            found = self.get_raw(resource, metadata["name"], namespace=namespace)
        except ApiError:
            return None
        theirs = (found.get("metadata") or {}).get("annotations") or {}
        same = theirs.get(names.SUBMISSION) == metadata["annotations"][names.SUBMISSION]
        return found if same else None

    def patch(
        self,
        resource: Resource[Any],
        name: str,
        patch: Mapping[str, Any] | Sequence[Any],
        *,
        namespace: str | None = None,
        kind: PatchKind = "merge",
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> dict[str, Any]:
        """Change an object and return it whole; a JSON patch is a list of operations."""
        if (kind == "json") == isinstance(patch, Mapping):
            raise TypeError("a JSON patch is a list of operations, the other patches are objects")
        path = resource.path(namespace or self.namespace, name, subresource)
        body = dict(patch) if isinstance(patch, Mapping) else [*patch]
        call = Call(
            "PATCH",
            path,
            _write_query(dry_run),
            body,
            content_type=_PATCH_TYPES[kind],
            effect=Effect.NONE if dry_run else Effect.ONCE,
        )
        return decode.whole(self.transport.send(call).body, f"{resource.kind} {name}")

    def replace(
        self,
        resource: Resource[Any],
        name: str,
        manifest: Mapping[str, Any],
        *,
        namespace: str | None = None,
        subresource: str | None = None,
    ) -> dict[str, Any]:
        """Put a whole object in the place of another; its resourceVersion guards it."""
        path = resource.path(namespace or self.namespace, name, subresource)
        call = Call("PUT", path, _write_query(False), dict(manifest), effect=Effect.ONCE)
        return decode.whole(self.transport.send(call).body, f"{resource.kind} {name}")

    def delete(
        self,
        resource: Resource[Any],
        name: str,
        *,
        namespace: str | None = None,
        propagation: Propagation = "Background",
        grace_s: int | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete an object and what it owns; with `uid`, only if it is still that very object."""
        options: dict[str, Any] = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": propagation,
        }
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        path = resource.path(namespace or self.namespace, name)
        effect = Effect.ONCE if uid is None else Effect.REPEATABLE
        tries = Tries()
        try:
            self.transport.send(Call("DELETE", path, (), options, effect=effect), tries)
        except (ApiNotFoundError, ConflictError):
            if uid is None or not tries.resent:
                raise

    def log(
        self,
        pod: str,
        *,
        namespace: str | None = None,
        container: str | None = None,
        follow: bool = False,
        tail: int | None = None,
        since_s: int | None = None,
        since_time: str | None = None,
        timestamps: bool = False,
        previous: bool = False,
        limit_bytes: int | None = None,
    ) -> LogStream:
        """A container's log; a pod whose container has not started is an InvalidError (400)."""
        given = {
            "container": container,
            "follow": follow or None,
            "tailLines": tail,
            "sinceSeconds": since_s,
            "sinceTime": since_time,
            "timestamps": timestamps or None,
            "previous": previous or None,
            "limitBytes": limit_bytes,
        }
        call = Call(
            "GET",
            PODS.path(namespace or self.namespace, pod, "log"),
            tuple((key, _word(value)) for key, value in given.items() if value is not None),
            accept="*/*",
            stream=True,
            read_s=LOG_QUIET_S if follow else None,
        )
        return LogStream(self.transport.send(call), self.connection)

    def review_self(self) -> str | None:
        """The user's name as the server sees it; None where it does not say (before 1.28)."""
        review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
        try:
            found = self.request("POST", _SELF_REVIEW, body=review, effect=Effect.NONE)
        except (ApiNotFoundError, ForbiddenError):
            return None
        user = ((found.get("status") or {}).get("userInfo") or {}).get("username")
        return user if isinstance(user, str) and user else None

    def can_i(
        self,
        verb: str,
        resource: str,
        group: str = "",
        namespace: str | None = None,
        name: str | None = None,
    ) -> bool:
        """Whether the server lets me; `namespace` None asks for all of them.

        A subresource is written behind the resource ("pods/log").
        """
        plural, _, subresource = resource.partition("/")
        asked = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace or "",
            "name": name or "",
        }
        review = {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"resourceAttributes": {k: v for k, v in asked.items() if v}},
        }
        found = self.request("POST", _ACCESS_REVIEW, body=review, effect=Effect.NONE)
        return (found.get("status") or {}).get("allowed") is True

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        effect: Effect | None = None,
    ) -> dict[str, Any]:
        """Any other call; `effect` None: a GET has none, anything else is done once."""
        if effect is None:
            effect = Effect.NONE if method == "GET" else Effect.ONCE
        pairs = tuple((query or {}).items())
        call = Call(method, path, pairs, body, effect=effect, gzip=method == "GET")
        return decode.whole(self.transport.send(call).body, f"the answer to {method} {path}")


def _marked(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """`manifest` with the annotation that a creation is known by."""
    metadata = dict(manifest.get("metadata") or {})
    mark = {names.SUBMISSION: os.urandom(8).hex()}
    metadata["annotations"] = mark | (metadata.get("annotations") or {})
    return {**manifest, "metadata": metadata}


def _write_query(dry_run: bool) -> tuple[tuple[str, str], ...]:
    return (_STRICT, ("dryRun", "All")) if dry_run else (_STRICT,)


def _word(value: object) -> str:
    return "true" if value is True else str(value)
