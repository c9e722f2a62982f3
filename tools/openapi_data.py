"""Makes jobman/local/api/data/*.json.gz from Kubernetes' published JSON schemas.

Run once per Kubernetes version, from the root of the repository:

    pip download --no-deps -d /tmp/kv kubernetes-validate==1.37.0
    unzip -q /tmp/kv/*.whl -d /tmp/kv
    python tools/openapi_data.py \
        /tmp/kv/kubernetes_validate/kubernetes-json-schema/v1.36.0-local/_definitions.json

Two files come out: `schemas.json.gz`, OpenAPI v3 schemas with their descriptions (served, and read
by `kubectl explain`), and `types.json.gz`, the same types as short codes (read at every write).

A code is one letter for a value (`s` string, `i` int32, `l` int64, `b` bool, `n` number, `q`
Quantity, `t` Time, `u` MicroTime, `x` IntOrString, `y` base64, `*` anything), `@Name` for a struct,
and `[` or `{` before the code of the elements of a list or a map. A `-` at the end says that the
zero value is as good as absent (Go's `omitempty` on a field that is no pointer).
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

DATA = Path(__file__).parent.parent / "jobman" / "local" / "api" / "data"
PREFIX = "#/components/schemas/"

CORE = (
    "Binding ConfigMap Event LimitRange Namespace Node PersistentVolumeClaim Pod ResourceQuota"
    " Secret ServiceAccount"
)
KINDS = {
    "io.k8s.api.core.v1": CORE,
    "io.k8s.api.batch.v1": "Job",
    "io.k8s.api.coordination.v1": "Lease",
    "io.k8s.api.rbac.v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "io.k8s.api.scheduling.v1": "PriorityClass",
    "io.k8s.api.authentication.v1": "SelfSubjectReview TokenRequest TokenReview",
    "io.k8s.api.authorization.v1": (
        "LocalSubjectAccessReview SelfSubjectAccessReview SelfSubjectRulesReview"
        " SubjectAccessReview"
    ),
    "io.k8s.api.policy.v1": "Eviction",
    "io.k8s.apimachinery.pkg.apis.meta.v1": "DeleteOptions Status",
}

SPECIAL = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": "q",
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": "x",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "t",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "u",
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": "*",
}

# What the published schemas do not tell: which Go fields are pointers. A pointer keeps its zero.
POINTER_STRINGS = {
    "failedIndexes", "holderIdentity", "hostnameOverride", "runtimeClassName", "service",
    "storageClassName", "strategy", "volumeMode",
}  # fmt: skip
PLAIN_NUMBERS_AND_BOOLS = {
    "active", "count", "failed", "failureThreshold", "generation", "globalDefault", "hostIPC",
    "hostNetwork", "hostPID", "hostPort", "initialDelaySeconds", "observedGeneration",
    "periodSeconds", "readOnly", "signal", "stdin", "stdinOnce", "succeeded", "successThreshold",
    "timeoutSeconds", "tty", "unschedulable",
}  # fmt: skip


def main(source: str) -> None:
    """Write both files from the `_definitions.json` named `source`."""
    definitions: dict[str, Schema] = json.loads(Path(source).read_text())["$defs"]
    names = sorted(closure(definitions))
    _write("schemas.json.gz", {name: openapi(definitions[name]) for name in names})
    types, merge = {}, {}
    for name in names:
        if name not in SPECIAL:
            fields, strategies = compact(definitions[name])
            types[short(name)] = fields
            merge.update({f"{short(name)}.{field}": how for field, how in strategies.items()})
    if len(types) + len(SPECIAL) != len(names):
        raise SystemExit("two types share a short name")
    _write("types.json.gz", {"types": types, "merge": merge})


def closure(definitions: dict[str, Schema]) -> set[str]:
    """The names of all kinds served and of every type they refer to."""
    found: set[str] = set()
    todo = [f"{group}.{kind}" for group, kinds in KINDS.items() for kind in kinds.split()]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += references(definitions[name])
    return found


def references(schema: Any) -> Iterator[str]:
    """Every type that `schema` names."""
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref":
                yield value.rpartition("/")[2]
            else:
                yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def openapi(schema: Any) -> Any:
    """`schema` as OpenAPI v3: no null types, no enumerated versions, `$ref` alone in its object."""
    if isinstance(schema, list):
        return [openapi(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: value for key, value in schema.items() if key not in ("$ref", "enum")}
    if isinstance(kept.get("type"), list):
        kept["type"] = kept["type"][0]
    kept = {key: openapi(value) for key, value in kept.items()}
    if "$ref" in schema:
        target = {"$ref": PREFIX + schema["$ref"].rpartition("/")[2]}
        return {**kept, "allOf": [target]} if kept else target
    return kept


def compact(schema: Schema) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The codes of a type's fields, and how those that merge in patches do it."""
    required = set(schema.get("required", ()))
    fields, strategies = {}, {}
    for name, field in schema.get("properties", {}).items():
        code = encode(field)
        fields[name] = code + ("-" if name not in required and vanishes(name, code) else "")
        if "x-kubernetes-patch-strategy" in field:
            key = field.get("x-kubernetes-patch-merge-key", "")
            strategies[name] = [field["x-kubernetes-patch-strategy"], key]
    return fields, strategies


def encode(schema: Schema) -> str:
    """The code of one value."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return SPECIAL.get(name) or "@" + short(name)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "array":
        return "[" + encode(schema["items"])
    if kind == "object":
        return (
            "{" + encode(schema["additionalProperties"])
            if "additionalProperties" in schema
            else "*"
        )
    if kind == "integer":
        return "i" if schema.get("format") == "int32" else "l"
    if kind == "string" and schema.get("format") == "byte":
        return "y"
    return {"string": "s", "boolean": "b", "number": "n"}[kind]


def vanishes(name: str, code: str) -> bool:
    """Whether the zero value of an optional field is left out of what the server stores."""
    if code == "s":
        return name not in POINTER_STRINGS
    return code[0] in "[{" or (code in "ilb" and name in PLAIN_NUMBERS_AND_BOOLS)


def short(name: str) -> str:
    """A type's Go name."""
    return name.rpartition(".")[2]


def _write(name: str, content: object) -> None:
    text = json.dumps(content, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    (DATA / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(sys.argv[1])
