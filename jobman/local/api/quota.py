"""ResourceQuotas: what the objects of a namespace use, and what a new one may still take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from jobman.local.api import pod_resources, status
from jobman.local.api.quota_scopes import Takes, takes, traits
from jobman.local.api.resources import Resource, by_name
from jobman.local.pod_phase import is_final
from jobman.values.quantity import ZERO, Quantity, parse

if TYPE_CHECKING:
    from jobman.local.api.registry import Registry

Object = dict[str, Any]
Amounts = dict[str, Quantity]

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_MUST_BE_SET = frozenset(
    {f"{part}.{name}" for part in ("requests", "limits") for name in _COMPUTE} | {"cpu", "memory"}
)


def used_by(resource: str, obj: Mapping[str, Any]) -> Amounts:
    """What one object takes of each name that a quota may limit; an ended pod takes nothing."""
    if resource == "pods":
        return _used_by_pod(obj)
    amounts = {f"count/{resource}": _one()}
    if "." not in resource:
        amounts[resource] = _one()
    if resource == "persistentvolumeclaims":
        asked = obj.get("spec", {}).get("resources", {}).get("requests", {})
        amounts["requests.storage"] = parse(asked.get("storage", "0"))
    return amounts


def usage(
    registry: Registry, namespace: str, names: Iterable[str], counted: Takes
) -> dict[str, str]:
    """What those objects of a namespace that are counted use of each of the names, canonically."""
    total: Amounts = dict.fromkeys(names, ZERO)
    for resource in _resources_of(total):
        for seen, amounts in registry.quota_ledger.of(resource, namespace):
            if counted(seen):
                _add(total, amounts)
    return {name: str(amount) for name, amount in total.items()}


def check(registry: Registry, resource: Resource, obj: Object) -> None:
    """Refuse an object that a quota of its namespace has no room for, or cannot measure."""
    namespace = obj["metadata"].get("namespace")
    if not namespace:
        return
    quotas = registry.list("resourcequotas", namespace)
    if not quotas:
        return
    asked, seen = used_by(resource.name, obj), traits(resource.name, obj)
    for quota in quotas:
        counted = takes(quota)
        if not counted(seen):
            continue
        hard = {k: parse(v) for k, v in quota.get("spec", {}).get("hard", {}).items()}
        if resource.name == "pods":
            _check_measurable(quota, hard, obj)
        concerned = {
            name: amount for name, amount in asked.items() if name in hard and amount.value
        }
        if concerned:
            used = usage(registry, namespace, concerned, counted)
            _check_room(quota, hard, concerned, used, resource, obj)


def _check_room(
    quota: Object,
    hard: Amounts,
    asked: Amounts,
    used: Mapping[str, str],
    resource: Resource,
    obj: Object,
) -> None:
    over = sorted(name for name in asked if parse(used[name]) + asked[name] > hard[name])
    if over:
        listed = [",".join(f"{n}={amounts[n]}" for n in over) for amounts in (asked, used, hard)]
        raise status.forbidden(
            resource.plural,
            resource.group,
            obj["metadata"]["name"],
            f"exceeded quota: {quota['metadata']['name']}, requested: {listed[0]},"
            f" used: {listed[1]}, limited: {listed[2]}",
        )


def _check_measurable(quota: Object, hard: Amounts, pod: Object) -> None:
    """A quota on cpu or memory demands that the pod, or every container, tells what it takes."""
    lacking: dict[str, list[str]] = {}
    spec = pod["spec"]
    if pod_resources.are_given(spec):
        return
    for container in (*spec.get("containers", []), *spec.get("initContainers", [])):
        resources = container.get("resources", {})
        for name in sorted(_MUST_BE_SET & hard.keys()):
            part, _, plain = name.rpartition(".")
            if plain not in resources.get(part or "requests", {}):
                lacking.setdefault(name, []).append(container["name"])
    if lacking:
        listed = "; ".join(
            f"{name} for: {','.join(sorted(who))}" for name, who in sorted(lacking.items())
        )
        raise status.forbidden(
            "pods",
            "",
            pod["metadata"]["name"],
            f"failed quota: {quota['metadata']['name']}: must specify {listed}",
        )


def _used_by_pod(pod: Mapping[str, Any]) -> Amounts:
    amounts: Amounts = {"count/pods": _one()}
    if is_final(pod):
        return amounts
    amounts["pods"] = _one()
    for part in ("requests", "limits"):
        for name, amount in pod_resources.total(pod.get("spec", {}), part).items():
            amounts[f"{part}.{name}"] = amount
            if part == "requests" and name in _COMPUTE:
                amounts[name] = amount
    return amounts


def _resources_of(names: Iterable[str]) -> set[str]:
    """The resources whose objects the names are about."""
    found = set()
    for name in names:
        if name.startswith("count/"):
            found.add(name.removeprefix("count/"))
        elif name == "requests.storage":
            found.add("persistentvolumeclaims")
        elif name.endswith("s") and "." not in name:
            found.add(name)
        else:
            found.add("pods")
    return found & by_name().keys()


def _add(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        if name in total:
            total[name] = total[name] + amount


def _one() -> Quantity:
    return parse(1)
