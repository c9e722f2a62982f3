"""An object's metadata as the server keeps it: names, times, generations, what stays."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import Any

from jobman.local.api.cause import required, wrong
from jobman.local.api.resources import Resource
from jobman.local.api.status import ApiError, bad_request, conflict, invalid
from jobman.local.moments import now
from jobman.values.names import random_suffix

Object = dict[str, Any]

_GENERATED_BASE_MAX = 58
_RANDOM_BYTES = 4096
_COUNTED = frozenset({"Job", "Pod", "PriorityClass"})
_NEVER_BLINDLY = frozenset({"Lease"})
"""Kinds that only who knows their version may replace."""

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
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


def _random_digits() -> Iterator[str]:
    """32 hexadecimal digits at a time; the system is asked for those of many."""
    while True:
        digits = os.urandom(_RANDOM_BYTES).hex()
        yield from (digits[at : at + 32] for at in range(0, len(digits), 32))


_DIGITS = _random_digits()


def new_uid() -> str:
    """A random UUID, as uuid4() makes it, in a tenth of the time."""
    digits = next(_DIGITS)
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


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
    """The object's own name must be the URL's."""
    own = obj.setdefault("metadata", {}).get("name", "")
    if not own:
        why = "was undeterminable: name must be provided"
        raise bad_request(f"the name of the object ({name} based on URL) {why}")
    if own != name:
        raise bad_request(
            f"the name of the object ({own}) does not match the name on the URL ({name})"
        )


def check_new(resource: Resource, obj: Object, name: str) -> None:
    """Who applies may say which object he means, and then it must be there. Raises a 409."""
    about = obj.get("metadata")
    uid = about.get("uid") if isinstance(about, dict) else None
    if uid:
        why = f"the provided object specified uid {uid}, and no existing object was found"
        raise conflict(resource.plural, resource.group, name, f"uid mismatch: {why}")


def begin(resource: Resource, obj: Object, *, dry_run: bool) -> None:
    """Make a new object the server's own: name, uid, time, generation."""
    metadata = obj["metadata"]
    if metadata.get("resourceVersion") and not dry_run:
        text = "resourceVersion should not be set on objects to be created"
        raise ApiError(500, "", text)
    for key in (*_KEPT, "managedFields", "selfLink"):
        metadata.pop(key, None)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"][:_GENERATED_BASE_MAX] + random_suffix()
    if not metadata.get("name"):
        cause = required("metadata.name", "name or generateName is required")
        raise invalid(resource.kind, resource.group, "", [cause])
    metadata["uid"] = new_uid()
    if resource.kind in _COUNTED:
        metadata["generation"] = 1
    metadata["creationTimestamp"] = now()
    obj["metadata"] = in_order(metadata)


def carry_over(resource: Resource, old: Object, new: Object, *, is_patch: bool = False) -> None:
    """Keep what a writer left out, and the generation; what it changed is for validation to see.

    Raises a 409 for an object that is not at the writer's resourceVersion, or is another one
    (of a patch validation tells that, too); a 422 where the version must be told and is not.
    """
    before, after = old["metadata"], new["metadata"]
    plural, group, name = resource.plural, resource.group, before["name"]
    uid = after.get("uid")
    if uid and uid != before["uid"] and not is_patch:
        raise conflict(plural, group, name, _other_uid(plural, before, uid))
    version = after.get("resourceVersion")
    if version and version != before["resourceVersion"]:
        raise conflict(plural, group, name)
    if not version and resource.kind in _NEVER_BLINDLY:
        cause = wrong("metadata.resourceVersion", 0, "must be specified for an update")
        raise invalid(plural, group, name, [cause])
    for key in _KEPT:
        if key in before and (key == "generation" or not after.get(key)):
            after[key] = before[key]
        elif key not in before:
            after.pop(key, None)
    after.pop("managedFields", None)
    after["resourceVersion"] = before["resourceVersion"]
    new["metadata"] = in_order(after)


def count_generation(obj: Object) -> None:
    """One more generation, for the kinds that have them."""
    if obj.get("kind") in _COUNTED:
        obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1


def check_preconditions(
    resource: Resource, obj: Object, uid: str | None, resource_version: str | None
) -> None:
    """What a deletion demands of the object. Raises a 409."""
    about = obj["metadata"]
    if uid is not None and uid != about["uid"]:
        why = (
            f"the UID in the precondition ({uid}) does not match the UID in record"
            f" ({about['uid']}). The object might have been deleted and then recreated"
        )
    elif resource_version is not None and resource_version != about["resourceVersion"]:
        why = (
            f"the ResourceVersion in the precondition ({resource_version}) does not match the"
            f" ResourceVersion in record ({about['resourceVersion']})."
            " The object might have been modified"
        )
    else:
        return
    raise conflict(resource.kind, resource.group, about["name"], why)


def _other_uid(plural: str, about: Object, uid: str) -> str:
    place = "/".join(part for part in (about.get("namespace"), about["name"]) if part)
    return (
        f"StorageError: invalid object, Code: 4, Key: /registry/{plural}/{place},"
        f" ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {uid},"
        f" UID in object meta: {about['uid']}"
    )


def drop_finalizer(obj: Object, name: str) -> None:
    """Take a finalizer off."""
    _drop(obj["metadata"], "finalizers", lambda finalizer: finalizer == name)


def drop_owners(obj: Object, uids: Collection[str]) -> None:
    """Take off the ownerReferences to these."""
    _drop(obj["metadata"], "ownerReferences", lambda owner: owner.get("uid") in uids)


def stop_blocking(obj: Object) -> None:
    """Keep none of its owners from going first."""
    for owner in obj["metadata"].get("ownerReferences", []):
        if owner.get("blockOwnerDeletion"):
            owner["blockOwnerDeletion"] = False


def _drop(metadata: Object, field: str, unwanted: Callable[[Any], bool]) -> None:
    left = [each for each in metadata.get(field, []) if not unwanted(each)]
    if left:
        metadata[field] = left
    else:
        metadata.pop(field, None)


def in_order(metadata: Object) -> Object:
    """Metadata in the order in which Kubernetes writes it."""
    known = {key: metadata[key] for key in _ORDER if key in metadata}
    return known | {key: value for key, value in metadata.items() if key not in known}
