"""What the security contexts of pods and containers may be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api.cause import Cause, duplicate, required, wrong

_ID_MAX = 2**31 - 1
_SYSCTL_BYTES = 253
_SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = rf"^({_SYSCTL_SEGMENT}[\./])*{_SYSCTL_SEGMENT}$"
_IS_SYSCTL = re.compile(_SYSCTL)
_NOT_SYSCTL = f"must have at most {_SYSCTL_BYTES} characters and match regex {_SYSCTL}"


def of_pod(spec: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with the security context of a pod with that spec, and with its namespaces."""
    context = spec.get("securityContext", {})
    yield from _ids(context, path, "fsGroup", "runAsUser", "runAsGroup")
    for index, group in enumerate(context.get("supplementalGroups", [])):
        yield from _id(group, f"{path}.supplementalGroups[{index}]")
    if spec.get("hostPID") and spec.get("shareProcessNamespace"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        yield wrong(f"{path}.shareProcessNamespace", value=True, text=text)
    yield from _sysctls(context.get("sysctls", []), f"{path}.sysctls")


def of_container(context: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with a container's security context."""
    yield from _ids(context, path, "runAsUser", "runAsGroup")
    if context.get("allowPrivilegeEscalation", True):
        return
    cannot = "cannot set `allowPrivilegeEscalation` to false and"
    if context.get("privileged"):
        yield wrong(path, context, f"{cannot} `privileged` to true")
    if "CAP_SYS_ADMIN" in context.get("capabilities", {}).get("add", []):
        yield wrong(path, context, f"{cannot} `capabilities.Add` CAP_SYS_ADMIN")


def _ids(context: Mapping[str, Any], path: str, *fields: str) -> Iterator[Cause]:
    for field in fields:
        if field in context:
            yield from _id(context[field], f"{path}.{field}")


def _id(number: int, path: str) -> Iterator[Cause]:
    if not 0 <= number <= _ID_MAX:
        yield wrong(path, number, f"must be between 0 and {_ID_MAX}, inclusive")


def _sysctls(sysctls: list[dict[str, Any]], path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, sysctl in enumerate(sysctls):
        where, name = f"{path}[{index}].name", sysctl.get("name", "")
        if not name:
            yield required(where)
        elif len(name) > _SYSCTL_BYTES or not _IS_SYSCTL.fullmatch(name):
            yield wrong(where, name, _NOT_SYSCTL)
        elif name in seen:
            yield duplicate(where, name)
        seen.add(name)
