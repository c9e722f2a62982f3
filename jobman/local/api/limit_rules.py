"""What a LimitRange may say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import resource_rules, rules
from jobman.local.api.cause import Cause, duplicate, forbidden, required, wrong
from jobman.local.api.resource_rules import amount

Amounts = Mapping[str, str]

_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_FIELDS = ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio")
_ONLY_DEFAULTS = ("default", "defaultRequest")
_NO_STORAGE = "either minimum or maximum storage value is required, but neither was provided"


def new(limit_range: Mapping[str, Any]) -> Iterator[Cause]:
    """What is wrong with a LimitRange that has its defaults."""
    seen: set[str] = set()
    for index, item in enumerate(limit_range.get("spec", {}).get("limits", [])):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        yield from _type(kind, f"{path}.type")
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        yield from _names(kind, item, path)
        amounts = {
            field: item.get(field, {})
            for field in _FIELDS
            if kind != "Pod" or field not in _ONLY_DEFAULTS
        }
        for name in sorted(set().union(*amounts.values())):
            yield from _bounds(name, amounts, path)


def _type(kind: str, path: str) -> Iterator[Cause]:
    problems = rules.qualified_name(kind)
    yield from (wrong(path, kind, text) for text in problems)
    if not problems and "/" not in kind and kind not in _TYPES:
        yield wrong(path, kind, "must be a standard limit type or fully qualified")


def _names(kind: str, item: Mapping[str, Any], path: str) -> Iterator[Cause]:
    of_container = kind in ("Pod", "Container")
    rule = resource_rules.container_name if of_container else resource_rules.any_name
    for field in _FIELDS:
        if field == "maxLimitRequestRatio" and kind == "PersistentVolumeClaim":
            yield from _storage(item, path)
        if kind == "Pod" and field in _ONLY_DEFAULTS:
            if item.get(field):
                text = "may not be specified when `type` is 'Pod'"
                yield forbidden(f"{path}.{field}", text)
            continue
        for name in sorted(item.get(field, {})):
            yield from rule(name, f"{path}.{field}[{name}]")


def _storage(item: Mapping[str, Any], path: str) -> Iterator[Cause]:
    if "storage" not in item.get("min", {}) and "storage" not in item.get("max", {}):
        yield required(f"{path}.limits", _NO_STORAGE)


def _bounds(name: str, amounts: Mapping[str, Amounts], path: str) -> Iterator[Cause]:
    """What contradicts what, of one resource. The value told is not always the field's own."""
    most, least, default, request, ratio = (amounts.get(field, {}).get(name) for field in _FIELDS)
    at_default, at_request = f"{path}.default[{name}]", f"{path}.defaultRequest[{name}]"
    if _above(least, most):
        text = f"min value {least} is greater than max value {most}"
        yield wrong(f"{path}.min[{name}]", least, text)
    if _above(least, request):
        text = f"min value {least} is greater than default request value {request}"
        yield wrong(at_request, request, text)
    if _above(request, most):
        text = f"default request value {request} is greater than max value {most}"
        yield wrong(at_request, request, text)
    if _above(request, default):
        text = f"default request value {request} is greater than default limit value {default}"
        yield wrong(at_request, request, text)
    if _above(least, default):
        yield wrong(at_default, least, f"min value {least} is greater than default value {default}")
    if _above(default, most):
        yield wrong(at_default, most, f"default value {default} is greater than max value {most}")
    if ratio is not None:
        yield from _ratio(ratio, least, most, f"{path}.maxLimitRequestRatio[{name}]")
    if resource_rules.is_fixed(name) and (_above(default, request) or _above(request, default)):
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        yield wrong(at_request, request, text)


def _above(one: str | None, other: str | None) -> bool:
    """Whether both are given, and the one is more."""
    return one is not None and other is not None and amount(one) > amount(other)


def _ratio(ratio: str, least: str | None, most: str | None, path: str) -> Iterator[Cause]:
    given = amount(ratio).value
    if given < 1:
        yield wrong(path, ratio, f"ratio {ratio} is less than 1")
    if least is None or most is None or not amount(least).value:
        return
    widest = float(amount(most).value / amount(least).value)
    if float(given) > widest:
        yield wrong(path, ratio, f"ratio {ratio} is greater than max/min = {widest:.6f}")
