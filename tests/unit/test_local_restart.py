"""Which containers are started again when they end, and what becomes of their pod."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from plugins.kubelet import World, run_kubelet

from jobman.local import podstatus
from jobman.local.podstatus import ContainerView, PodView
from jobman.local.restart_policy import restarts_after
from jobman.local.runs import Runs
from jobman.local.supervisor import Exit

Object = dict[str, Any]


def rule(operator: str, *values: int, action: str = "Restart") -> Object:
    return {"action": action, "exitCodes": {"operator": operator, "values": list(values)}}


def own(policy: str, *rules: Object) -> Object:
    return {"restartPolicy": policy, "restartPolicyRules": list(rules)}


@pytest.mark.parametrize(
    ("container", "pod_policy", "again"),
    [
        ({}, "Always", {0, 1, 42}),
        ({}, "OnFailure", {1, 42}),
        ({}, "Never", set()),
        (own("Always"), "Never", {0, 1, 42}),
        (own("OnFailure"), "Never", {1, 42}),
        (own("OnFailure"), "Always", {1, 42}),
        (own("Never"), "Always", set()),
        (own("Never", rule("In", 42)), "Never", {42}),
        (own("Never", rule("NotIn", 42, 0)), "Always", {1}),
        (own("OnFailure", rule("In", 0)), "Never", {0, 1, 42}),
        (own("Never", rule("In", 1), rule("In", 42)), "Never", {1, 42}),
        (own("Never", rule("In", 42, action="RestartAllContainers")), "Always", set()),
        (
            own("Never", rule("In", 1, action="RestartAllContainers"), rule("In", 1, 42)),
            "Never",
            {42},
        ),
    ],
)
def test_which_ends_are_restarted(container: Object, pod_policy: str, again: set[int]) -> None:
    assert {code for code in (0, 1, 42) if restarts_after(container, pod_policy, code)} == again


def ended(code: int, spec: Object | None = None, *, init: bool = False) -> ContainerView:
    return ContainerView("c", spec or {}, {"terminated": {"exitCode": code}}, init=init)


RUNS = ContainerView("c", {}, {"running": {}})


@pytest.mark.parametrize(
    ("policy", "containers", "phase"),
    [
        ("Never", [ended(1, own("OnFailure"))], "Running"),
        ("Never", [ended(0, own("OnFailure"))], "Succeeded"),
        ("Never", [ended(42, own("Never", rule("In", 42)))], "Running"),
        ("Never", [ended(41, own("Never", rule("In", 42)))], "Failed"),
        ("Always", [ended(3, own("Never"))], "Failed"),
        ("Always", [ended(0, own("Never"))], "Succeeded"),
        ("OnFailure", [ended(3, own("Never")), ended(0)], "Failed"),
        ("Always", [ended(3, own("Never")), ended(0)], "Running"),
        ("Always", [ended(3, own("Never")), RUNS], "Running"),
        ("Always", [ended(1, own("Never"), init=True), RUNS], "Failed"),
        ("Never", [ended(1, own("OnFailure"), init=True), RUNS], "Pending"),
    ],
)
def test_phases(policy: str, containers: list[ContainerView], phase: str) -> None:
    assert podstatus.phase(PodView(tuple(containers)), policy) == phase


def container(name: str, script: str, **more: Any) -> Object:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **more}


def once(tmp_path: Path, code: int) -> str:
    """Exits with `code`, and with 0 the next time."""
    return f"test -e {tmp_path}/been && exit 0; touch {tmp_path}/been; exit {code}"


ONCE = "once"


@pytest.mark.parametrize(
    ("spec", "phase", "restarts"),
    [
        ({"restartPolicy": "Never", "main": (ONCE, own("OnFailure"))}, "Succeeded", [1]),
        (
            {"restartPolicy": "Never", "main": (ONCE, own("Never", rule("In", 42)))},
            "Succeeded",
            [1],
        ),
        ({"restartPolicy": "Always", "main": ("exit 3", own("Never"))}, "Failed", [0]),
        (
            {
                "restartPolicy": "Always",
                "init": ("exit 1", own("Never")),
                "main": ("exit 0", {}),
            },
            "Failed",
            [0, 0],
        ),
    ],
)
def test_pods_end_as_their_containers_say(
    tmp_path: Path, spec: Object, phase: str, restarts: list[int]
) -> None:
    made: Object = {"restartPolicy": spec["restartPolicy"]}
    for kind, key in (("init", "initContainers"), ("main", "containers")):
        if kind in spec:
            script, more = spec[kind]
            made[key] = [container(kind, once(tmp_path, 42) if script == ONCE else script, **more)]

    async def body(world: World) -> Object:
        world.create(made)
        return await world.finished()

    status = run_kubelet(tmp_path, body)["status"]
    told = [*status.get("initContainerStatuses", []), *status["containerStatuses"]]
    assert (status["phase"], [entry["restartCount"] for entry in told]) == (phase, restarts)


IGNORED_RULE = "RestartAllContainers is not done here: the container's restartPolicy decides"
IGNORED_USER = f"runAsUser 77 is ignored: containers run as uid {os.geteuid()} here"


@pytest.mark.parametrize("kind", ["containers", "initContainers"])
@pytest.mark.parametrize(
    ("more", "reason", "text"),
    [
        (
            own("Never", rule("In", 1, action="RestartAllContainers")),
            "RestartRuleIgnored",
            IGNORED_RULE,
        ),
        ({"securityContext": {"runAsUser": 77}}, "RunAsUserIgnored", IGNORED_USER),
    ],
    ids=["a rule about all containers", "a user"],
)
def test_what_is_ignored_of_a_container_is_told(
    tmp_path: Path, kind: str, more: Object, reason: str, text: str
) -> None:
    async def body(world: World) -> tuple[Object, list[tuple[str, str, str]]]:
        made = {"restartPolicy": "Never", "containers": [container("main", "exit 1")]}
        world.create(made | {kind: [container("c", "exit 1", **more)]})
        return await world.finished(), world.events()

    pod, events = run_kubelet(tmp_path, body)
    assert pod["status"]["phase"] == "Failed"
    assert ("Warning", reason, text) in events


def test_a_runtime_class_is_ignored_and_told(tmp_path: Path) -> None:
    async def body(world: World) -> tuple[Object, list[tuple[str, str, str]]]:
        main = container("main", "exit 0")
        world.create({"restartPolicy": "Never", "runtimeClassName": "nvidia", "containers": [main]})
        return await world.finished(), world.events()

    pod, events = run_kubelet(tmp_path, body)
    assert pod["status"]["phase"] == "Succeeded"
    text = "runtimeClassName nvidia is ignored: containers are plain processes here"
    assert ("Warning", "RuntimeClassIgnored", text) in events


class Ended:
    """In place of a supervisor: each run has ended when it begins, after so many seconds."""

    def __init__(self, *lasted_s: int) -> None:
        self._left = list(lasted_s)
        self._now_s = 1_000_000_000

    async def start(self, directory: Path, spec: Any) -> Exit:
        begun_s, self._now_s = self._now_s, self._now_s + self._left.pop(0)
        end = Exit(1, begun_s * 10**9, self._now_s * 10**9)
        directory.mkdir(parents=True)
        (directory / "exit").write_bytes(msgspec.json.encode(end))
        return end

    def find(self, directory: Path) -> Exit | None:
        return Exit.read(directory)


@pytest.mark.parametrize(
    ("lasted_s", "pause_s"),
    [
        ([1], 0),
        ([1, 1], 10),
        ([1, 1, 1], 20),
        ([1, 1, 1, 600], 40),
        ([1, 1, 1, 601], 0),
        ([1, 1, 1, 601, 1], 10),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_taken_up", [False, True])
def test_a_long_run_makes_earlier_failures_forgotten(
    tmp_path: Path, lasted_s: list[int], pause_s: int, is_taken_up: bool
) -> None:
    supervisor: Any = Ended(*lasted_s)

    def runs_of() -> Runs:
        return Runs(supervisor, tmp_path, "main", lambda: None)

    async def body() -> float:
        runs = runs_of()
        spec: Any = None
        for _ in lasted_s:
            await runs.start(spec)
        if is_taken_up:
            runs = runs_of()
            runs.restore()
        assert runs.ended is not None
        return (runs.restart_at_ns() - runs.ended.finished_ns) / 1e9

    assert asyncio.run(body()) == pause_s
