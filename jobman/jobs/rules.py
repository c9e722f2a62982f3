"""What a Kubernetes API server refuses of a job, and what no container can be given.

Each function gives a text per problem, naming the rule; `what` says where the value stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jobman.values import names
from jobman.values.text import is_utf8

ANNOTATIONS_MAX_BYTES = 256 * 1024
MANIFEST_MAX_BYTES = 1_500_000
"""etcd takes 1.5 MiB, and the server adds to what it is sent."""
API_VERSIONS = {"Job": "batch/v1", "Pod": "v1"}
BY_SERVER = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)
"""Metadata that a server adds, and that comes along with what `kubectl get -o yaml` wrote."""
WORD_MAX_BYTES = 128 * 1024 - 1
"""Linux' limit for one argument or one variable (MAX_ARG_STRLEN, with its NUL)."""


def kind_of(manifest: Mapping[str, Any]) -> str | None:
    """Whether it is a Job or a Pod; None where it is something else."""
    kind = manifest.get("kind")
    return kind if isinstance(kind, str) and kind in API_VERSIONS else None


def version_problem(manifest: Mapping[str, Any], kind: str) -> str | None:
    """Why the apiVersion is not that of the kind, or None."""
    version, needed = manifest.get("apiVersion"), API_VERSIONS[kind]
    if version == needed:
        return None
    if version is None:
        return f"apiVersion: is missing; a {kind} is of {needed}"
    return f"apiVersion: a {kind} is of {needed}, not {version!r}"


def label_problems(labels: Mapping[str, str], what: str) -> Iterator[str]:
    """Keys and values of labels."""
    for key, value in labels.items():
        if problem := names.label_key_problem(key):
            yield f"{what}: the key '{key}' is not allowed: {problem}"
        if problem := names.label_value_problem(value):
            yield f"{what}: the value '{value}' of '{key}' is not allowed: {problem}"


def annotation_problems(annotations: Mapping[str, str], what: str) -> Iterator[str]:
    """Keys of annotations, and the size of all together."""
    for key, value in annotations.items():
        if problem := names.label_key_problem(key):
            yield f"{what}: the key '{key}' is not allowed: {problem}"
        if problem := text_problem(value):
            yield f"{what}: the value of '{key}' {problem}"
    size = sum(_size(key) + _size(value) for key, value in annotations.items())
    if size > ANNOTATIONS_MAX_BYTES:
        yield f"{what}: all together have {size} bytes, at most {ANNOTATIONS_MAX_BYTES} are allowed"


def own_key_problems(keys: Iterable[str], own: frozenset[str], what: str) -> Iterator[str]:
    """Keys that only jobman writes."""
    return (f"{what}: '{key}' is written by jobman itself" for key in keys if key in own)


def env_problems(env: Mapping[str, str]) -> Iterator[str]:
    """Names and values of environment variables."""
    for name, value in env.items():
        if problem := names.env_name_problem(name):
            yield f"environment variable '{name}': {problem}"
        if problem := text_problem(value) or _length_problem(name, value):
            yield f"environment variable '{name}': its value {problem}"


def word_problems(words: Iterable[str]) -> Iterator[str]:
    """Words of a command."""
    for number, word in enumerate(words, 1):
        if problem := text_problem(word) or _length_problem(word):
            yield f"word {number} of the command {problem}"


def text_problem(text: str) -> str | None:
    """Kubernetes carries Unicode text, Linux arguments without NUL."""
    if not is_utf8(text):
        return "is not UTF-8: Kubernetes carries text only"
    if "\0" in text:
        return "holds a NUL character, which no argument or variable can"
    return None


def manifest_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    """What can only be told of a whole Job: the size of its annotations, and its own."""
    yield from annotation_problems(manifest["metadata"]["annotations"], "annotations")
    size = len(json.dumps(manifest, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    if size > MANIFEST_MAX_BYTES:
        yield (
            f"the job has {size} bytes of JSON, a cluster takes about {MANIFEST_MAX_BYTES}: "
            "put long texts into a file or a ConfigMap"
        )


def _length_problem(*parts: str) -> str | None:
    size = sum(_size(part) for part in parts) + len(parts) - 1
    if size <= WORD_MAX_BYTES:
        return None
    return f"has {size} bytes, Linux takes at most {WORD_MAX_BYTES} in one"


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
