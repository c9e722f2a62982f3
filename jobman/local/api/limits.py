"""LimitRanges: what containers get that ask for nothing, and how much one may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jobman.local.api import status
from jobman.values.quantity import parse

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
ANNOTATION = "kubernetes.io/limit-ranger"


def set_defaults(registry: Registry, pod: Object) -> None:
    """Fill in the namespace's default requests and limits, and note it on the pod."""
    notes = []
    for limits in _container_limits(registry, pod):
        for container in pod["spec"].get("containers", []):
            notes += _set_container(container, limits)
    if notes:
        annotations = pod["metadata"].setdefault("annotations", {})
        annotations[ANNOTATION] = "LimitRanger plugin set: " + "; ".join(notes)


def check(registry: Registry, pod: Object) -> None:
    """Refuse a pod with a container outside the limits of its namespace."""
    problems = [
        problem
        for limits in _container_limits(registry, pod)
        for container in pod["spec"].get("containers", [])
        for problem in _problems(container.get("resources", {}), limits)
    ]
    if problems:
        why = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        raise status.forbidden("pods", "", pod["metadata"]["name"], why)


def _container_limits(registry: Registry, pod: Object) -> list[Object]:
    return [
        limits
        for limit_range in registry.list("limitranges", pod["metadata"]["namespace"])
        for limits in limit_range.get("spec", {}).get("limits", [])
        if limits.get("type") == "Container"
    ]


def _set_container(container: Object, limits: Object) -> list[str]:
    notes = []
    resources = container.setdefault("resources", {})
    for part, default, word in (
        ("requests", "defaultRequest", "request"),
        ("limits", "default", "limit"),
    ):
        missing = {
            name: amount
            for name, amount in limits.get(default, {}).items()
            if name not in resources.get(part, {})
        }
        if missing:
            resources[part] = {**resources.get(part, {}), **missing}
            notes.append(f"{', '.join(sorted(missing))} {word} for container {container['name']}")
    return notes


def _problems(resources: Object, limits: Object) -> list[str]:
    found = []
    for name, least in sorted(limits.get("min", {}).items()):
        asked = resources.get("requests", {}).get(name)
        if asked is None:
            found.append(f"minimum {name} usage per Container is {least}.  No request is specified")
        elif parse(asked) < parse(least):
            found.append(f"minimum {name} usage per Container is {least}, but request is {asked}")
    for name, most in sorted(limits.get("max", {}).items()):
        bound = resources.get("limits", {}).get(name)
        if bound is None:
            found.append(f"maximum {name} usage per Container is {most}.  No limit is specified")
        elif parse(bound) > parse(most):
            found.append(f"maximum {name} usage per Container is {most}, but limit is {bound}")
    return found
