"""What a pod asks for as a whole, for all its containers together (`spec.resources`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import resource_rules
from jobman.local.api.cause import Cause, not_supported, wrong
from jobman.local.api.resource_rules import amount
from jobman.values.quantity import ZERO, Quantity

Spec = Mapping[str, Any]
Amounts = dict[str, Quantity]

_HUGE = "hugepages-"
_SUPPORTED = ("cpu", _HUGE, "memory")


def are_given(spec: Spec) -> bool:
    """Whether the pod itself says anything of cpu, memory or huge pages."""
    return bool(of_whole(spec, "requests") or of_whole(spec, "limits"))


def total(spec: Spec, part: str) -> Amounts:
    """What the pod takes: what it says as a whole, of the rest what its containers say."""
    return of_containers(spec, part) | of_whole(spec, part)


def of_whole(spec: Spec, part: str) -> Amounts:
    """What the pod says itself."""
    given = spec.get("resources", {}).get(part, {})
    return {name: amount(text) for name, text in given.items() if _is_supported(name)}


def of_containers(spec: Spec, part: str) -> Amounts:
    """What its containers take together with sidecars, or more where an init container does."""
    beside: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers", []):
        reached = _sum(beside, container, part)
        most = _most(most, reached)
        if container.get("restartPolicy") == "Always":
            beside = reached
    together = beside
    for container in spec.get("containers", []):
        together = _sum(together, container, part)
    return _most(together, most)


def set_requests(spec: dict[str, Any]) -> None:
    """A pod that is limited asks for what its containers ask for, or else for its limits."""
    resources = spec.get("resources", {})
    if not resources.get("limits"):
        return
    limits = {name: text for name, text in resources["limits"].items() if _is_supported(name)}
    asked = {
        name: str(sum_)
        for name, sum_ in of_containers(spec, "requests").items()
        if _is_supported(name) and not name.startswith(_HUGE)
    }
    requests = {**limits, **asked, **resources.get("requests", {})}
    if requests:
        resources["requests"] = requests


def problems(spec: Spec, path: str) -> Iterator[Cause]:
    """What is wrong with it, by itself and beside what the containers say."""
    resources = spec.get("resources", {})
    for part in ("limits", "requests"):
        for name in sorted(resources.get(part, {})):
            if not _is_supported(name):
                yield not_supported(f"{path}.{part}[{name}]", name, _SUPPORTED)
    yield from resource_rules.container(resources, path)
    requests = resources.get("requests", {})
    for name, sum_ in sorted(of_containers(spec, "requests").items()):
        if name in requests and sum_ > amount(requests[name]):
            text = f"must be greater than or equal to aggregate container requests of {sum_}"
            yield wrong(f"{path}.requests[{name}]", requests[name], text)
    for at, container in enumerate(spec.get("containers", [])):
        where = f"{path}.containers[{at}]"
        yield from _beyond_the_pod(container, resources.get("limits", {}), where)


def _beyond_the_pod(container: Spec, limits: Mapping[str, str], path: str) -> Iterator[Cause]:
    for name, limit in sorted(container.get("resources", {}).get("limits", {}).items()):
        if name in limits and amount(limit) > amount(limits[name]):
            text = f"must be less than or equal to pod limits of {limits[name]}"
            yield wrong(f"{path}[{name}].limits", limit, text)


def _is_supported(name: str) -> bool:
    return name in _SUPPORTED or name.startswith(_HUGE)


def _most(one: Amounts, other: Amounts) -> Amounts:
    return one | {name: max(one.get(name, ZERO), found) for name, found in other.items()}


def _sum(amounts: Amounts, container: Spec, part: str) -> Amounts:
    asked = container.get("resources", {}).get(part, {})
    return amounts | {name: amounts.get(name, ZERO) + amount(text) for name, text in asked.items()}
