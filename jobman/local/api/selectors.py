"""Label and field selectors: parsed once into predicates, refused in Kubernetes' words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobman.local.api import rules
from jobman.local.api.cause import wrong
from jobman.local.api.status import bad_request

if TYPE_CHECKING:
    from jobman.local.api.resources import Resource

_SYMBOLS = ("==", "=", "!=", "!", "(", ")", ",", ">", "<")
_TOKEN = re.compile(r"[ \t\r\n]*(?:([=!(),><]{1,2})|([^=!(),>< \t\r\n]+))?")
_OPERATORS = "in, notin, =, ==, !=, gt, lt"
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INTEGER_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition on a label. `operator`: in, notin, exists, !, gt, lt."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with those labels meets it."""
        value = labels.get(self.key)
        if self.operator == "in":
            return value in self.values
        if self.operator == "notin":
            return value not in self.values
        if self.operator in ("exists", "!"):
            return (value is not None) == (self.operator == "exists")
        return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        (bound,) = map(_integer, self.values)
        number = _integer(value)
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "gt" else number < bound


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A parsed label selector; called with labels, it tells whether they match."""

    requirements: tuple[Requirement, ...]
    _of_key: Mapping[str, Sequence[Requirement]] = field(init=False, compare=False, repr=False)
    _needed: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        of_key: dict[str, list[Requirement]] = {}
        for each in _joined(self.requirements):
            of_key.setdefault(each.key, []).append(each)
        needed = (key for key, own in of_key.items() if not all(each.accepts({}) for each in own))
        object.__setattr__(self, "_of_key", of_key)
        object.__setattr__(self, "_needed", frozenset(needed))

    def __call__(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with those labels is selected; they are looked at, not what is asked.

        A requirement of another label is met, or it is of one that is needed.
        """
        if not self._needed <= labels.keys():
            return False
        return all(each.accepts(labels) for key in labels for each in self._of_key.get(key, ()))

    @property
    def equal(self) -> dict[str, str]:
        """The labels that must have one certain value: what an index can answer."""
        return {
            requirement.key: next(iter(requirement.values))
            for requirement in self.requirements
            if requirement.operator == "in" and len(requirement.values) == 1
        }


def _joined(requirements: Sequence[Requirement]) -> Iterator[Requirement]:
    """One for all of a label with the same operator."""
    alike: dict[tuple[str, str], list[frozenset[str]]] = {}
    for each in requirements:
        alike.setdefault((each.key, each.operator), []).append(each.values)
    for (key, operator), values in alike.items():
        if operator == "in":
            yield Requirement(key, operator, frozenset.intersection(*values))
        elif operator in ("gt", "lt"):
            strictest = max if operator == "gt" else min
            bound = strictest((bound for (bound,) in values), key=lambda text: _integer(text) or 0)
            yield Requirement(key, operator, frozenset((bound,)))
        else:
            yield Requirement(key, operator, frozenset().union(*values))


def labels(text: str) -> LabelSelector:
    """The selector that a `labelSelector` parameter writes. Raises ApiError 400."""
    try:
        return LabelSelector(tuple(_LabelParser(text).parse()))
    except ValueError as error:
        raise bad_request(str(error)) from None


def of_object(selector: Mapping[str, Any]) -> LabelSelector:
    """The selector that a LabelSelector object (matchLabels, matchExpressions) means."""
    exact = [
        Requirement(key, "in", frozenset((value,)))
        for key, value in selector.get("matchLabels", {}).items()
    ]
    words = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    return LabelSelector(
        (
            *exact,
            *(
                Requirement(
                    each.get("key", ""),
                    words.get(each.get("operator", ""), "in"),
                    frozenset(each.get("values", ())),
                )
                for each in selector.get("matchExpressions", ())
            ),
        )
    )


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """(kind, text) of each token; the kind of an identifier is `word`, of a symbol itself."""
    place = 0
    while match := _TOKEN.match(text, place):
        if match[1]:
            symbol = next((s for s in _SYMBOLS if match[1].startswith(s)), "")
            place = match.start(1) + len(symbol)
            yield symbol, symbol
        elif match[2]:
            place = match.end()
            yield "word", match[2]
        else:
            return


class _LabelParser:
    """Kubernetes' grammar: requirements between commas."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._place = 0

    def parse(self) -> Iterator[Requirement]:
        kind, found = self._look()
        if kind == "end":
            return
        if kind not in ("word", "!"):
            raise ValueError(f"found '{found}', expected: !, identifier, or 'end of string'")
        while True:
            try:
                yield self._requirement()
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            kind, found = self._take()
            if kind == "end":
                return
            if kind != ",":
                raise ValueError(f"found '{found}', expected: ',' or 'end of string'")
            kind, found = self._look()
            if kind not in ("word", "!"):
                raise ValueError(f"found '{found}', expected: identifier after ','")

    def _look(self) -> tuple[str, str]:
        return self._tokens[self._place] if self._place < len(self._tokens) else ("end", "")

    def _take(self) -> tuple[str, str]:
        token = self._look()
        self._place += 1
        return token

    def _requirement(self) -> Requirement:
        kind, key = self._take()
        absent = kind == "!"
        if absent:
            kind, key = self._take()
        if kind != "word":
            raise ValueError(f"found '{key}', expected: identifier")
        if problems := rules.qualified_name(key):
            raise ValueError(_cause("key", key, "; ".join(problems)))
        if absent:
            return Requirement(key, "!")
        if self._look()[0] in ("end", ","):
            return Requirement(key, "exists")
        return self._comparison(key)

    def _comparison(self, key: str) -> Requirement:
        _, operator = self._take()
        if operator in ("in", "notin"):
            return Requirement(key, operator, self._checked(key, self._set()))
        if operator in ("=", "==", "!="):
            value = self._checked(key, [self._value()])
            return Requirement(key, "notin" if operator == "!=" else "in", value)
        if operator in (">", "<"):
            return Requirement(key, "gt" if operator == ">" else "lt", _bound(self._value()))
        raise ValueError(f"found '{operator}', expected: {_OPERATORS}")

    def _value(self) -> str:
        if self._look()[0] in ("end", ","):
            return ""
        kind, value = self._take()
        if kind != "word":
            raise ValueError(f"found '{value}', expected: identifier")
        return value

    def _set(self) -> list[str]:
        kind, found = self._take()
        if kind != "(":
            raise ValueError(f"found '{found}' expected: '('")
        values, separated = [], True
        while True:
            kind, found = self._take()
            if kind == "word" and separated:
                values.append(found)
                separated = False
            elif kind == ",":
                if separated:
                    values.append("")
                separated = True
            elif kind == ")":
                return [*values, ""] if values and separated else values
            else:
                wanted = "',', ')' or identifier" if separated else "',' or ')'"
                raise ValueError(f"found '{found}', expected: {wanted}")

    def _checked(self, key: str, values: Sequence[str]) -> frozenset[str]:
        if not values:
            raise ValueError(
                _cause("values", [], "for 'in', 'notin' operators, values set can't be empty")
            )
        for index, value in enumerate(sorted(set(values))):
            if problems := rules.label_value(value):
                raise ValueError(_cause(f"values[{index}][{key}]", value, "; ".join(problems)))
        return frozenset(values)


def _integer(text: str) -> int | None:
    """The number, where it is one of 64 bits."""
    number = int(text) if len(text) < _INTEGER_CHARS and _INTEGER.fullmatch(text) else None
    return number if number is not None and -(1 << 63) <= number < 1 << 63 else None


def _bound(value: str) -> frozenset[str]:
    if _integer(value) is None:
        problem = "for 'Gt', 'Lt' operators, the value must be an integer"
        raise ValueError(_cause("values[0]", value, problem))
    return frozenset((value,))


def _cause(field: str, value: Any, problem: str) -> str:
    return f"{field}: {wrong(field, value, problem).message}"


# Field selectors

_META = ("metadata.name", "metadata.namespace")
_EVENT_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_FIELDS = {
    "Job": (*_META, "status.successful"),
    "Pod": (
        *_META,
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "Node": (*_META, "spec.unschedulable"),
    "Namespace": (*_META, "status.phase"),
    "Secret": (*_META, "type"),
    "Event": (
        *_META,
        *(f"involvedObject.{name}" for name in _EVENT_OBJECT),
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
_BOOLEANS = ("spec.hostNetwork", "spec.unschedulable")

Term = tuple[str, bool, str]
"""A field, whether it must be equal (or not), the value."""


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A parsed field selector; called with an object, it tells whether that matches."""

    terms: tuple[Term, ...]
    _of_field: Mapping[str, tuple[set[str], set[str]]] = field(
        init=False, compare=False, repr=False
    )

    def __post_init__(self) -> None:
        of_field: dict[str, tuple[set[str], set[str]]] = {}
        for name, equal, value in self.terms:
            of_field.setdefault(name, (set(), set()))[equal].add(value)
        object.__setattr__(self, "_of_field", of_field)

    def __call__(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object is selected; each of its fields is looked at once."""
        for name, (unwanted, wanted) in self._of_field.items():
            value = _field(obj, name)
            if value in unwanted or (wanted and wanted != {value}):
                return False
        return True

    @property
    def equal(self) -> dict[str, str]:
        """The fields that must have one certain value: what an index can answer."""
        return {name: value for name, equal, value in self.terms if equal}


def fields(resource: Resource, text: str) -> FieldSelector:
    """The selector that a `fieldSelector` parameter writes. Raises ApiError 400."""
    try:
        terms = tuple(_terms(text))
        for name, _, _ in terms:
            _check_supported(resource.kind, name)
    except ValueError as error:
        raise bad_request(str(error)) from None
    return FieldSelector(terms)


def _check_supported(kind: str, name: str) -> None:
    supported = _FIELDS.get(kind)
    if name in (supported or _META):
        return
    if kind == "Job":
        raise ValueError(f'field label "{name}" not supported for Job')
    if supported:
        raise ValueError(f"field label not supported: {name}")
    raise ValueError(
        f'"{name}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )


_TERM = re.compile(r"((?:[^\\=!]|\\.|!(?!=))*?)(!=|==|=)(.*)", re.DOTALL)


def _terms(text: str) -> Iterator[Term]:
    for part in re.findall(r"(?:[^\\,]|\\.?)+", text, re.DOTALL):
        match = _TERM.fullmatch(part)
        if match is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        yield match[1], match[2] != "!=", _unescaped(match[3])


def _unescaped(value: str) -> str:
    for token in re.findall(r"\\.?|[,=]", value, re.DOTALL):
        if token in (",", "="):
            problem = f"unescaped character in value: {ord(token)}"
            raise ValueError(f"invalid field selector: {problem}")
        if token[1:] not in ("\\", ",", "="):
            raise ValueError(f"invalid field selector: invalid escape sequence: {token}")
    return re.sub(r"\\(.)", r"\1", value)


def _field(obj: Mapping[str, Any], name: str) -> str:
    if name == "status.successful":
        return str(obj.get("status", {}).get("succeeded", 0))
    if name == "source":
        return str(obj.get("source", {}).get("component") or obj.get("reportingComponent") or "")
    if name == "status.podIPs":
        return ",".join(each.get("ip", "") for each in obj.get("status", {}).get("podIPs", ()))
    value: Any = obj
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if name in _BOOLEANS:
        return "true" if value else "false"
    return "" if value is None else str(value)
