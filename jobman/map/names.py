"""The first pass over a run's items: each has a name of its own, and all that is asked for. Pure.

A name is kept as eight bytes of hash; only the hashes that are there twice are looked at again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from jobman.map.items import Items
from jobman.map.template import Template
from jobman.values.names import dns_subdomain_problem
from jobman.values.text import visible

LONGEST = 249
"""A pod's name is also that of its log, with an ending."""
_EXAMPLES = 5
_SHOWN = 80
_PARTS = 256


class _Found:
    """Problems of one kind: how many, and the first few."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []

    def add(self, example: str) -> None:
        self.count += 1
        if self.count <= _EXAMPLES:
            self.examples.append(example)

    def told(self, what: str) -> Iterator[str]:
        if self.count:
            more = f" and {self.count - _EXAMPLES} more" if self.count > _EXAMPLES else ""
            yield f"{what}: {'; '.join(self.examples)}{more}"


def problems(items: Items, template: Template) -> list[str]:
    """What is wrong with the items, a line per kind of problem with examples; none when fine."""
    invalid, lacking = _Found(), _Found()
    hashes = [array("q") for _ in range(_PARTS)]
    for item in items:
        missing = [key for key in template.values if key not in item.values]
        if missing:
            known = ", ".join(item.values) or "none"
            lacking.add(f"item {item.index} lacks {', '.join(sorted(missing))} (it has {known})")
            continue
        name = template.name(item)
        if problem := dns_subdomain_problem(name, longest=LONGEST):
            invalid.add(f"'{visible(name, limit=_SHOWN)}' of item {item.index}: {problem}")
        digest = hash(name)
        hashes[digest % _PARTS].append(digest)
    doubtful = _twice(hashes)
    return [
        *lacking.told("values that the template asks for are missing"),
        *invalid.told("names that no pod can have"),
        *(_clashes(items, template, doubtful) if doubtful else ()),
    ]


def _twice(parts: list[array[int]]) -> set[int]:
    """The hashes that are there more than once, part by part."""
    found: set[int] = set()
    for part in parts:
        if len(set(part)) < len(part):
            seen: set[int] = set()
            for digest in part:
                (found if digest in seen else seen).add(digest)
    return found


def _clashes(items: Items, template: Template, doubtful: set[int]) -> Iterator[str]:
    by_name: dict[str, list[int]] = {}
    for item in items:
        if template.values <= item.values.keys():
            name = template.name(item)
            if hash(name) in doubtful:
                by_name.setdefault(name, []).append(item.index)
    found = _Found()
    for name, indexes in by_name.items():
        if len(indexes) > 1:
            shown = ", ".join(map(str, indexes[:_EXAMPLES]))
            found.add(f"'{name}' (items {shown}{', …' if len(indexes) > _EXAMPLES else ''})")
    yield from found.told("names that several items have")
