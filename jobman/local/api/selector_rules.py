"""What the selectors inside objects may be: of labels, and of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import metadata_rules, rules
from jobman.local.api.cause import Cause, forbidden, required, wrong

Requirement = Mapping[str, Any]


def label_selector(selector: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a LabelSelector: a Job's, or that of an affinity to pods."""
    yield from metadata_rules.label_problems(selector.get("matchLabels", {}), f"{path}.matchLabels")
    for index, each in enumerate(selector.get("matchExpressions", [])):
        where = f"{path}.matchExpressions[{index}]"
        yield from _operator(each, where)
        yield from label_key(each, where)
        for place, value in enumerate(each.get("values", [])):
            problems = rules.label_value(value)
            yield from (wrong(f"{where}.values[{place}]", value, text) for text in problems)


def node_term(term: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a term of a node selector, which may compare numbers too."""
    for kind in ("matchExpressions", "matchFields"):
        for index, each in enumerate(term.get(kind, [])):
            where = f"{path}.{kind}[{index}]"
            if each.get("operator") not in ("Gt", "Lt"):
                yield from _operator(each, where)
            elif len(each.get("values", [])) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield required(f"{where}.values", text)
            if kind == "matchExpressions":
                yield from label_key(each, where)


def label_key(given: Requirement, path: str, field: str = "key") -> Iterator[Cause]:
    """What is wrong with a label's key, held in `field`."""
    name = given.get(field, "")
    yield from (wrong(f"{path}.{field}", name, text) for text in rules.qualified_name(name))


def _operator(given: Requirement, path: str) -> Iterator[Cause]:
    operator, values = given.get("operator", ""), given.get("values", [])
    if operator in ("In", "NotIn"):
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{path}.values", text)
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{path}.values", text)
    else:
        yield wrong(f"{path}.operator", operator, "not a valid selector operator")
