"""Which fields of a pod are no text: what is put into them becomes a number, true or false.

By the field's name, for it means the same wherever it stands in a pod. Pure.
"""

from __future__ import annotations

import re

NUMBERS = frozenset(
    {
        "activeDeadlineSeconds",
        "containerPort",
        "defaultMode",
        "expirationSeconds",
        "failureThreshold",
        "fsGroup",
        "hostPort",
        "initialDelaySeconds",
        "lun",
        "maxExpirationSeconds",
        "maxSkew",
        "minDomains",
        "mode",
        "partition",
        "periodSeconds",
        "port",
        "priority",
        "runAsGroup",
        "runAsUser",
        "seconds",
        "successThreshold",
        "supplementalGroups",
        "terminationGracePeriodSeconds",
        "timeoutSeconds",
        "tolerationSeconds",
        "weight",
    }
)
FLAGS = frozenset(
    {
        "allowPrivilegeEscalation",
        "automountServiceAccountToken",
        "chapAuthDiscovery",
        "chapAuthSession",
        "enableServiceLinks",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostProcess",
        "hostUsers",
        "optional",
        "privileged",
        "readOnly",
        "readOnlyRootFilesystem",
        "runAsNonRoot",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "sslEnabled",
        "stdin",
        "stdinOnce",
        "tty",
    }
)
TEXTS_BY_KEY = frozenset(
    {
        "annotations",
        "labels",
        "limits",
        "matchLabels",
        "nodeSelector",
        "options",
        "overhead",
        "requests",
        "userAnnotations",
        "volumeAttributes",
    }
)
"""Fields whose keys are the user's own; everything beneath is text."""

EXPANDED = frozenset({"command", "args", "value"})
"""Where Kubernetes expands `$(NAME)` and turns `$$` into `$`."""

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,18})", re.ASCII)
_WORDS = {"true": True, "false": False}


def typed(field: str, text: str) -> str | int | bool:
    """`text` as the field of that name wants it; as it is where it cannot be had so."""
    if field in NUMBERS and _INTEGER.fullmatch(text):
        return int(text)
    return _WORDS.get(text, text) if field in FLAGS else text


def untouched(field: str, text: str) -> str:
    """`text` so that it arrives as it is, whatever Kubernetes makes of the field."""
    return text.replace("$", "$$") if field in EXPANDED else text
