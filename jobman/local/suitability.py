"""Whether a pod belongs on this node at all: somebody may have written its nodeName by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.local import fit
from jobman.local.fit import Demand, NodeRoom
from jobman.local.room import Rejection
from jobman.local.store import Store
from jobman.local.stored import Key, Record

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


class ThisNode:
    """The node `name`: what its object says of the pods that belong on it."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._key = Key("nodes", "", name)
        self._seen: tuple[Record, NodeRoom] | None = None

    def refuses(self, pod: Object) -> Rejection | None:
        """Why a pod that there is room for is refused; the scheduler would not place it here."""
        room = self._room()
        if room is None:
            return None
        spec = pod["spec"]
        ending = [taint for taint in room.taints if taint.get("effect") == "NoExecute"]
        if not (ending or spec.get("nodeSelector") or spec.get("affinity")):
            return None
        demand = Demand.of(spec)
        if not fit.selected(demand, room):
            return _failed("NodeAffinity", fit.OTHER_NODE)
        if not all(fit.tolerates(demand, taint) for taint in ending):
            return _failed("TaintToleration", "node(s) had taints that the pod didn't tolerate")
        return None

    def _room(self) -> NodeRoom | None:
        """The node as it is now, if it is there; it changes seldom."""
        record = self._store.get(self._key)
        if record is None:
            return None
        if self._seen is None or self._seen[0] is not record:
            self._seen = (record, NodeRoom.of(record.object()))
        return self._seen[1]


def _failed(predicate: str, text: str) -> Rejection:
    return Rejection(predicate, f"Predicate {predicate} failed: {text}")
