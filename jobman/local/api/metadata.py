"""An object's metadata as the server keeps it: names, times, generations, what stays."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from jobman.local.api.cause import required
from jobman.local.api.resources import Resource
from jobman.local.api.status import bad_request, conflict, internal, invalid
from jobman.values.names import random_suffix

Object = dict[str, Any]

_GENERATED_BASE_MAX = 58
_COUNTED = frozenset({"Job", "Pod"})
_KEPT = (
    "uid",
    "creationTimestamp",
    "generation",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def now() -> str:
    """This moment, to the second, as objects carry it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_namespace(resource: Resource, obj: Object, namespace: str) -> None:
    """The object's own namespace, where it names one, must be the request's."""
    own = obj.setdefault("metadata", {}).get("namespace", "")
    if resource.namespaced and own not in ("", namespace):
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if resource.namespaced:
        obj["metadata"]["namespace"] = namespace
    else:
        obj["metadata"].pop("namespace", None)


def check_name(obj: Object, name: str) -> None:
    """The object's own name, where it has one, must be the URL's."""
    own = obj["metadata"].get("name", "")
    if own not in ("", name):
        raise bad_request(
            f"the name of the object ({own}) does not match the name on the URL ({name})"
        )
    obj["metadata"]["name"] = name


def begin(resource: Resource, obj: Object, *, dry_run: bool) -> None:
    """Make a new object the server's own: name, uid, time, generation."""
    metadata = obj["metadata"]
    if metadata.get("resourceVersion") and not dry_run:
        raise internal("resourceVersion should not be set on objects to be created")
    for key in (*_KEPT, "resourceVersion", "managedFields", "selfLink"):
        metadata.pop(key, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_GENERATED_BASE_MAX] + random_suffix()
    if not metadata.get("name"):
        cause = required("metadata.name", "name or generateName is required")
        raise invalid(resource.kind, resource.group, "", [cause])
    metadata["uid"] = str(uuid.uuid4())
    if resource.kind in _COUNTED:
        metadata["generation"] = 1
    metadata["creationTimestamp"] = now()
    obj["metadata"] = in_order(metadata)


def carry_over(resource: Resource, old: Object, new: Object) -> None:
    """Keep what no writer may change.

    Raises a 409 for an object that is another one, or not at the writer's resourceVersion.
    """
    before, after = old["metadata"], new["metadata"]
    plural, group, name = resource.plural, resource.group, before["name"]
    uid = after.get("uid")
    if uid and uid != before["uid"]:
        raise conflict(plural, group, name, _uid_text(uid, before["uid"]))
    version = after.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(plural, group, name)
    for key in _KEPT:
        after.pop(key, None)
        if key in before:
            after[key] = before[key]
    after.pop("managedFields", None)
    new["metadata"] = in_order(after)


def count_generation(obj: Object) -> None:
    """One more generation, for the kinds that have them."""
    if obj.get("kind") in _COUNTED:
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1


def check_preconditions(
    resource: Resource, obj: Object, uid: str | None, resource_version: str | None
) -> None:
    """What a deletion demands of the object. Raises a 409."""
    metadata = obj["metadata"]
    if uid is not None and uid != metadata["uid"]:
        raise conflict(
            resource.plural, resource.group, metadata["name"], _uid_text(uid, metadata["uid"])
        )
    if resource_version is not None and resource_version != metadata["resourceVersion"]:
        raise conflict(
            resource.plural,
            resource.group,
            metadata["name"],
            f"the ResourceVersion in the precondition ({resource_version}) does not match the"
            f" ResourceVersion in record ({metadata['resourceVersion']})."
            " The object might have been modified",
        )


def _uid_text(given: str, recorded: str) -> str:
    return (
        f"the UID in the precondition ({given}) does not match the UID in record ({recorded})."
        " The object might have been deleted and then recreated"
    )


def in_order(metadata: Object) -> Object:
    """Metadata in the order in which Kubernetes writes it."""
    known = {key: metadata[key] for key in _ORDER if key in metadata}
    return known | {key: value for key, value in metadata.items() if key not in known}
