"""New objects as the embedded server has them before it looks at the rules."""

from __future__ import annotations

from typing import Any

from jobman.local.api import defaults, schema, validation
from jobman.local.api.resources import RESOURCES

KINDS = {resource.kind: resource for resource in RESOURCES}


def made(kind: str, **fields: Any) -> dict[str, Any]:
    """One of that kind, of the right shape and with its defaults."""
    name = fields.pop("name", "x")
    body = {"metadata": {"name": name, **fields.pop("metadata", {})}, **fields}
    obj, _ = schema.check(KINDS[kind], body, "Strict")
    if KINDS[kind].namespaced:
        obj["metadata"]["namespace"] = "default"
    obj["metadata"]["uid"] = "u"
    defaults.apply(kind, obj)
    if kind == "Job":
        defaults.generate_selector(obj)
    return obj


def told(obj: dict[str, Any]) -> list[str]:
    """What is wrong with it, as `field: message`."""
    return [f"{c.field}: {c.message}" for c in validation.validate_create(obj["kind"], obj)]
