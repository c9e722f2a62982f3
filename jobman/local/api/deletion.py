"""What a DELETE does to an object: gone at once, or marked and waiting for somebody.

A bound pod waits for its kubelet; an object with finalizers for whoever put them there; a
namespace for its content to go.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec

from jobman.local.api import metadata
from jobman.local.api.resources import Resource, resource_of
from jobman.local.moments import stamp
from jobman.local.pod_phase import is_final

Object = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_GRACE_S = 30
_GRACE_FOR_NEGATIVE_S = 1
# Moments that are further away than a lifetime cannot all be told.
_LONGEST_GRACE_S = 2**31 - 1
_PODS = resource_of("pods")


class DeleteOptions(msgspec.Struct, frozen=True):
    """How to delete: grace in seconds (None: the object's own), what happens to dependents.

    A `propagation` of None is the kind's own: dependents of a Job stay, all others go.
    """

    grace_s: int | None = None
    propagation: Propagation | None = "Background"
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False


def marked(resource: Resource, obj: Object, options: DeleteOptions) -> Object:
    """`obj` as the deletion leaves it; `is_over` tells whether it goes at once."""
    if resource.kind == "Pod":
        return _marked_pod(obj, options)
    if resource.kind == "Namespace":
        obj.setdefault("status", {})["phase"] = "Terminating"
    finalizers = _finalizers(resource, obj, options.propagation)
    if finalizers:
        obj["metadata"]["finalizers"] = finalizers
    else:
        obj["metadata"].pop("finalizers", None)
    if finalizers or resource.kind == "Namespace":
        _mark(obj, 0)
    if resource.kind == "Namespace":
        del obj["metadata"]["deletionGracePeriodSeconds"]
    return obj


def is_over(obj: Object) -> bool:
    """Whether nobody is waited for any more: the object goes."""
    about = obj["metadata"]
    held = about.get("finalizers") or (
        obj.get("kind") == "Namespace" and obj.get("spec", {}).get("finalizers")
    )
    return not held and about.get("deletionGracePeriodSeconds", 0) == 0


def _finalizers(resource: Resource, obj: Object, propagation: Propagation | None) -> list[str]:
    """The object's own finalizers, and the one that the propagation asks for."""
    given = obj["metadata"].get("finalizers", [])
    own = [finalizer for finalizer in given if finalizer not in (FOREGROUND, ORPHAN)]
    if propagation is None and own != given:
        return list(given)
    if propagation == "Orphan" or (propagation is None and resource.kind == "Job"):
        return [*own, ORPHAN]
    return [*own, FOREGROUND] if propagation == "Foreground" else own


def _marked_pod(pod: Object, options: DeleteOptions) -> Object:
    """A bound pod that still runs gets its grace; a second deletion may only shorten it."""
    spec, about = pod.get("spec", {}), pod["metadata"]
    grace = options.grace_s
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", _GRACE_S)
    if grace < 0:
        grace = _GRACE_FOR_NEGATIVE_S
    grace = min(grace, _LONGEST_GRACE_S)
    if not spec.get("nodeName") or is_final(pod):
        grace = 0
    finalizers = _finalizers(_PODS, pod, options.propagation)
    if finalizers != about.get("finalizers", []):
        about["finalizers"] = finalizers
    if "deletionTimestamp" in about and grace >= about.get("deletionGracePeriodSeconds", 0):
        return pod
    _mark(pod, grace)
    return pod


def _mark(obj: Object, grace_s: int) -> None:
    """Say until when the object has; that moment may come nearer, from when it was first said."""
    about = obj["metadata"]
    begun = datetime.now(UTC)
    if "deletionTimestamp" in about:
        before = timedelta(seconds=about.get("deletionGracePeriodSeconds", 0))
        begun = datetime.fromisoformat(about["deletionTimestamp"]) - before
    else:
        metadata.count_generation(obj)
    when = begun + timedelta(seconds=grace_s)
    about["deletionTimestamp"] = stamp(when)
    about["deletionGracePeriodSeconds"] = grace_s
    obj["metadata"] = metadata.in_order(about)
