"""Recorded pods, run here by the kubelet: the same statuses in the same order as on a real node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugins.kubelet import World, run_kubelet
from plugins.replay_recordings import recordings

FINISHED = [
    "Completed",
    "Error-exit-3",
    "StartError-missing-executable-restart-Never",
    "init-containers-ok",
    "init-container-fails-Never",
    "native-sidecar",
    "two-containers-one-fails",
    "terminationMessage",
]


def _recorded(name: str) -> list[dict[str, Any]]:
    """The lines of a pod's watch."""
    return recordings()[f"pods/{name}/watch-pod"].lines or []


def _spec(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The pod's spec as a client wrote it, with shorter sleeps."""
    spec = json.loads(
        json.dumps(lines[0]["object"]["spec"])
        .replace("sleep 1", "sleep 0.1")
        .replace("sleep 2;", "sleep 0.2;")
        .replace("sleep 3", "sleep 0.3")
    )
    kept = ("containers", "initContainers", "restartPolicy", "activeDeadlineSeconds")
    return {key: value for key, value in spec.items() if key in kept}


def _state(told: dict[str, Any]) -> tuple[str, Any, Any, Any]:
    (kind, facts), *_ = told.items() or [("none", {})]
    return (kind, facts.get("reason"), facts.get("message"), facts.get("exitCode"))


def _line(status: dict[str, Any]) -> tuple[Any, ...]:
    conditions = {
        c["type"]: (c["status"], c.get("reason"), c.get("message")) for c in status["conditions"]
    }
    containers = [
        (c["name"], _state(c["state"]), _state(c["lastState"]), c["restartCount"], c["ready"])
        for key in ("initContainerStatuses", "containerStatuses")
        for c in status.get(key, [])
    ]
    return (status["phase"], status.get("reason"), sorted(conditions.items()), containers)


def _lines(statuses: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What a kubelet wrote, without what only repeats the line before."""
    found: list[tuple[Any, ...]] = []
    for status in statuses:
        if "observedGeneration" in status and (not found or found[-1] != _line(status)):
            found.append(_line(status))
    return found


@pytest.mark.parametrize("name", FINISHED)
def test_the_same_statuses_in_the_same_order(name: str, tmp_path: Path) -> None:
    lines = _recorded(name)

    async def body(world: World) -> list[dict[str, Any]]:
        world.create(_spec(lines))
        await world.finished()
        return [pod["status"] for _, pod in world.seen]

    recorded = _lines([line["object"]["status"] for line in lines])
    ours = _lines(run_kubelet(tmp_path, body))
    assert ours == recorded


def test_a_deleted_pod_ends_within_its_grace_and_goes(tmp_path: Path) -> None:
    lines = _recorded("delete-SIGTERM-exit-143")

    async def body(world: World) -> list[tuple[str, dict[str, Any]]]:
        world.create(_spec(lines))
        await world.until(lambda pod: pod["status"]["phase"] == "Running")
        world.delete()
        await world.until_gone()
        return world.seen

    seen = run_kubelet(tmp_path, body)
    recorded = _lines([line["object"]["status"] for line in lines])
    assert _lines([pod["status"] for _, pod in seen]) == recorded
    assert seen[-1][0] == lines[-1]["type"] == "DELETED"
