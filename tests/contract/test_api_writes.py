"""What a real API server made of writes, against shape, defaults, rules and patches here.

Left out of the comparison: what depends on the moment or on other objects (uids, times, versions,
service accounts, priorities, tolerations, quality of service, a node's first taint).
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from jobman.local.api import decode, defaults, patch, schema, status, validation
from jobman.local.api.resources import RESOURCES, Resource
from jobman.local.api.status import ApiError, bad_request

RECORDINGS = Path(__file__).parent / "recordings"
KINDS = {resource.kind: resource for resource in RESOURCES}
PLURALS = {resource.plural: resource for resource in RESOURCES}
ADMITTED = (
    "serviceAccount",
    "serviceAccountName",
    "tolerations",
    "priority",
    "preemptionPolicy",
    "taints",
)


def recordings(group: str) -> list[Any]:
    paths = sorted((RECORDINGS / group).glob("*.json"))
    assert paths
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in paths]


def recording(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RECORDINGS / "api-changes" / f"{name}.json").read_text())
    return content


def resource_of(request: dict[str, Any]) -> Resource:
    parts = request["path"].split("?")[0].strip("/").split("/")
    return PLURALS[next(part for part in reversed(parts) if part in PLURALS)]


def created(request: dict[str, Any], uid: str, name: str = "") -> dict[str, Any]:
    """The object as the server keeps it, admission apart; `name` is one that it generated."""
    resource = resource_of(request)
    yaml = "yaml" in request.get("headers", {}).get("Content-Type", "")
    body = (decode.decode_yaml if yaml else decode.decode)(_body(request).encode())
    obj, _ = schema.check(resource, body, request.get("query", {}).get("fieldValidation", "Warn"))
    metadata = obj.setdefault("metadata", {})
    if resource.namespaced:
        metadata["namespace"] = request["path"].split("/namespaces/")[1].split("/")[0]
    if "generateName" in metadata:
        metadata.setdefault("name", name)
    metadata["uid"] = uid
    defaults.apply(resource.kind, obj)
    if resource.kind == "Job":
        defaults.generate_selector(obj)
    return obj


def _body(request: dict[str, Any]) -> str:
    if "bodyText" in request:
        return str(request["bodyText"])
    body = request.get("body")
    return body if isinstance(body, str) else "" if body is None else json.dumps(body)


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    rest = copy.deepcopy({key: value for key, value in obj.items() if key != "status"})
    rest["metadata"] = {"labels": rest["metadata"].get("labels")}
    for key in ADMITTED:
        rest.get("spec", {}).pop(key, None) if rest["kind"] in ("Pod", "Node") else None
    return rest


@pytest.mark.parametrize("recorded", recordings("api-creates"))
def test_a_created_object_is_as_recorded(recorded: dict[str, Any]) -> None:
    wanted = recorded["response"]["body"]
    obj = created(recorded["request"], wanted["metadata"]["uid"], wanted["metadata"]["name"])
    assert validation.validate_create(obj["kind"], obj) == []
    assert comparable(obj) == comparable(wanted)


@pytest.mark.parametrize("recorded", recordings("api-refusals"))
def test_a_refusal_is_as_recorded(recorded: dict[str, Any]) -> None:
    wanted = recorded["response"]["body"]
    request = recorded["request"]
    if wanted["code"] == 400:
        assert refused_400(request).status == wanted
        return
    made_uid = re.search(r"controller-uid\W+([0-9a-f-]{36})", json.dumps(wanted))
    obj = created(request, made_uid[1] if made_uid else "")
    causes = validation.validate_create(obj["kind"], obj)
    name = obj["metadata"].get("name", "")
    resource = KINDS[obj["kind"]]
    assert status.invalid(resource.kind, resource.group, name, causes).status == wanted


def refused_400(request: dict[str, Any]) -> ApiError:
    kind = resource_of(request).kind
    try:
        created(request, "")
    except ApiError as error:
        return error
    except ValueError as error:
        return bad_request(
            f"the object provided is unrecognized (must be of type {kind}): couldn't get"
            f" version/kind; json parse error: {error}"
        )
    raise AssertionError("it was accepted")


def told(causes: list[Any]) -> list[dict[str, str]]:
    return [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]


@pytest.mark.parametrize(
    ("name", "mode", "texts"),
    [
        ("errors.unknown-field-fieldValidation-Warn", "Warn", 2),
        ("errors.unknown-field-fieldValidation-default", "Warn", 2),
        ("errors.unknown-field-fieldValidation-Ignore", "Ignore", 0),
        ("errors.duplicate-field-default", "Warn", 1),
        ("errors.warning-header-deprecated-or-duplicate-env", "Warn", 1),
        ("errors.warning-header-job-name-not-dns-label", "Warn", 1),
    ],
)
def test_warnings_are_as_recorded(name: str, mode: schema.Mode, texts: int) -> None:
    recorded = json.loads((RECORDINGS / "api-creates" / f"{name}.json").read_text())
    headers = recorded["response"].get("headers", {}).get("Warning", [])
    wanted = [headers] if isinstance(headers, str) else headers
    body = decode.decode(_body(recorded["request"]).encode())
    obj, found = schema.check(KINDS["Job"], body, mode)
    found += validation.warnings("Job", obj)
    assert ['299 - "' + text.replace('"', '\\"') + '"' for text in found] == wanted
    assert len(found) == texts


GOOD = recording("errors.200-put-current")["response"]["body"]
SUSPENDED = recording("jobs.suspended-template-mutation.create")["response"]["body"]
ELASTIC = recording("jobs.indexed-elastic.create")["response"]["body"]


def patched(before: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    resource = KINDS[before["kind"]]
    obj = patch.apply_patch(
        request["headers"]["Content-Type"], resource.kind, before, request.get("body", {})
    )
    new, _ = schema.check_patched(resource, obj, "Warn")
    new["status"] = before.get("status", {})
    defaults.apply(resource.kind, new)
    return new


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("errors.422-immutable-completionMode", GOOD),
        ("errors.422-immutable-completions", GOOD),
        ("errors.422-immutable-selector", GOOD),
        ("errors.422-immutable-podFailurePolicy", GOOD),
        ("errors.patch-metadata-uid", GOOD),
        ("jobs.indexed-elastic.patch-completions-only", ELASTIC),
        ("misc.configmap-immutable-patch-data-422", recording("misc.configmap-get")),
        ("misc.configmap-immutable-patch-binaryData-422", recording("misc.configmap-get")),
        ("misc.configmap-immutable-unset-422", recording("misc.configmap-get")),
        ("misc.secret-type-immutable-422", recording("misc.secret-get")),
    ],
)
def test_a_refused_change_is_as_recorded(name: str, before: dict[str, Any]) -> None:
    before = before.get("response", {}).get("body") or before
    recorded = recording(name)
    new = patched(before, recorded["request"])
    wanted = told_once(recorded["response"]["body"]["details"]["causes"])
    shown = [field_by_field(cause) for cause in wanted]
    causes = told_once(told(validation.validate_update(before["kind"], before, new)))
    assert [field_by_field(cause) for cause in causes] == shown


def told_once(causes: list[dict[str, str]]) -> list[dict[str, str]]:
    """As the message tells them: a cause that two rules find is told once."""
    return [cause for index, cause in enumerate(causes) if cause not in causes[:index]]


def field_by_field(cause: dict[str, str]) -> dict[str, str]:
    """A struct is printed in JSON's names here, in Go's there."""
    message = re.sub(r'^(Invalid value: )\{.*"Rules".*\}', r"\1{}", cause["message"])
    message = re.sub(r'^(Invalid value: )\{"rules".*\}', r"\1{}", message)
    return {**cause, "message": message}


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("errors.422-immutable-template-image", GOOD),
        ("jobs.suspended-template-mutation.patch-image-rejected", SUSPENDED),
    ],
)
def test_the_template_is_fixed(name: str, before: dict[str, Any]) -> None:
    recorded = recording(name)
    causes = validation.validate_update("Job", before, patched(before, recorded["request"]))
    (wanted,) = recorded["response"]["body"]["details"]["causes"]
    assert [(cause.reason, cause.field) for cause in causes] == [
        (wanted["reason"], wanted["field"])
    ]
    assert causes[0].message.endswith(": field is immutable")
    assert wanted["message"].endswith(": field is immutable")


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("errors.200-mutable-activeDeadlineSeconds", GOOD),
        ("errors.200-mutable-backoffLimit", GOOD),
        ("errors.200-mutable-parallelism", GOOD),
        ("errors.200-mutable-ttl", GOOD),
        ("jobs.suspended-template-mutation.patch-nodeSelector-never-started", SUSPENDED),
        ("jobs.indexed-elastic.patch-both", ELASTIC),
        ("misc.configmap-immutable-patch-labels-200", recording("misc.configmap-get")),
    ],
)
def test_an_allowed_change_is_as_recorded(name: str, before: dict[str, Any]) -> None:
    before = before.get("response", {}).get("body") or before
    recorded = recording(name)
    new = patched(before, recorded["request"])
    assert validation.validate_update(before["kind"], before, new) == []
    assert comparable(new) == comparable(recorded["response"]["body"])


STEPS = [
    "writes.merge-patch-labels",
    "writes.merge-patch-remove-label",
    "writes.strategic-merge-patch-labels",
    "writes.strategic-merge-patch-container-by-name",
    "writes.json-patch",
    "writes.merge-patch-empty",
    "writes.merge-patch-unknown-field",
]


@pytest.mark.parametrize(("before", "after"), list(itertools.pairwise(STEPS)))
def test_one_patch_after_another(before: str, after: str) -> None:
    start = recording(before)["response"]["body"]
    step = recording(after)
    new = patched(start, step["request"])
    assert validation.validate_update("Job", start, new) == []
    assert comparable(new) == comparable(step["response"]["body"])


@pytest.mark.parametrize(
    "name",
    [
        "errors.422-json-patch-missing-path",
        "errors.422-json-patch-test-fails",
        "errors.400-json-patch-not-a-list",
        "errors.415-patch-content-type-json",
        "writes.apply-no-kind-400",
    ],
)
def test_a_patch_that_cannot_be_is_as_recorded(name: str) -> None:
    recorded = recording(name)
    request = recorded["request"]
    body = request.get("body")
    if isinstance(body, str):
        body = json.loads(body)
    with pytest.raises(ApiError) as refused:
        patch.apply_patch(request["headers"]["Content-Type"], "Job", GOOD, body)
    assert refused.value.status == recorded["response"]["body"]


def test_a_patch_to_a_wrong_type_is_a_422_about_the_patch() -> None:
    recorded = recording("writes.merge-patch-type-error")
    with pytest.raises(ApiError) as refused:
        patched(GOOD, recorded["request"])
    wanted = recorded["response"]["body"]
    assert refused.value.code == 422
    assert refused.value.message.startswith(' "" is invalid: patch: Invalid value: "{')
    field = "Go struct field JobSpec.spec.parallelism of type int32"
    end = f": json: cannot unmarshal string into {field}"
    assert refused.value.message.endswith(end)
    assert wanted["message"].endswith(end)
    assert refused.value.status["details"].keys() == wanted["details"].keys()
