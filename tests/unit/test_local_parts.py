"""Parts of the daemon beside the kubelet: the machine's Node, claims, simulated nodes, users."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobman.local import pod_deadline, rehearsal, simulated
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.api.users import AUTHENTICATED, MASTERS
from jobman.local.claims import ClaimKeeper
from jobman.local.cluster import Part
from jobman.local.controllers import basics
from jobman.local.machine_node import MachineNode
from jobman.local.node import Machine
from jobman.local.simulated import Simulation, Simulator
from jobman.local.store import Store
from jobman.local.users import SECRET_TYPE, Tokens, owner_name

MACHINE = Machine("here", 4, 8 << 30, 100 << 30, 110, ())


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    store = Store(tmp_path / "state.db")
    found = Registry(store)
    basics.ensure(found)
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    found.create("serviceaccounts", "default", account)
    yield found
    store.close()


def beside(part: Part, body: Callable[[], Awaitable[Any]]) -> Any:
    """Run `body` while the part runs."""

    async def run() -> Any:
        task = asyncio.create_task(part.run())
        try:
            return await body()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return asyncio.run(asyncio.wait_for(run(), 30))


async def until(holds: Callable[[], Any]) -> Any:
    """Let the loop run until it holds; the time limit of `beside` bounds it."""
    while not (found := holds()):
        await asyncio.sleep(0.002)
    return found


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "metadata": {"name": name}, **more}


# -- the machine's node


def test_the_node_keeps_its_name_its_cordon_and_its_labels(registry: Registry) -> None:
    first = MachineNode(registry, MACHINE, "1.0")
    first.register()

    def change(node: dict[str, Any]) -> None:
        node["spec"]["unschedulable"] = True
        node["metadata"]["labels"]["mine"] = "yes"
        node["status"]["conditions"] = [{}, {"type": "Ready", "status": "True"}]

    registry.modify("nodes", "", "here", change)
    renamed = Machine("elsewhere", 8, 8 << 30, 100 << 30, 110, ())
    second = MachineNode(registry, renamed, "1.1")
    second.register()
    (node,) = registry.list("nodes")
    assert (second.name, node["metadata"]["name"]) == ("here", "here")
    assert node["spec"]["unschedulable"] is True
    assert node["metadata"]["labels"]["mine"] == "yes"
    assert node["status"]["capacity"]["cpu"] == "8"
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.1"
    (lease,) = registry.list("leases.coordination.k8s.io")
    assert lease["spec"]["holderIdentity"] == "here"
    assert lease["metadata"]["ownerReferences"][0]["uid"] == node["metadata"]["uid"]


def test_the_node_keeps_the_resources_that_somebody_gave_it(registry: Registry) -> None:
    machine = MachineNode(registry, MACHINE, "1.0")
    machine.register()

    def change(node: dict[str, Any]) -> None:
        for part in ("capacity", "allocatable"):
            node["status"][part] |= {"acme.io/licence": "4", "nvidia.com/gpu": "9"}

    registry.modify("nodes", "", "here", change)
    machine.register()
    status = registry.get("nodes", "", "here")["status"]
    for part in ("capacity", "allocatable"):
        assert status[part]["acme.io/licence"] == "4"
        assert "nvidia.com/gpu" not in status[part]


def test_gpus_are_told_when_they_are_found(
    registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 0, Tesla T4, 15360\necho 1, Tesla T4, 15360\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    machine = MachineNode(registry, MACHINE, "1.0")
    machine.register()
    assert asyncio.run(machine.find_gpus()) == (0, 1)
    node = registry.get("nodes", "", "here")
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "2"
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "Tesla-T4"


# -- claims


def test_a_claim_is_bound_and_its_files_go_with_it(registry: Registry, tmp_path: Path) -> None:
    directory = tmp_path / "volumes"
    stale = directory / "of-no-claim"
    stale.mkdir(parents=True)
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": resources}
    kind = "persistentvolumeclaims"

    async def body() -> None:
        await until(lambda: not stale.exists())
        made = registry.create(
            kind, "default", named("data", kind="PersistentVolumeClaim", spec=spec)
        )

        def bound() -> bool:
            status = registry.get(kind, "default", "data").get("status", {})
            return status.get("phase") == "Bound" and status["capacity"] == {"storage": "1Gi"}

        await until(bound)
        place = directory / made["metadata"]["uid"]
        (place / "deep").mkdir(parents=True)
        registry.delete(kind, "default", "data", DeleteOptions())
        await until(lambda: not place.exists())

    beside(ClaimKeeper(registry, directory), body)


# -- simulated nodes


def simulate(registry: Registry, **data: str) -> None:
    with contextlib.suppress(ApiError):
        registry.delete("configmaps", simulated.NAMESPACE, simulated.NAME)
    config = named(simulated.NAME, kind="ConfigMap", data=data)
    registry.create("configmaps", simulated.NAMESPACE, config)


def nodes(registry: Registry) -> list[str]:
    return [n["metadata"]["name"] for n in registry.list("nodes", selector=simulated.LABEL)]


def pod(
    registry: Registry,
    name: str,
    labels: dict[str, str] | None = None,
    spec: dict[str, Any] | None = None,
    **annotations: str,
) -> None:
    notes = {f"local.jobman/{key.replace('_', '-')}": value for key, value in annotations.items()}
    container = {"name": "main", "image": "busybox", "command": ["true"]}
    metadata = {"name": name, "annotations": notes, "labels": labels or {}}
    made = {"restartPolicy": "Never", "containers": [container], "nodeName": "simulated-00000"}
    registry.create(
        "pods",
        "default",
        named(name, kind="Pod", spec=made | (spec or {})) | {"metadata": metadata},
    )


def test_simulated_nodes_come_and_go(registry: Registry) -> None:
    MachineNode(registry, MACHINE, "1.0").register()

    async def body() -> None:
        simulate(registry, nodes="3", cpu="8", gpus="2")
        await until(lambda: len(nodes(registry)) == 3)
        found = registry.get("nodes", "", "simulated-00002")
        assert found["status"]["allocatable"]["nvidia.com/gpu"] == "2"
        await until(lambda: registry.get("nodes", "", "here")["spec"].get("unschedulable"))
        simulate(registry, nodes="1")
        await until(lambda: nodes(registry) == ["simulated-00000"])
        simulate(registry, nodes="0")
        await until(lambda: not nodes(registry))
        await until(lambda: not registry.get("nodes", "", "here")["spec"].get("unschedulable"))

    beside(Simulator(registry, "here", "1.0"), body)


def test_simulated_pods_come_and_go(registry: Registry) -> None:
    def phase(name: str) -> str:
        return str(registry.get("pods", "default", name)["status"]["phase"])

    async def body() -> None:
        pod(registry, "at-once")
        await until(lambda: phase("at-once") == "Succeeded")
        pod(registry, "labelled", {"phase": "Failed"})
        pod(registry, "fails", fail_chance="1")
        pod(registry, "lasts", run_for="0.2s", fail_chance="nonsense")
        pod(registry, "deleted", run_for="1h")
        await until(lambda: phase("labelled") == "Succeeded")
        await until(lambda: phase("fails") == "Failed")
        await until(lambda: phase("lasts") == "Running")
        await until(lambda: phase("lasts") == "Succeeded")
        pod(registry, "for-ever", run_for="9223372036s")
        await until(lambda: phase("for-ever") == "Running")
        registry.delete("pods", "default", "deleted")
        await until(lambda: registry.find("pods", "default", "deleted") is None)

    beside(Simulator(registry, "here", "1.0"), body)


def test_a_simulated_pod_whose_annotations_are_malformed_is_told_so_once(
    registry: Registry,
) -> None:
    def phase(name: str) -> str:
        return str(registry.get("pods", "default", name)["status"]["phase"])

    async def begun() -> None:
        pod(registry, "at-once", run_for="ten minutes")
        pod(registry, "goes-on", run_for="0.5s", fail_chance="10%")
        pod(registry, "all", run_for="1h", fail_chance="1")
        await until(lambda: phase("at-once") == "Succeeded")
        await until(lambda: phase("goes-on") == phase("all") == "Running")

    async def over() -> None:
        await until(lambda: phase("goes-on") == "Succeeded")

    beside(Simulator(registry, "here", "1.0"), begun)
    beside(Simulator(registry, "here", "1.0"), over)
    told = sorted((e["involvedObject"]["name"], e["message"]) for e in registry.list("events"))
    assert told == [
        (
            "at-once",
            (
                'annotation local.jobman/run-for: "ten minutes" is not a duration like 90, 45s,'
                " 2h30m or 7d; the pod ends at once"
            ),
        ),
        (
            "goes-on",
            (
                'annotation local.jobman/fail-chance: "10%" is not a number from 0 to 1,'
                " like 0.1; the pod does not fail by chance"
            ),
        ),
    ]
    shapes = {(e["type"], e["reason"], e["count"]) for e in registry.list("events")}
    assert shapes == {("Warning", "InvalidAnnotation", 1)}


@pytest.mark.parametrize(
    ("run_for", "chance", "many"),
    [
        ("10m", "0.1", 0),
        ("0", "1", 0),
        ("9223372036s", "0", 0),
        ("-5s", "1.1", 2),
        ("", "nan", 2),
        ("soon", "-0.1", 2),
        ("x" * 100_000, "9" * 100_000, 2),
    ],
)
def test_what_may_be_said_of_a_simulated_run(run_for: str, chance: str, many: int) -> None:
    said = {rehearsal.RUN_FOR: run_for, rehearsal.FAIL_CHANCE: chance}
    problems = list(rehearsal.problems(said))
    assert len(problems) == many
    assert all(len(problem) < 200 for problem in problems)
    if many:
        assert (rehearsal.run_for_s(said), rehearsal.fail_chance(said)) == (0, 0)


def test_a_simulated_pod_deleted_by_force_is_forgotten(registry: Registry) -> None:
    simulator = Simulator(registry, "here", "1.0")

    def is_running() -> bool:
        return bool(registry.get("pods", "default", "p")["status"]["phase"] == "Running")

    async def body() -> None:
        pod(registry, "p", run_for="1h")
        await until(is_running)
        assert len(simulator._running) == 1
        registry.delete("pods", "default", "p", DeleteOptions(grace_s=0))
        assert len(simulator._running) == 0

    beside(simulator, body)


def test_a_new_simulator_goes_on(registry: Registry) -> None:
    async def nothing() -> None:
        pod(registry, "p", run_for="0.3s")
        await until(lambda: registry.get("pods", "default", "p")["status"]["phase"] == "Running")

    async def body() -> None:
        await until(lambda: registry.get("pods", "default", "p")["status"]["phase"] == "Succeeded")

    beside(Simulator(registry, "here", "1.0"), nothing)
    beside(Simulator(registry, "here", "1.0"), body)


def test_a_pod_of_the_same_name_elsewhere_is_let_be(registry: Registry) -> None:
    async def body() -> None:
        pod(registry, "p", run_for="0.5s")
        await until(lambda: status_of(registry, "p").get("phase") == "Running")
        registry.delete("pods", "default", "p")
        await until(lambda: registry.find("pods", "default", "p") is None)
        pod(registry, "p", spec={"nodeName": "here"}, run_for="1h")
        pod(registry, "after", run_for="0.6s")
        await until(lambda: status_of(registry, "after").get("phase") == "Succeeded")

    beside(Simulator(registry, "here", "1.0"), body)
    assert "containerStatuses" not in status_of(registry, "p")


def status_of(registry: Registry, name: str) -> dict[str, Any]:
    return dict(registry.get("pods", "default", name)["status"])


def conditions(registry: Registry, name: str) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status_of(registry, name).get("conditions", [])}


@pytest.mark.parametrize("is_set_later", [False, True])
def test_a_simulated_pod_ends_at_its_deadline(registry: Registry, is_set_later: bool) -> None:
    async def body() -> None:
        deadline = {"activeDeadlineSeconds": 1}
        pod(registry, "p", spec={} if is_set_later else deadline, run_for="1h")
        await until(lambda: status_of(registry, "p").get("phase") == "Running")
        if is_set_later:
            found = registry.get("pods", "default", "p")
            registry.update("pods", "default", "p", found | {"spec": found["spec"] | deadline})
        pod(registry, "sooner", spec={"activeDeadlineSeconds": 100}, run_for="0.1s")
        await until(lambda: status_of(registry, "p")["phase"] == "Failed")
        await until(lambda: status_of(registry, "sooner").get("phase") == "Succeeded")

    beside(Simulator(registry, "here", "1.0"), body)
    told = status_of(registry, "p")
    assert (told["reason"], told["message"]) == pod_deadline.EXCEEDED
    assert told["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    assert "reason" not in status_of(registry, "sooner")


def test_a_deadline_that_passes_without_a_simulator_is_kept(registry: Registry) -> None:
    async def begun() -> None:
        pod(registry, "p", spec={"activeDeadlineSeconds": 1}, run_for="2s")
        await until(lambda: status_of(registry, "p").get("phase") == "Running")

    async def ended() -> None:
        await until(lambda: status_of(registry, "p")["phase"] != "Running")

    def long_ago(found: dict[str, Any]) -> None:
        told = found["status"]
        told["startTime"] = "2026-01-01T00:00:00Z"
        told["containerStatuses"][0]["state"]["running"]["startedAt"] = "2026-01-01T00:00:00Z"

    beside(Simulator(registry, "here", "1.0"), begun)
    registry.modify("pods", "default", "p", long_ago)
    beside(Simulator(registry, "here", "1.0"), ended)
    assert status_of(registry, "p")["reason"] == "DeadlineExceeded"


def test_a_gate_of_a_simulated_pod_is_opened_by_a_patch(registry: Registry) -> None:
    gate = "example.org/open"

    async def body() -> None:
        pod(registry, "p", spec={"readinessGates": [{"conditionType": gate}]}, run_for="1h")
        await until(lambda: conditions(registry, "p").get("ContainersReady") == "True")
        assert conditions(registry, "p")["Ready"] == "False"
        for value in ("True", "False"):
            known = registry.get("pods", "default", "p")
            kept = [c for c in known["status"]["conditions"] if c["type"] != gate]
            new = {"conditions": [*kept, {"type": gate, "status": value}], "message": "mine"}
            registry.replace_status("pods", known, lambda told, new=new: told | new)
            await until(lambda value=value: conditions(registry, "p")["Ready"] == value)
        assert status_of(registry, "p")["message"] == "mine"

    beside(Simulator(registry, "here", "1.0"), body)


def test_a_simulated_pod_with_a_sidecar_is_ready(registry: Registry) -> None:
    async def body() -> None:
        container = {"image": "busybox"}
        init = [
            container | {"name": "first"},
            container | {"name": "beside", "restartPolicy": "Always"},
        ]
        pod(registry, "p", spec={"initContainers": init}, run_for="0.3s")
        await until(lambda: conditions(registry, "p").get("Ready") == "True")
        await until(lambda: status_of(registry, "p")["phase"] == "Succeeded")

    beside(Simulator(registry, "here", "1.0"), body)


def test_a_malformed_simulation_is_none() -> None:
    assert Simulation.of(None) == Simulation.of({"data": {"nodes": "many"}}) == Simulation()
    odd = {"nodes": "9" * 5000, "gpus": "9" * 9, "cpu": "much", "memory": "-1"}
    assert Simulation.of({"data": odd}) == Simulation()


# -- users


def test_tokens_follow_the_users(registry: Registry, tmp_path: Path) -> None:
    tokens = Tokens(registry, tmp_path / "users", "owner", "owner-token", b"CA", "https://x")
    tokens.follow()
    assert tokens["owner-token"].groups == (MASTERS, AUTHENTICATED)
    secret = named("user-a", kind="Secret", type=SECRET_TYPE)
    data = {"name": "YWxpY2U=", "groups": "dGVhbS1h"}
    registry.create("secrets", "kube-system", {**secret, "data": data})
    (token,) = set(tokens) - {"owner-token"}
    assert (tokens[token].name, tokens[token].groups) == ("alice", ("team-a", AUTHENTICATED))
    assert token in (tmp_path / "users" / "user-a.kubeconfig").read_text()
    registry.delete("secrets", "kube-system", "user-a")
    assert set(tokens) == {"owner-token"}


def test_a_user_whose_name_is_too_long_for_a_file(registry: Registry, tmp_path: Path) -> None:
    for name in ("a" * 250, "user-b"):
        secret = named(name, kind="Secret", type=SECRET_TYPE)
        registry.create("secrets", "kube-system", {**secret, "data": {"name": "Ym9i"}})
    Tokens(registry, tmp_path, "owner", "owner-token", b"CA", "https://x").follow()
    assert [path.name for path in tmp_path.glob("*.kubeconfig")] == ["user-b.kubeconfig"]


@pytest.mark.parametrize(
    ("variables", "name"), [({"USER": "ann"}, "ann"), ({}, f"uid-{os.getuid()}")]
)
def test_an_owner_whom_the_system_has_no_name_for(
    variables: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for each in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(each, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert owner_name() == name
