"""LimitRanges: what containers get that ask for nothing, and how much may be asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from operator import gt, lt
from typing import TYPE_CHECKING, Any

from jobman.local.api import pod_resources, status
from jobman.local.api.resource_rules import amount
from jobman.values.quantity import Quantity

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
Amounts = Mapping[str, Quantity]
ANNOTATION = "kubernetes.io/limit-ranger"
_SIDES = {"min": ("minimum", lt), "max": ("maximum", gt)}
_RATIO = "{} max limit to request ratio per {} is {}, but "


def set_defaults(registry: Registry, pod: Object) -> None:
    """Fill in the namespace's default requests and limits, and note it on the pod."""
    notes = []
    for limit_range in _limit_ranges(registry, pod):
        for limits in _of_type(limit_range, "Container"):
            for word, container in _containers(pod):
                notes += _set_container(container, limits, word)
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def check_pod(registry: Registry, pod: Object) -> None:
    """Refuse a pod that is outside the limits of its namespace, or has such a container."""
    for limit_range in _limit_ranges(registry, pod):
        problems = [
            problem
            for limits in limit_range.get("spec", {}).get("limits", [])
            for requested, limited in _measured(pod, limits.get("type", ""))
            for problem in _problems(limits, requested, limited)
        ]
        _refuse("pods", pod, problems)


def check_claim(registry: Registry, claim: Object) -> None:
    """Refuse a claim of less or more storage than its namespace allows."""
    resources = claim.get("spec", {}).get("resources", {})
    requested = _amounts(resources.get("requests", {}))
    for limit_range in _limit_ranges(registry, claim):
        problems = [
            problem
            for limits in _of_type(limit_range, "PersistentVolumeClaim")
            for side in _SIDES
            for problem in _outside(limits, side, ("request", requested))
        ]
        _refuse("persistentvolumeclaims", claim, problems)


def _refuse(plural: str, obj: Object, problems: list[str]) -> None:
    if problems:
        why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise status.forbidden(plural, "", obj["metadata"]["name"], why)


def _limit_ranges(registry: Registry, obj: Object) -> list[Object]:
    return registry.list("limitranges", obj["metadata"]["namespace"])


def _of_type(limit_range: Object, kind: str) -> list[Object]:
    found = limit_range.get("spec", {}).get("limits", [])
    return [limits for limits in found if limits.get("type") == kind]


# -- defaults ------------------------------------------------------------------------------------


def _containers(pod: Object) -> Iterator[tuple[str, Object]]:
    """All containers, each with what it is called."""
    for container in pod["spec"].get("containers", []):
        yield "container", container
    for container in pod["spec"].get("initContainers", []):
        yield "init container", container


def _set_container(container: Object, limits: Object, word: str) -> list[str]:
    notes = []
    resources = container.setdefault("resources", {})
    for part, default, what in (
        ("requests", "defaultRequest", "request"),
        ("limits", "default", "limit"),
    ):
        missing = {
            name: value
            for name, value in limits.get(default, {}).items()
            if name not in resources.get(part, {})
        }
        if missing:
            resources[part] = {**resources.get(part, {}), **missing}
            notes.append(f"{', '.join(sorted(missing))} {what} for {word} {container['name']}")
    return notes


# -- what a pod asks for -------------------------------------------------------------------------


def _measured(pod: Object, kind: str) -> Iterator[tuple[Amounts, Amounts]]:
    """Requests and limits of each thing of this type in the pod."""
    if kind == "Container":
        for _, container in _containers(pod):
            yield _part(container, "requests"), _part(container, "limits")
    elif kind == "Pod":
        yield _of_pod(pod, "requests"), _of_pod(pod, "limits")


def _part(container: Object, part: str) -> Amounts:
    return _amounts(container.get("resources", {}).get(part, {}))


def _amounts(given: Mapping[str, str]) -> dict[str, Quantity]:
    return {name: amount(value) for name, value in given.items()}


def _of_pod(pod: Object, part: str) -> Amounts:
    """What it says as a whole; else the sum of its containers, of what all of them name.

    That is more where an init container needs more.
    """
    found = _sum([_part(container, part) for container in pod["spec"].get("containers", [])])
    for container in pod["spec"].get("initContainers", []):
        for name, asked in _part(container, part).items():
            found[name] = max(asked, found.get(name, asked))
    return found | pod_resources.of_whole(pod["spec"], part)


def _sum(parts: Iterable[Amounts]) -> dict[str, Quantity]:
    given = list(parts)
    named_by_all = set.intersection(*map(set, given)) if given else set()
    total = {name: sum((part[name].value for part in given), Decimal(0)) for name in named_by_all}
    return {name: Quantity(value) for name, value in total.items()}


# -- what is wrong with it -----------------------------------------------------------------------


def _problems(limits: Object, requested: Amounts, limited: Amounts) -> Iterator[str]:
    requests, bounds = ("request", requested), ("limit", limited)
    yield from _outside(limits, "min", requests, bounds)
    yield from _outside(limits, "max", bounds, requests)
    yield from _too_far_apart(limits, requested, limited)


def _outside(limits: Object, side: str, *given: tuple[str, Amounts]) -> Iterator[str]:
    """What is beyond that side of the range; the first of `given` must be there."""
    word, is_beyond = _SIDES[side]
    for name, enforced in sorted(_amounts(limits.get(side, {})).items()):
        text = f"{word} {name} usage per {limits['type']} is {enforced}"
        if name not in given[0][1]:
            yield f"{text}.  No {given[0][0]} is specified"
            continue
        for what, amounts in given:
            if name in amounts and is_beyond(amounts[name], enforced):
                yield f"{text}, but {what} is {amounts[name]}"
                break


def _too_far_apart(limits: Object, requested: Amounts, limited: Amounts) -> Iterator[str]:
    for name, most in sorted(_amounts(limits.get("maxLimitRequestRatio", {})).items()):
        text = _RATIO.format(name, limits["type"], most)
        if name not in requested or not requested[name].value:
            yield f"{text}no request is specified or request is 0"
        elif name not in limited or not limited[name].value:
            yield f"{text}no limit is specified or limit is 0"
        elif (ratio := limited[name].value / requested[name].value) > most.value:
            yield f"{text}provided ratio is {ratio:.6f}"
