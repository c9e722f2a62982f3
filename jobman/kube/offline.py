"""What a kubeconfig says, read without the cluster, its plugins or its credentials."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml


def user(files: Sequence[str], context: str | None) -> str | None:
    """The user that the context, else the current one, names; None where that cannot be told."""
    configs = list(_configs(files))
    current = (c["current-context"] for c in configs if c.get("current-context"))
    wanted = context or next(current, "")
    for config in configs:
        for entry in _items(config.get("contexts")):
            if entry.get("name") == wanted:
                inner = entry.get("context")
                name = inner.get("user") if isinstance(inner, dict) else None
                return name if isinstance(name, str) and name else None
    return None


def _configs(files: Sequence[str]) -> Iterator[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for file in files:
        try:
            found = yaml.load(Path(file).read_bytes(), loader)
        except (OSError, yaml.YAMLError, ValueError):
            continue
        if isinstance(found, dict):
            yield found


def _items(found: object) -> list[dict[str, Any]]:
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
