"""The four ways to change an object by a patch."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from jobman.local.api import apply, json_patch, strategic_merge
from jobman.local.api.decode import json_type
from jobman.local.api.schema import invalid_patch
from jobman.local.api.status import BODY_MAX, ApiError, bad_request, too_large

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
CONTENT_TYPES = (JSON_PATCH, MERGE, STRATEGIC, APPLY)

_MOST_OPERATIONS = 10_000


def apply_patch(content_type: str, kind: str, obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A new object: `obj` after the decoded `patch`; its shape is still to be checked.

    Raises ApiError: 400 for what is no such patch, 422 for one that does not fit, 415 for another
    content type, 413 for an object that grows beyond what any request could bring.
    """
    patched = _patched(content_type, kind, obj, patch)
    size = len(msgspec.json.encode(patched))
    if size > BODY_MAX and size > len(msgspec.json.encode(obj)):
        raise too_large()
    return patched


def _patched(content_type: str, kind: str, obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    if content_type == JSON_PATCH:
        return _of_the_kind(obj, _by_operations(obj, patch))
    if content_type not in CONTENT_TYPES:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    if not isinstance(patch, dict):
        found = json_type(patch)
        text = f"json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        raise bad_request(f"error decoding patch: {text}")
    if content_type == MERGE:
        return _of_the_kind(obj, merge(copy.deepcopy(obj), patch))
    if content_type == APPLY:
        return copy.deepcopy(apply.merge(kind, obj, patch))
    try:
        return copy.deepcopy(strategic_merge.merge(kind, obj, patch))
    except strategic_merge.DirectiveError as error:
        raise bad_request(str(error)) from None


def _of_the_kind(obj: dict[str, Any], patched: dict[str, Any]) -> dict[str, Any]:
    """`patched`, unless it says that it is something else now. Raises ApiError 422."""
    for key in ("apiVersion", "kind"):
        if patched.get(key) and patched[key] != obj.get(key):
            why = f"{key} cannot be {patched[key]}: it is {obj.get(key)}"
            raise invalid_patch(patched, why)
    return patched


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null removes, anything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _by_operations(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    if not isinstance(patch, list):
        text = f"json: cannot unmarshal {json_type(patch)} into Go value of type"
        raise bad_request(f"error decoding patch: {text} []handlers.jsonPatchOp")
    if len(patch) > _MOST_OPERATIONS:
        text = f"operations in a JSON patch is {_MOST_OPERATIONS}, got {len(patch)}"
        raise ApiError(413, "RequestEntityTooLarge", f"The allowed maximum {text}")
    try:
        patched = json_patch.apply(obj, patch)
    except json_patch.PatchError:
        raise _does_not_fit() from None
    if not isinstance(patched, dict):
        raise _does_not_fit()
    return patched


def _does_not_fit() -> ApiError:
    text = "the server rejected our request due to an error in our request"
    return ApiError(422, "Invalid", text, details={})
