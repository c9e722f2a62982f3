"""Pod statuses as this kubelet tells them, against those of a real one, line by line.

From each recorded line the containers' states are taken; phase, conditions and the shape of the
container statuses must come out as recorded.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from plugins.replay_recordings import recordings

from jobman.local import podstatus
from jobman.local.podstatus import ContainerView, PodView

PODS = [
    "Completed",
    "CrashLoopBackOff-OnFailure",
    "CreateContainerConfigError-configmap",
    "Error-exit-3",
    "OOMKilled",
    "RunContainerError-missing-executable-restart-OnFailure",
    "StartError-missing-executable-restart-Never",
    "delete-SIGTERM-exit-143",
    "image-InvalidImageName",
    "init-container-fails-Never",
    "init-container-fails-OnFailure",
    "init-containers-ok",
    "native-sidecar",
    "terminationMessage",
    "two-containers-one-fails",
]


def _view(container: dict[str, Any], told: dict[str, Any], *, init: bool) -> ContainerView:
    return ContainerView(
        name=container["name"],
        spec=container,
        state=told["state"],
        last=told["lastState"],
        run=told["restartCount"],
        container_id=told.get("containerID", ""),
        init=init,
    )


def _views(spec: dict[str, Any], status: dict[str, Any]) -> tuple[ContainerView, ...]:
    found = []
    for init, key, statuses in (
        (True, "initContainers", "initContainerStatuses"),
        (False, "containers", "containerStatuses"),
    ):
        told = {entry["name"]: entry for entry in status.get(statuses, [])}
        found += [_view(c, told[c["name"]], init=init) for c in spec.get(key, [])]
    return tuple(found)


def _told(status: dict[str, Any]) -> dict[str, Any]:
    """What must be equal: all but times, addresses, images and resources of another machine."""
    told = copy.deepcopy(status)
    conditions = [
        (c["type"], c["status"], c.get("reason"), c.get("message"), c["observedGeneration"])
        for c in told["conditions"]
        if c["type"] != "PodScheduled"
    ]
    containers = [
        {k: entry[k] for k in ("name", "state", "lastState", "ready", "restartCount", "started")}
        for key in ("initContainerStatuses", "containerStatuses")
        for entry in told.get(key, [])
    ]
    return {
        "phase": told["phase"],
        "observedGeneration": told["observedGeneration"],
        "conditions": conditions,
        "containers": containers,
        "address": "podIP" in told,
        "reason": told.get("reason"),
        "qosClass": told["qosClass"],
    }


@pytest.mark.parametrize("name", PODS)
def test_every_recorded_status_comes_out(name: str) -> None:
    before: dict[str, Any] = {}
    compared = 0
    for line in recordings()[f"pods/{name}/watch-pod"].lines or ():
        told = line["object"]
        spec, recorded = told["spec"], told["status"]
        if recorded.get("observedGeneration") != told["metadata"]["generation"]:
            before = recorded
            continue  # written by the API server, not by the kubelet
        pod = {"metadata": told["metadata"], "spec": spec, "status": before}
        sandbox = recorded["conditions"][0]["status"] == "True"
        final = recorded["phase"] in ("Succeeded", "Failed")
        view = PodView(
            containers=_views(spec, recorded),
            sandbox=sandbox or final,
            with_address="podIP" in recorded,
            stopped=final,
        )
        now = recorded["conditions"][0]["lastTransitionTime"]
        assert _told(podstatus.status(pod, view, now)) == _told(recorded)
        before = recorded
        compared += 1
    assert compared > 2


def test_a_transition_time_changes_with_the_status_alone() -> None:
    old = {"type": "Initialized", "status": "True", "lastTransitionTime": "then"}
    pod = {"metadata": {}, "spec": {}, "status": {"conditions": [old]}}
    conditions = podstatus.status(pod, PodView(containers=()), "now")["conditions"]
    assert {c["type"]: c["lastTransitionTime"] for c in conditions} == {
        "PodReadyToStartContainers": "now",
        "Initialized": "then",
        "Ready": "now",
        "ContainersReady": "now",
        "PodScheduled": "now",
    }
