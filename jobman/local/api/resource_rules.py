"""What amounts of which resources may be asked for, limited and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, required, wrong
from jobman.values.quantity import Quantity, parse

_CONTAINER = ("cpu", "memory", "ephemeral-storage")
_COUNTED = (
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
)
_STANDARD = {
    *_CONTAINER,
    *_COUNTED,
    *(f"{side}.{name}" for side in ("requests", "limits") for name in _CONTAINER),
    "requests.storage",
    "storage",
}
_NO_LIMIT = "Limit must be set for non overcommitable resources"


def is_extended(name: str) -> bool:
    """A resource of a device (nvidia.com/gpu), counted in whole ones."""
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def container(resources: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a container's requests and limits."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name in sorted(limits):
        yield from _container_resource(name, limits[name], f"{path}.limits[{name}]")
    for name in sorted(requests):
        amount = requests[name]
        yield from _container_resource(name, amount, f"{path}.requests[{name}]")
        fixed = is_extended(name) or name.startswith("hugepages-")
        if name in limits:
            yield from _against_limit(name, amount, limits[name], path, fixed=fixed)
        elif fixed:
            yield required(f"{path}.limits", _NO_LIMIT)


def _against_limit(
    name: str, amount: str, limit: str, path: str, *, fixed: bool
) -> Iterator[Cause]:
    asked, bound = _amount(amount), _amount(limit)
    if fixed and asked != bound:
        text = f"must be equal to {name} limit of {limit}"
    elif not fixed and asked > bound:
        text = f"must be less than or equal to {name} limit of {limit}"
    else:
        return
    yield wrong(f"{path}.requests", amount, text)


def _container_resource(name: str, amount: str, path: str) -> Iterator[Cause]:
    yield from _name(name, path)
    if "/" not in name and name not in _CONTAINER and not name.startswith("hugepages-"):
        yield wrong(path, name, "must be a standard resource for containers")
    yield from value(name, amount, path)


def _name(name: str, path: str) -> Iterator[Cause]:
    problems = rules.qualified_name(name)
    yield from (wrong(path, name, text) for text in problems)
    if not problems and "/" not in name and not _is_standard(name):
        yield wrong(path, name, "must be a standard resource type or fully qualified")


def _is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith(("hugepages-", "requests.hugepages-"))


def value(name: str, amount: str, path: str) -> Iterator[Cause]:
    """What is wrong with an amount: negative, or a part of something counted."""
    quantity = _amount(amount)
    if quantity.value < 0:
        yield wrong(path, amount, "must be greater than or equal to 0")
    if (name in _COUNTED or is_extended(name)) and not quantity.is_whole:
        yield wrong(path, amount, "must be an integer")


def amounts(resources: Mapping[str, str], path: str) -> Iterator[Cause]:
    """What is wrong with a table of any resources: a node's, a quota's, a limit range's."""
    for name in sorted(resources):
        where = f"{path}[{name}]"
        if not name.startswith(("count/", "requests.", "limits.")) and "." not in name:
            yield from _name(name, where)
        else:
            yield from (wrong(where, name, text) for text in rules.qualified_name(name))
        yield from value(name, resources[name], where)


@lru_cache(maxsize=4096)
def _amount(text: str) -> Quantity:
    return parse(text, allow_negative=True)
