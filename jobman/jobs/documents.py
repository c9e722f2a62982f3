"""Manifests that a user brings: the Jobs of a file, and its Pods as Jobs of one pod.

A Job stays as it is, but for what a server had added to it and for jobman's own labels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from jobman.jobs import rules, yaml_documents
from jobman.jobs.request import default_name
from jobman.jobs.stamp import Stamp
from jobman.values.names import dns_subdomain_problem, random_suffix

Object = dict[str, Any]

NAME_MAX = 63
"""A Job's name is a label of its pods."""
GENERATED_BASE_MAX = 58
_BY_CONTROLLER = (
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
)
_INSTEAD = {
    "CronJob": "kubectl create job NAME --from=cronjob/NAME starts it once",
}


@dataclass(frozen=True)
class Document:
    """A Job of a manifest, but for jobman's own labels and annotations.

    `where` names its place in the file, `note` says what was made of it. Without a `name` it gets
    one that begins with `base`.
    """

    where: str
    manifest: Object
    name: str | None
    base: str | None = None
    note: str | None = None

    @property
    def namespace(self) -> str | None:
        """The namespace that it names."""
        found = self.manifest["metadata"].get("namespace")
        return found if isinstance(found, str) else None

    def new_name(self) -> str:
        """A name as the server's generateName makes it, or jobman's default."""
        if self.base is None:
            return default_name()
        return f"{self.base[:GENERATED_BASE_MAX]}{random_suffix()}"

    def named(self, name: str) -> Document:
        """This document under another name."""
        return replace(self, name=name)


def read(text: str, source: str) -> tuple[list[Document], list[str]]:
    """The Jobs of a YAML or JSON text, and what is wrong with its other objects.

    Raises UsageError for a text that is neither.
    """
    problems: list[str] = []
    documents: list[Document] = []
    for where, value in _objects(yaml_documents.load(text, source), source):
        found = list(_problems(value))
        problems += [f"{where}: {problem}" for problem in found]
        if not found:
            documents.append(_document(where, value))
    problems += _repeated(documents)
    if not problems and not documents:
        problems.append(f"{source}: holds no Job and no Pod")
    return documents, problems


def of_job(where: str, value: Object) -> Document:
    """A Job as a server gave it."""
    return _document(where, {**value, "kind": "Job"})


def job(
    document: Document,
    name: str,
    stamp: Stamp,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
) -> Object:
    """The manifest with the user's labels and annotations, and jobman's own, on Job and pods."""
    manifest = copy.deepcopy(document.manifest)
    manifest["metadata"]["name"] = name
    template = manifest["spec"].setdefault("template", {})
    template["metadata"] = template.get("metadata") or {}
    for metadata in (manifest["metadata"], template["metadata"]):
        theirs, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
        metadata["labels"] = {**theirs, **labels, **stamp.labels}
        metadata["annotations"] = {**notes, **annotations, **stamp.annotations}
    return manifest


def _objects(documents: list[Any], source: str) -> Iterator[tuple[str, Any]]:
    """Each object with its place; a List is its items."""
    for number, value in enumerate(documents, 1):
        where = source if len(documents) == 1 else f"{source}, document {number}"
        items = value.get("items") if isinstance(value, dict) else None
        if isinstance(items, list) and str(value.get("kind", "")).endswith("List"):
            for index, item in enumerate(items):
                yield f"{where}, items[{index}]", item
        else:
            yield where, value


def _problems(value: Any) -> Iterator[str]:
    """Why this is no Job to submit."""
    if not isinstance(value, dict):
        yield "is no object with a kind and an apiVersion"
        return
    kind = rules.kind_of(value)
    if kind is None:
        instead = _INSTEAD.get(str(value.get("kind")), "kubectl apply -f takes other kinds")
        yield f"{_called(value)}: jobman submits Jobs and Pods; {instead}"
        return
    if problem := rules.version_problem(value, kind):
        yield problem
    yield from _metadata_problems(value.get("metadata"), "metadata")
    yield from _name_problems(value.get("metadata"))
    yield from _spec_problems(value, kind)


def _called(value: Mapping[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = f"kind {value['kind']}" if value.get("kind") else "no kind"
    return f"{kind} '{name}'" if name else kind


def _spec_problems(value: Mapping[str, Any], kind: str) -> Iterator[str]:
    spec = value.get("spec")
    if not isinstance(spec, dict):
        yield "spec: is missing" if spec is None else "spec: is no object"
    elif kind == "Job":
        template = spec.get("template")
        if not isinstance(template, dict):
            yield "spec.template: the pod's template is missing"
        else:
            yield from _metadata_problems(template.get("metadata"), "spec.template.metadata")


def _metadata_problems(metadata: Any, path: str) -> Iterator[str]:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield f"{path}: is no object"
        return
    for key in ("labels", "annotations"):
        found = metadata.get(key)
        if found is None:
            continue
        where = f"{path}.{key}"
        if not isinstance(found, dict):
            yield f"{where}: is no object"
        elif wrong := [k for k, v in found.items() if not isinstance(v, str)]:
            yield f"{where}.{wrong[0]}: is no text; put quotes around it"
        elif key == "labels":
            yield from rules.label_problems(found, where)
        else:
            yield from rules.annotation_problems(found, where)


def _name_problems(metadata: Any) -> Iterator[str]:
    if not isinstance(metadata, dict):
        return
    for key, longest in (("name", NAME_MAX), ("generateName", 253), ("namespace", 63)):
        found = metadata.get(key)
        if found is None:
            continue
        if not isinstance(found, str):
            yield f"metadata.{key}: is no text; put quotes around it"
            continue
        whole = f"{found}x" if key == "generateName" else found
        if problem := dns_subdomain_problem(whole, longest=longest):
            yield f"metadata.{key} '{found}': {problem}"


def _repeated(documents: list[Document]) -> Iterator[str]:
    seen: dict[tuple[str | None, str], str] = {}
    for document in documents:
        if document.name is None:
            continue
        key = (document.namespace, document.name)
        if key in seen:
            yield f"{document.where}: the name '{document.name}' is {seen[key]}'s already"
        seen.setdefault(key, document.where)


def _document(where: str, value: Object) -> Document:
    metadata = value.get("metadata") or {}
    name = metadata.get("name") or None
    base = metadata.get("generateName") or None
    if value["kind"] == "Job":
        return Document(where, _job(value), name, base)
    called = f"Pod '{name}'" if name else "the Pod"
    note = f"{where}: {called} is submitted as a Job of one pod that is not restarted"
    return Document(where, _job_of_pod(value), name, base, note)


def _job(value: Object) -> Object:
    """The Job without what a server had added."""
    spec = {**value["spec"]}
    template = {**spec["template"]}
    metadata = _own(value.get("metadata"))
    if not spec.get("manualSelector"):
        spec.pop("selector", None)
        template["metadata"] = _without_controller(template.get("metadata") or {})
        metadata = _without_controller(metadata)
    spec["template"] = template
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _job_of_pod(value: Object) -> Object:
    metadata = _own(value.get("metadata"))
    metadata.pop("ownerReferences", None)
    kept = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
    spec = {
        "backoffLimit": 0,
        "template": {"metadata": kept, "spec": {**value["spec"], "restartPolicy": "Never"}},
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _own(metadata: Object | None) -> Object:
    """The metadata that a user writes; the name is given later."""
    left_out = (*rules.BY_SERVER, "generateName")
    return {key: value for key, value in (metadata or {}).items() if key not in left_out}


def _without_controller(metadata: Object) -> Object:
    labels = metadata.get("labels")
    if not labels:
        return metadata
    own = {key: value for key, value in labels.items() if key not in _BY_CONTROLLER}
    return {**metadata, "labels": own}
