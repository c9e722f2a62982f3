"""What a DELETE does to an object: gone at once, or marked and waiting for somebody.

A bound pod waits for its kubelet; an object with finalizers for whoever put them there; a
namespace for its content to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from jobman.local.api import metadata
from jobman.local.api.resources import Resource

Object = dict[str, Any]
Propagation = Literal["Background", "Foreground", "Orphan"]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_GRACE_S = 30
_FINAL = ("Succeeded", "Failed")


@dataclass(frozen=True)
class DeleteOptions:
    """How to delete: grace in seconds (None: the object's own), what happens to dependents."""

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
    finalizers = _finalizers(obj, options.propagation)
    if finalizers:
        obj["metadata"]["finalizers"] = finalizers
    else:
        obj["metadata"].pop("finalizers", None)
    if finalizers or resource.kind == "Namespace":
        _mark(obj, 0)
    return obj


def is_over(obj: Object) -> bool:
    """Whether nobody is waited for any more: the object goes."""
    about = obj["metadata"]
    held = about.get("finalizers") or (
        obj.get("kind") == "Namespace" and obj.get("spec", {}).get("finalizers")
    )
    return not held and about.get("deletionGracePeriodSeconds", 0) == 0


def _finalizers(obj: Object, propagation: Propagation | None) -> list[str]:
    """The object's own finalizers, and the one that the propagation asks for."""
    own = [f for f in obj["metadata"].get("finalizers", []) if f not in (FOREGROUND, ORPHAN)]
    wanted = {"Foreground": [FOREGROUND], "Orphan": [ORPHAN]}.get(propagation or "", [])
    return own + wanted


def _marked_pod(pod: Object, options: DeleteOptions) -> Object:
    """A bound pod that still runs gets its grace; a second deletion may only shorten it."""
    spec, about = pod.get("spec", {}), pod["metadata"]
    grace = options.grace_s
    if grace is None:
        grace = spec.get("terminationGracePeriodSeconds", _GRACE_S)
    if not spec.get("nodeName") or pod.get("status", {}).get("phase") in _FINAL:
        grace = 0
    if "deletionTimestamp" in about and grace >= about.get("deletionGracePeriodSeconds", 0):
        return pod
    _mark(pod, max(grace, 0))
    return pod


def _mark(obj: Object, grace_s: int) -> None:
    about = obj["metadata"]
    if "deletionTimestamp" not in about:
        metadata.count_generation(obj)
    when = datetime.now(UTC) + timedelta(seconds=grace_s)
    about["deletionTimestamp"] = when.strftime("%Y-%m-%dT%H:%M:%SZ")
    about["deletionGracePeriodSeconds"] = grace_s
    obj["metadata"] = metadata.in_order(about)
