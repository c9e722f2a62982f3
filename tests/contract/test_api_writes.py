"""Refused changes whose texts print an object, which Go does in its own way: all but that text."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import pytest
from plugins.replay_recordings import recordings

from jobman.local.api import defaults, patch, schema, validation
from jobman.local.api.cause import Cause
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError

Object = dict[str, Any]

KINDS = {resource.kind: resource for resource in RESOURCES}


def answered(name: str) -> Object:
    body: Object = copy.deepcopy(recordings()[name].body)
    return body


GOOD = answered("errors/200-put-current")
SUSPENDED = answered("jobs/suspended-template-mutation/create")


def patched(before: Object, name: str) -> Object:
    request = recordings()[name].request
    resource = KINDS[before["kind"]]
    obj = patch.apply_patch(
        request["headers"]["Content-Type"], resource.kind, before, request["body"]
    )
    new, _ = schema.check_patched(resource, obj, "Warn")
    new["status"] = before.get("status", {})
    defaults.apply(resource.kind, new)
    return new


def refused(before: Object, name: str) -> list[Cause]:
    """A cause that two rules find is told once."""
    found = validation.validate_update("Job", before, patched(before, name))
    return list(dict.fromkeys(found))


def without_objects(cause: Cause) -> Cause:
    return replace(cause, message=re.sub(r"^(Invalid value: )\{.*\}", r"\1{}", cause.message))


def test_a_list_of_rules_is_fixed() -> None:
    name = "errors/422-immutable-podFailurePolicy"
    ours = [without_objects(each) for each in refused(GOOD, name)]
    theirs = [without_objects(Cause(**each)) for each in answered(name)["details"]["causes"]]
    assert ours == list(dict.fromkeys(theirs))


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("errors/422-immutable-template-image", GOOD),
        ("jobs/suspended-template-mutation/patch-image-rejected", SUSPENDED),
    ],
)
def test_the_template_is_fixed(name: str, before: Object) -> None:
    (ours,), (theirs,) = refused(before, name), answered(name)["details"]["causes"]
    assert (ours.reason, ours.field) == (theirs["reason"], theirs["field"])
    assert ours.message.endswith(": field is immutable")
    assert theirs["message"].endswith(": field is immutable")


def test_a_patch_to_a_wrong_type_is_a_422_about_the_patch() -> None:
    name = "writes/merge-patch-type-error"
    with pytest.raises(ApiError) as found:
        patched(GOOD, name)
    theirs = answered(name)
    assert found.value.code == theirs["code"] == 422
    assert found.value.message.startswith(' "" is invalid: patch: Invalid value: "{')
    field = "Go struct field JobSpec.spec.parallelism of type int32"
    end = f": json: cannot unmarshal string into {field}"
    assert found.value.message.endswith(end)
    assert theirs["message"].endswith(end)
    assert found.value.status["details"].keys() == theirs["details"].keys()
