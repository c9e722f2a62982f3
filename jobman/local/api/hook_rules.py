"""What asks a container how it is, or tells it that it starts or stops: probes and hooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import Cause, forbidden, required, wrong
from jobman.local.api.network_rules import port_number

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HOOKS = ("postStart", "preStop")
_KINDS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_NOT_NEGATIVE = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)


def hooks(container: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with the lifecycle and the probes of a container that keeps running."""
    lifecycle = container.get("lifecycle", {})
    for hook in _HOOKS:
        if hook in lifecycle:
            yield from _handler(lifecycle[hook], f"{path}.lifecycle.{hook}")
    for name in _PROBES:
        if name in container:
            yield from _probe(container[name], f"{path}.{name}")


def no_hooks(container: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """A container that runs before the others has none."""
    for name in ("lifecycle", *_PROBES):
        if name in container:
            text = "may not be set for init containers without restartPolicy=Always"
            yield forbidden(f"{path}.{name}", text)


def _probe(probe: Mapping[str, Any], path: str) -> Iterator[Cause]:
    yield from _handler(probe, path)
    for field in _NOT_NEGATIVE:
        if probe.get(field, 0) < 0:
            yield wrong(f"{path}.{field}", probe[field], "must be greater than or equal to 0")


def _handler(handler: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """Exactly one way to ask or tell."""
    given = [kind for kind in _KINDS if kind in handler]
    if not given:
        yield required(path, "must specify a handler type")
    elif given[0] == "exec":
        if not handler["exec"].get("command"):
            yield required(f"{path}.exec.command")
    elif given[0] != "sleep":
        yield from _port(handler[given[0]], f"{path}.{given[0]}")
    for kind in given[1:]:
        yield forbidden(f"{path}.{kind}", "may not specify more than 1 handler type")


def _port(action: Mapping[str, Any], path: str) -> Iterator[Cause]:
    port = action.get("port", 0)
    if isinstance(port, int):
        yield from port_number(port, f"{path}.port")
    else:
        yield from (wrong(f"{path}.port", port, text) for text in rules.port_name(port))
