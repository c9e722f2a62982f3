"""What some rules of RBAC give, measured by others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, product
from typing import Any

Rule = dict[str, Any]
Rules = Sequence[Rule]
_KEYS = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}
# No more is told of what is missing: Kubernetes multiplies out whatever it is asked.
MOST_RULES, MOST_CHARS = 10_000, 16_000_000


def missing(held: Rules, asked: Rules) -> list[Rule]:
    """What of the asked rules none of the held ones gives, in few rules."""
    given = _Held(held)
    whole: dict[tuple[str, str], Rule] = {}
    named: list[Rule] = []
    chars = 0
    for part in chain.from_iterable(_lacking(given, rule) for rule in asked):
        if "resourceNames" in part or "nonResourceURLs" in part:
            named.append(part)
        else:
            about = (part["apiGroups"][0], part["resources"][0])
            whole.setdefault(about, {**part, "verbs": []})["verbs"] += part["verbs"]
        chars += sum(sum(map(len, words)) + 3 * len(words) for words in part.values())
        if len(whole) + len(named) >= MOST_RULES or chars >= MOST_CHARS:
            break
    return [*named, *whole.values()]


def texts(rules: Rules) -> list[str]:
    """Rules as Kubernetes' refusals write them: `{APIGroups:[""], Resources:["pods"], …}`."""
    written = lru_cache(maxsize=None)(quoted)  # many have the same verbs

    def text(rule: Rule) -> str:
        given = ((shown, tuple(rule.get(key) or ())) for key, shown in _KEYS.items())
        return "{" + ", ".join(f"{shown}:[{written(ws)}]" for shown, ws in given if ws) + "}"

    return sorted({text(rule) for rule in rules})


def quoted(words: Iterable[str]) -> str:
    """Words as Go prints a list of them."""
    return json.dumps(list(words), ensure_ascii=False, separators=(" ", ":"))[1:-1]


def has(allowed: list[str] | None, wanted: str) -> bool:
    """Whether a verb or a group is among those of a rule: itself or `*`."""
    return "*" in (allowed or []) or wanted in (allowed or [])


def has_resource(allowed: list[str], wanted: str) -> bool:
    """Whether `pods/log` is among the resources of a rule: itself, `*` or `*/log`."""
    _, _, subresource = wanted.partition("/")
    return has(allowed, wanted) or bool(subresource and f"*/{subresource}" in allowed)


def has_path(allowed: list[str], path: str) -> bool:
    """Whether a path is among those of a rule, which may end with a `*`."""
    return any(
        path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in allowed
    )


class _Held:
    """Which of the held rules, as the bits of a number, have a word, or one that stands for it."""

    def __init__(self, held: Rules) -> None:
        self._having: dict[str, dict[str, int]] = {key: {} for key in _KEYS}
        self._unnamed = 0
        for index, rule in enumerate(held):
            for key, having in self._having.items():
                for word in rule.get(key) or []:
                    having[word] = having.get(word, 0) | 1 << index
            if not rule.get("resourceNames"):
                self._unnamed |= 1 << index
        paths = self._having["nonResourceURLs"].items()
        self._prefixes = [(path[:-1], bits) for path, bits in paths if path.endswith("*")]

    def verb(self, word: str) -> int:
        """Those with a verb."""
        return self._word("verbs", word)

    def group(self, word: str) -> int:
        """Those with a group."""
        return self._word("apiGroups", word)

    def resource(self, word: str) -> int:
        """Those with a resource."""
        _, _, subresource = word.partition("/")
        stands_for_it = f"*/{subresource}" if subresource else "*"
        return self._word("resources", word) | self._word("resources", stands_for_it)

    def name(self, word: str | None) -> int:
        """Those with the name of an object; None: with all names."""
        having = self._having["resourceNames"].get(word, 0) if word is not None else 0
        return self._unnamed | having

    def path(self, word: str) -> int:
        """Those with a path."""
        having = self._having["nonResourceURLs"].get(word, 0)
        for prefix, bits in self._prefixes:
            if word.startswith(prefix):
                having |= bits
        return having

    def _word(self, key: str, word: str) -> int:
        having = self._having[key]
        return having.get(word, 0) | having.get("*", 0)


def _alike(words: Iterable[Any], holders: Callable[[Any], int]) -> list[tuple[int, list[Any]]]:
    """The words by who holds them, so that each lot is decided on once."""
    lots: dict[int, list[Any]] = {}
    for word in words:
        lots.setdefault(holders(word), []).append(word)
    return list(lots.items())


def _lacking(held: _Held, rule: Rule) -> Iterator[Rule]:
    """What a rule asks that is not held: all verbs of one resource, else one of a name or path."""
    verbs = _alike(enumerate(rule.get("verbs") or []), lambda each: held.verb(each[1]))

    def not_among(holders: int) -> list[str]:
        lacking = (lot for having, lot in verbs if not having & holders)
        return [verb for _, verb in sorted(chain.from_iterable(lacking))]

    of_groups = _alike(rule.get("apiGroups") or [], held.group)
    of_resources = _alike(rule.get("resources") or [], held.resource)
    of_names = _alike(rule.get("resourceNames") or [None], held.name)
    for (a, groups), (b, resources), (c, names) in product(of_groups, of_resources, of_names):
        lacking = not_among(a & b & c)
        for group, resource in product(groups, resources) if lacking else ():
            about = {"apiGroups": [group], "resources": [resource]}
            if names == [None]:
                yield {"verbs": lacking, **about}
                continue
            for verb, name in product(lacking, names):
                yield {"verbs": [verb], **about, "resourceNames": [name]}
    for having, paths in _alike(rule.get("nonResourceURLs") or [], held.path):
        for path, verb in product(paths, not_among(having)):
            yield {"verbs": [verb], "nonResourceURLs": [path]}
