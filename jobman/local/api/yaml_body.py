"""YAML in a body, read within bounds: neither its depth nor its aliases make more of it."""

from __future__ import annotations

from typing import Any

import yaml

_DEPTH_MAX = 500
_ALIASED_MAX = 1024 * 1024
_BASE = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc, valid-type]
    """YAML with the types of JSON: a date is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load(body: bytes) -> Any:
    """The value in a body. Raises YAMLError, ValueError."""
    _check(body)
    return yaml.load(body, Loader=_Loader)


def _check(body: bytes) -> None:
    """Count what it would become before anything is made of it."""
    weight, aliased = 0, 0
    of_anchors: dict[str, int | None] = {}
    open_: list[tuple[str | None, int]] = []
    for event in yaml.parse(body, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            known = of_anchors.get(event.anchor or "", 0)
            if known is None:
                raise ValueError(f"yaml: anchor '{event.anchor}' value contains itself")
            weight += known
            aliased += known
            if aliased > _ALIASED_MAX:
                raise ValueError("yaml: document contains excessive aliasing")
        elif isinstance(event, yaml.ScalarEvent):
            weight += 1 + len(event.value)
            if event.anchor:
                of_anchors[event.anchor] = 1 + len(event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(open_) == _DEPTH_MAX:
                raise ValueError(f"yaml: exceeded max depth of {_DEPTH_MAX}")
            open_.append((event.anchor, weight))
            weight += 1
            if event.anchor:
                of_anchors[event.anchor] = None
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_.pop()
            if anchor:
                of_anchors[anchor] = weight - before
