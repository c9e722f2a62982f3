"""What a pod's spec may be, and what of it may change."""

from __future__ import annotations

import copy
import difflib
import itertools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from jobman.local.api import (
    container_rules,
    metadata_rules,
    network_rules,
    placement_rules,
    pod_resources,
    resource_rules,
    rules,
    security_rules,
    volume_rules,
)
from jobman.local.api.cause import Cause, duplicate, forbidden, not_supported, required, wrong
from jobman.local.api.selector_rules import label_key

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PREEMPTION = ("Never", "PreemptLowerPriority")
_INT32_MAX = 2**31 - 1
_REMEMBERED_BYTES = 8 * 1024
_COMPARED_LINES = 1000
_MAY_CHANGE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions"
    " to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it"
    " was previously negative)"
)

Spec = Mapping[str, Any]


def template(given: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a pod template."""
    meta = given.get("metadata", {})
    yield from metadata_rules.label_problems(meta.get("labels", {}), f"{path}.labels")
    yield from metadata_rules.annotation_problems(
        meta.get("annotations", {}), f"{path}.annotations"
    )
    yield from spec_problems(given.get("spec", {}), f"{path}.spec")


def spec_problems(given: Spec, path: str) -> Iterable[Cause]:
    """What is wrong with a pod's spec; told from memory where it is that of many pods."""
    encoded = msgspec.json.encode(given)
    if len(encoded) > _REMEMBERED_BYTES:
        return spec(given, path)
    return _remembered(encoded, path)


@lru_cache(maxsize=256)
def _remembered(encoded: bytes, path: str) -> tuple[Cause, ...]:
    return tuple(spec(msgspec.json.decode(encoded), path))


def spec(given: Spec, path: str) -> Iterator[Cause]:
    """What is wrong with a pod's spec, in the order Kubernetes tells it."""
    volumes = given.get("volumes", [])
    yield from volume_rules.volumes(volumes, f"{path}.volumes")
    yield from _containers(given, path, {volume.get("name", "") for volume in volumes})
    yield from pod_resources.problems(given, f"{path}.resources")
    if given.get("hostNetwork"):
        yield from network_rules.host_network(given.get("containers", []), f"{path}.containers")
    policy = given.get("restartPolicy", "Always")
    if policy not in _RESTART_POLICIES:
        yield not_supported(f"{path}.restartPolicy", policy, _RESTART_POLICIES)
    policy = given.get("dnsPolicy", "ClusterFirst")
    if policy not in _DNS_POLICIES:
        yield not_supported(f"{path}.dnsPolicy", policy, _DNS_POLICIES)
    yield from metadata_rules.label_problems(given.get("nodeSelector", {}), f"{path}.nodeSelector")
    yield from security_rules.of_pod(given, f"{path}.securityContext")
    yield from placement_rules.affinity(given.get("affinity", {}), f"{path}.affinity")
    yield from network_rules.dns(given, f"{path}.dnsConfig")
    yield from _gates(given, path)
    constraints = given.get("topologySpreadConstraints", [])
    yield from placement_rules.spread(constraints, f"{path}.topologySpreadConstraints")
    yield from _name(given, path, "serviceAccountName", rules.dns_subdomain)
    yield from _name(given, path, "nodeName", rules.dns_subdomain)
    yield from _deadline(given, f"{path}.activeDeadlineSeconds", 1)
    yield from _name(given, path, "hostname", rules.dns_label)
    yield from _name(given, path, "subdomain", rules.dns_label)
    yield from placement_rules.tolerations(given.get("tolerations", []), f"{path}.tolerations")
    yield from network_rules.host_aliases(given.get("hostAliases", []), f"{path}.hostAliases")
    yield from _name(given, path, "priorityClassName", rules.dns_subdomain)
    yield from _name(given, path, "runtimeClassName", rules.dns_subdomain)
    if given.get("preemptionPolicy", "Never") not in _PREEMPTION:
        yield not_supported(f"{path}.preemptionPolicy", given["preemptionPolicy"], _PREEMPTION)
    overhead = {"limits": given.get("overhead", {})}
    yield from resource_rules.container(overhead, f"{path}.overhead")


def _containers(given: Spec, path: str, volumes: Collection[str]) -> Iterator[Cause]:
    taken: set[str] = set()
    containers, first = given.get("containers", []), given.get("initContainers", [])
    if not containers:
        yield required(f"{path}.containers")
    yield from container_rules.containers(containers, f"{path}.containers", volumes, taken)
    yield from container_rules.init_containers(first, f"{path}.initContainers", volumes, taken)


def _name(
    given: Spec, path: str, field: str, rule: Callable[[str], Iterable[str]]
) -> Iterator[Cause]:
    name = given.get(field)
    if name:
        yield from (wrong(f"{path}.{field}", name, text) for text in rule(name))


def _deadline(given: Spec, path: str, least: int) -> Iterator[Cause]:
    seconds = given.get("activeDeadlineSeconds")
    if seconds is not None and not least <= seconds <= _INT32_MAX:
        yield wrong(path, seconds, f"must be between {least} and {_INT32_MAX}, inclusive")


def _gates(given: Spec, path: str) -> Iterator[Cause]:
    """What a pod waits for, to be ready and to be scheduled."""
    for index, gate in enumerate(given.get("readinessGates", [])):
        yield from label_key(gate, f"{path}.readinessGates[{index}]", "conditionType")
    seen: set[str] = set()
    for index, gate in enumerate(given.get("schedulingGates", [])):
        name = gate.get("name", "")
        where = f"{path}.schedulingGates[{index}]"
        yield from (wrong(where, name, text) for text in rules.qualified_name(name))
        if name in seen:
            yield duplicate(where, name)
        seen.add(name)


def change(old: Spec, given: Spec) -> Iterator[Cause]:
    """What of a pod's spec may not be as it is, since it was `old`."""
    for kind in ("containers", "initContainers"):
        if len(given.get(kind, [])) != len(old.get(kind, [])):
            yield forbidden(f"spec.{kind}", "pod updates may not add or remove containers")
            return
    yield from _changed_deadline(old.get("activeDeadlineSeconds"), given)
    yield from _changed_tolerations(old, given)
    yield from _changed_gates(old, given)
    before, after = _immutable_part(old), _immutable_part(given)
    if before != after:
        yield forbidden("spec", f"{_MAY_CHANGE}\n{_difference(before, after)}\n")


def _changed_deadline(old: int | None, given: Spec) -> Iterator[Cause]:
    path, seconds = "spec.activeDeadlineSeconds", given.get("activeDeadlineSeconds")
    if seconds is None:
        if old is not None:
            text = "must not update from a positive integer to nil value"
            yield wrong(path, None, text)
    elif not 0 <= seconds <= _INT32_MAX:
        yield wrong(path, seconds, f"must be between 0 and {_INT32_MAX}, inclusive")
    elif old is not None and seconds > old:
        yield wrong(path, seconds, "must be less than or equal to previous value")


def _changed_tolerations(old: Spec, given: Spec) -> Iterator[Cause]:
    """They may be added, and how long they last may change."""
    kept = set(map(_without_seconds, given.get("tolerations", [])))
    if any(_without_seconds(each) not in kept for each in old.get("tolerations", [])):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", text)


def _without_seconds(toleration: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    return frozenset(item for item in toleration.items() if item[0] != "tolerationSeconds")


def _changed_gates(old: Spec, given: Spec) -> Iterator[Cause]:
    before = {gate.get("name") for gate in old.get("schedulingGates", [])}
    for gate in given.get("schedulingGates", []):
        if gate.get("name") not in before:
            text = "only deletion is allowed, but found new scheduling gate "
            yield forbidden("spec.schedulingGates", f"{text}'{gate.get('name')}'")


def _immutable_part(given: Spec) -> dict[str, Any]:
    part: dict[str, Any] = copy.deepcopy(dict(given))
    for field in ("activeDeadlineSeconds", "tolerations", "schedulingGates"):
        part.pop(field, None)
    if part.get("terminationGracePeriodSeconds", 0) < 0:
        part["terminationGracePeriodSeconds"] = 1
    for kind in ("containers", "initContainers"):
        for container in part.get(kind, []):
            container.pop("image", None)
    return part


def _difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The lines that differ, with some around them; of a big spec the first of them."""
    first, second = (
        json.dumps(part, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
        for part in (before, after)
    )
    if len(first) + len(second) > _COMPARED_LINES:
        pairs = enumerate(itertools.zip_longest(first, second))
        place = max(next((at for at, (one, other) in pairs if one != other), 0) - 3, 0)
        first, second = (part[place : place + _COMPARED_LINES // 2] for part in (first, second))
    return "\n".join(list(difflib.unified_diff(first, second, lineterm=""))[2:])
