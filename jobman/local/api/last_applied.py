"""What `kubectl apply` noted of the configuration that it applied, without the server's help.

Where kubectl applies on the server what it had applied itself, Kubernetes takes the note for its
fields, and keeps it true: so whoever changes between the two ways sees one configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local.api import metadata_rules
from jobman.local.api.cause import shown
from jobman.local.api.decode import BodyError, from_json
from jobman.local.api.resources import Resource

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
MANAGER = "kubectl"
# As Go writes them within JSON.
_ESCAPED = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def read(resource: Resource, obj: Mapping[str, Any], manager: str) -> Mapping[str, Any]:
    """The configuration noted with an object; of use to kubectl alone, to others nothing."""
    note = _annotations(obj).get(ANNOTATION)
    if manager != MANAGER or not note:
        return {}
    try:
        config = from_json(note.encode(errors="replace"))
    except BodyError:
        return {}
    told = isinstance(config, dict) and config.get("apiVersion") == resource.group_version
    return config if told else {}


def keep(obj: dict[str, Any], config: Mapping[str, Any], manager: str) -> None:
    """Note what kubectl applies now, where it noted before; no note where there is no room."""
    if manager != MANAGER or not _annotations(obj).get(ANNOTATION):
        return
    about = dict(config.get("metadata") or {})
    if about.get("annotations"):
        about["annotations"] = {k: v for k, v in about["annotations"].items() if k != ANNOTATION}
    note = shown({**config, "metadata": about}).translate(_ESCAPED) + "\n"
    annotations = {**obj["metadata"]["annotations"], ANNOTATION: note}
    if any(metadata_rules.annotation_problems(annotations, "")):
        del annotations[ANNOTATION]
    obj["metadata"]["annotations"] = annotations


def _annotations(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    return (obj.get("metadata") or {}).get("annotations") or {}
