"""Amounts of resources as whole numbers, and what a pod asks for. Pure.

All amounts are thousandths of the resource's own unit: millicores, millibytes, milli-GPUs. Whole
numbers add up without rounding, and any two quantities compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING
from functools import lru_cache

from jobman.kube.objects import Container, PodSpec
from jobman.values import quantity

Amounts = Mapping[str, int]
"""Thousandths by resource."""

UNIT = 1000
PODS = "pods"
ONE_POD: Amounts = {PODS: UNIT}
_POD_LEVEL = ("cpu", "memory")


@lru_cache(maxsize=1 << 14)
def milli(text: str) -> int:
    """A quantity in thousandths, rounded up; what cannot be read counts as none."""
    try:
        value = quantity.parse(text, allow_negative=True).value
    except ValueError:
        return 0
    return int((value * UNIT).to_integral_value(ROUND_CEILING))


def of(quantities: Mapping[str, str]) -> Amounts:
    """Quantities as amounts."""
    return {name: milli(text) for name, text in quantities.items()}


def add(one: Amounts, other: Amounts) -> Amounts:
    """The sum, resource by resource."""
    total = dict(one)
    for name, amount in other.items():
        total[name] = total.get(name, 0) + amount
    return total


def subtract(one: Amounts, other: Amounts) -> Amounts:
    """What is left of `one`; less than nothing is negative."""
    return add(one, {name: -amount for name, amount in other.items()})


def greatest(one: Amounts, other: Amounts) -> Amounts:
    """The greater of the two, resource by resource."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()}


def of_pod(spec: PodSpec) -> Amounts:
    """What a pod takes of its node, itself included (`pods`).

    Kubernetes' rule: its containers and sidecars together, or an init container with the
    sidecars started before it where that is more; requests of the pod as a whole outrank that.
    """
    total = _of_containers(spec, _requested)
    if spec.resources is not None and spec.resources.requests:
        total = {**total, **_pod_level(spec.resources.requests)}
    if spec.overhead:
        total = add(total, of(spec.overhead))
    return {**{name: amount for name, amount in total.items() if amount}, **ONE_POD}


def limits_of_pod(spec: PodSpec) -> Amounts:
    """What a pod may take at most, by the same rule; what has no limit is not in it."""
    total = _of_containers(spec, _limits)
    if spec.resources is not None and spec.resources.limits:
        total = {**total, **_pod_level(spec.resources.limits)}
    over = of(spec.overhead)
    return {name: amount + over.get(name, 0) for name, amount in total.items() if amount}


def _of_containers(spec: PodSpec, of_one: Callable[[Container], Amounts]) -> Amounts:
    total: Amounts = {}
    for container in spec.containers:
        total = add(total, of_one(container))
    if spec.init_containers:
        total = _with_init_containers(total, spec.init_containers, of_one)
    return total


def _with_init_containers(
    total: Amounts, init_containers: list[Container], of_one: Callable[[Container], Amounts]
) -> Amounts:
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in init_containers:
        own = of_one(container)
        if container.restart_policy == "Always":
            sidecars = add(sidecars, own)
            peak = greatest(peak, sidecars)
        else:
            peak = greatest(peak, add(sidecars, own))
    return greatest(peak, add(total, sidecars))


def _pod_level(given: Mapping[str, str]) -> Amounts:
    return of({name: text for name, text in given.items() if _is_pod_level(name)})


def _limits(container: Container) -> Amounts:
    return of(container.resources.limits)


def _requested(container: Container) -> Amounts:
    """A container's requests; a limit stands in for a request that is not given."""
    asked = container.resources
    return of({**asked.limits, **asked.requests} if asked.limits else asked.requests)


def _is_pod_level(name: str) -> bool:
    return name in _POD_LEVEL or name.startswith("hugepages-")
