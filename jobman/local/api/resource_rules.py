"""What amounts of which resources may be asked for, limited and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, forbidden, required, wrong
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
    if _is_native(name) or name.startswith("requests."):
        return False
    return not rules.qualified_name(f"requests.{name}")


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_fixed(name: str) -> bool:
    """A resource that is not overcommitted: its request is its limit."""
    return not _is_native(name) or name.startswith("hugepages-")


def container(resources: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a container's requests and limits."""
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    for name in sorted(limits):
        yield from _container_resource(name, limits[name], f"{path}.limits[{name}]")
    for name in sorted(requests):
        yield from _container_resource(name, requests[name], f"{path}.requests[{name}]")
        if name in limits:
            yield from _against_limit(name, requests[name], limits[name], f"{path}.requests")
        elif is_fixed(name):
            yield required(f"{path}.limits", _NO_LIMIT)
    names = {*limits, *requests}
    if any(name.startswith("hugepages-") for name in names) and not names & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")


def _against_limit(name: str, request: str, limit: str, path: str) -> Iterator[Cause]:
    asked, bound = amount(request), amount(limit)
    if is_fixed(name) and asked != bound:
        yield wrong(path, request, f"must be equal to {name} limit of {limit}")
    elif asked > bound:
        yield wrong(path, request, f"must be less than or equal to {name} limit of {limit}")


def _container_resource(name: str, text: str, path: str) -> Iterator[Cause]:
    yield from container_name(name, path)
    yield from value(name, text, path)


def container_name(name: str, path: str) -> Iterator[Cause]:
    """What is wrong with the name of a resource that a container takes."""
    yield from any_name(name, path)
    if "/" not in name and name not in _CONTAINER and not name.startswith("hugepages-"):
        yield wrong(path, name, "must be a standard resource for containers")
    elif not _is_native(name) and not is_extended(name):
        yield wrong(path, name, "doesn't follow extended resource name standard")


def quota_name(name: str, path: str) -> Iterator[Cause]:
    """What is wrong with the name of a resource that a quota counts."""
    yield from any_name(name, path)
    if "/" not in name and not is_counted(name):
        yield wrong(path, name, "must be a standard resource for quota")


def any_name(name: str, path: str) -> Iterator[Cause]:
    """What is wrong with the name of a resource of any kind."""
    problems = rules.qualified_name(name)
    yield from (wrong(path, name, text) for text in problems)
    if not problems and "/" not in name and not _is_standard(name):
        yield wrong(path, name, "must be a standard resource type or fully qualified")


def is_counted(name: str) -> bool:
    """A standard resource that quotas know."""
    return _is_standard(name) and name != "storage"


def _is_standard(name: str) -> bool:
    return name in _STANDARD or name.startswith(("hugepages-", "requests.hugepages-"))


def value(name: str, text: str, path: str) -> Iterator[Cause]:
    """What is wrong with an amount: negative, or a part of something counted."""
    quantity = amount(text)
    if quantity.value < 0:
        yield wrong(path, text, "must be greater than or equal to 0")
    if (name in _COUNTED or is_extended(name)) and not quantity.is_whole:
        yield wrong(path, text, "must be an integer")


@lru_cache(maxsize=4096)
def amount(text: str) -> Quantity:
    """The quantity that a field of a checked object writes, which may be negative."""
    return parse(text, allow_negative=True)
