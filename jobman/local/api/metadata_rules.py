"""What an object's metadata may be, and what of it may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, forbidden, required, too_long, wrong

NameRule = Callable[[str], list[str]]

_NAME_RULES: dict[str, NameRule] = {
    "Namespace": rules.dns_label,
    "Role": rules.path_segment,
    "RoleBinding": rules.path_segment,
    "ClusterRole": rules.path_segment,
    "ClusterRoleBinding": rules.path_segment,
}
_ANNOTATIONS_BYTES = 256 * 1024
_STANDARD_FINALIZERS = ("orphan", "foregroundDeletion", "kubernetes")
_IMMUTABLE = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


def new(kind: str, meta: Mapping[str, Any]) -> Iterator[Cause]:
    """What is wrong with the metadata of an object of that kind."""
    rule = _NAME_RULES.get(kind, rules.dns_subdomain)
    if prefix := meta.get("generateName"):
        whole = prefix.removesuffix("-") + "x"
        yield from (wrong("metadata.generateName", prefix, text) for text in rule(whole))
    name = meta.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    else:
        yield from (wrong("metadata.name", name, text) for text in rule(name))
    yield from label_problems(meta.get("labels", {}), "metadata.labels")
    yield from annotation_problems(meta.get("annotations", {}), "metadata.annotations")
    yield from _owners(meta.get("ownerReferences", []))
    yield from _finalizers(meta.get("finalizers", []))


def change(old: Mapping[str, Any], meta: Mapping[str, Any]) -> Iterator[Cause]:
    """What of the metadata may not be as it is, since it was `old`."""
    for field in _IMMUTABLE:
        if meta.get(field) != old.get(field):
            yield wrong(f"metadata.{field}", meta.get(field, ""), "field is immutable")
    if old.get("deletionTimestamp"):
        added = set(meta.get("finalizers", [])) - set(old.get("finalizers", []))
        if added:
            text = (
                "no new finalizers can be added if the object is being deleted, found new"
                f" finalizers {_go_strings(sorted(added))}"
            )
            yield forbidden("metadata.finalizers", text)


def _go_strings(words: list[str]) -> str:
    return "[]string{" + ", ".join(f'"{word}"' for word in words) + "}"


def label_problems(given: Mapping[str, str], path: str) -> Iterator[Cause]:
    """What is wrong with labels, or with a node selector."""
    for key, value in given.items():
        yield from (wrong(path, key, text) for text in rules.qualified_name(key))
        yield from (wrong(path, value, text) for text in rules.label_value(value))


def annotation_problems(given: Mapping[str, str], path: str) -> Iterator[Cause]:
    """What is wrong with annotations: their keys, and 256 KiB for all together."""
    for key in given:
        yield from (wrong(path, key, text) for text in rules.qualified_name(key.lower()))
    if _size(given) > _ANNOTATIONS_BYTES:
        yield too_long(path, _ANNOTATIONS_BYTES)


def _size(texts: Mapping[str, str]) -> int:
    return sum(len(text.encode(errors="surrogatepass")) for pair in texts.items() for text in pair)


def _owners(owners: list[dict[str, Any]]) -> Iterator[Cause]:
    path = "metadata.ownerReferences"
    controllers = []
    for owner in owners:
        version = owner.get("apiVersion", "")
        if not version.rpartition("/")[2]:
            yield wrong(f"{path}.apiVersion", version, "version must not be empty")
        for field in ("kind", "name", "uid"):
            if not owner.get(field):
                yield wrong(f"{path}.{field}", "", "must not be empty")
        if owner.get("kind") == "Event" and version == "v1":
            yield wrong(path, owner, "/v1, Kind=Event is disallowed from being an owner")
        if owner.get("controller"):
            controllers.append(owner.get("name", ""))
    if len(controllers) > 1:
        text = (
            'Only one reference can have Controller set to true. Found "true" in references for'
            f" {controllers[0]} and {controllers[1]}"
        )
        yield wrong(path, owners, text)


def _finalizers(finalizers: list[str]) -> Iterator[Cause]:
    path = "metadata.finalizers"
    for finalizer in finalizers:
        yield from (wrong(path, finalizer, text) for text in rules.qualified_name(finalizer))
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            text = "name is neither a standard finalizer name nor is it fully qualified"
            yield wrong(path, finalizer, text)
    if "orphan" in finalizers and "foregroundDeletion" in finalizers:
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        yield wrong(path, finalizers, text)
