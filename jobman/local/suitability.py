"""Whether a pod belongs on this node at all: somebody may have written its nodeName by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local import fit
from jobman.local.fit import Demand, NodeRoom
from jobman.local.room import Rejection

Object = Mapping[str, Any]

_OS = "linux"
_OS_LABEL = "kubernetes.io/os"


def wrong_os(pod: Object) -> Rejection | None:
    """Why a pod for another operating system is refused, before anything else is looked at."""
    if pod["metadata"].get("labels", {}).get(_OS_LABEL, _OS) != _OS:
        text = f"Failed to admit pod as the `{_OS_LABEL}` label doesn't match node label"
        return Rejection("PodOSSelectorNodeLabelDoesNotMatch", text)
    if pod["spec"].get("os", {}).get("name", _OS) != _OS:
        text = "Failed to admit pod as the OS field doesn't match node OS"
        return Rejection("PodOSNotSupported", text)
    return None


def wrong_node(pod: Object, node: Object) -> Rejection | None:
    """Why a pod that there is room for is refused; the scheduler would not have placed it here."""
    demand, room = Demand.of(pod["spec"]), NodeRoom.of(node)
    if not fit.selected(demand, room):
        return _failed("NodeAffinity", fit.OTHER_NODE)
    ending = [taint for taint in room.taints if taint.get("effect") == "NoExecute"]
    if not all(fit.tolerates(demand, taint) for taint in ending):
        return _failed("TaintToleration", "node(s) had taints that the pod didn't tolerate")
    return None


def _failed(predicate: str, text: str) -> Rejection:
    return Rejection(predicate, f"Predicate {predicate} failed: {text}")
