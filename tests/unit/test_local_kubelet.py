"""The kubelet over real processes: what holds a pod up, what ends it, what a kill leaves."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest
from plugins.kubelet import NAMESPACE, NODE, World, kubelet, run_kubelet

from jobman.local import podstatus, runs, volumes
from jobman.local.logfile import tail_text
from jobman.local.podstatus import ContainerView, PodView
from jobman.local.store import Store
from jobman.local.stored import Key
from jobman.local.supervisor import Running


def spec(script: str, *, policy: str = "Never", **main: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", script], **main}
    return {"restartPolicy": policy, "containers": [container]}


def written(world: World, pod: dict[str, Any], container: str = "main", run: int = 0) -> str:
    return tail_text(world.log(pod, container, run) / "log", 100).decode()


def reason(pod: dict[str, Any]) -> str | None:
    (told,) = pod["status"].get("containerStatuses") or [{"state": {}}]
    waiting = told["state"].get("waiting") or {}
    return waiting.get("reason")


def test_the_world_of_a_container(tmp_path: Path) -> None:
    async def body(world: World) -> str:
        world.create(spec("env | sort; pwd", env=[{"name": "MINE", "value": "x$(HOSTNAME)"}]))
        return written(world, await world.finished())

    lines = run_kubelet(tmp_path, body).splitlines()
    values = dict(line.split("=", 1) for line in lines[:-1])
    shell_made = {"PWD", "SHLVL", "_", "OLDPWD"}
    names = {"PATH", "HOME", "HOSTNAME", "MINE", "CUDA_DEVICE_ORDER", "CUDA_VISIBLE_DEVICES"}
    assert values.keys() - shell_made == names
    assert (values["HOSTNAME"], values["CUDA_VISIBLE_DEVICES"]) == ("p", "")
    assert lines[-1] == values["HOME"]


CONFIG_PROBLEMS = {
    "configmap": (
        {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]},
        "CreateContainerConfigError",
        'configmap "c" not found',
    ),
    "no-command": (
        {"command": []},
        "CreateContainerError",
        "no command specified: no image is pulled here, so command or args must be given",
    ),
    "image": (
        {"image": "Not A Valid:::Image"},
        "InvalidImageName",
        (
            'Failed to apply default image tag "Not A Valid:::Image": couldn\'t parse image name '
            '"Not A Valid:::Image": invalid reference format: repository name '
            "(library/Not A Valid) must be lowercase"
        ),
    ),
}


@pytest.mark.parametrize("name", CONFIG_PROBLEMS)
def test_what_cannot_be_created_waits_and_says_why(name: str, tmp_path: Path) -> None:
    main, wanted, message = CONFIG_PROBLEMS[name]

    async def body(world: World) -> dict[str, Any]:
        world.create(spec("true", **main))
        return await world.until(lambda pod: reason(pod) == wanted)

    pod = run_kubelet(tmp_path, body)
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == message


def test_a_pod_goes_on_when_what_it_lacked_appears(tmp_path: Path) -> None:
    source = {"name": "X", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}

    async def body(world: World) -> tuple[str, list[tuple[str, str, str]]]:
        world.create(spec("echo $X", env=[source]))
        await world.until(lambda pod: reason(pod) == "CreateContainerConfigError")
        config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "there"}}
        world.registry.create("configmaps", NAMESPACE, {"apiVersion": "v1", **config})
        return written(world, await world.finished()), world.events()

    text, events = run_kubelet(tmp_path, body)
    assert text == "there\n"
    assert ("Warning", "Failed", 'Error: configmap "c" not found') in events


def test_an_init_container_leaves_variables_for_the_next(tmp_path: Path) -> None:
    write = "echo \"K='from the file'\" > /out/env"
    source = {"fileKeyRef": {"volumeName": "v", "path": "env", "key": "K"}}
    init = {"name": "i", "image": "busybox", "command": ["sh", "-c", write]}
    init["volumeMounts"] = [{"name": "v", "mountPath": "/out"}]

    async def body(world: World) -> str:
        more = {"initContainers": [init], "volumes": [{"name": "v", "emptyDir": {}}]}
        world.create(spec("echo $X", env=[{"name": "X", "valueFrom": source}]) | more)
        return written(world, await world.finished())

    assert run_kubelet(tmp_path, body) == "from the file\n"


def test_what_nobody_expected_is_told_on_the_pod_once(tmp_path: Path) -> None:
    source = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    broken = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": {"k": "x"}}

    async def body(world: World) -> list[dict[str, Any]]:
        world.registry.create("secrets", NAMESPACE, broken, shaped=True)
        uid = world.create(spec("true", env=[source]))["metadata"]["uid"]
        while "FailedSync" not in str(world.events()):
            await asyncio.sleep(0.01)
        for _ in range(3):
            worker = world.kubelet.worker(uid)
            assert worker is not None
            worker.wake()
            await asyncio.sleep(0.01)
        return world.registry.list("events")

    told = [e for e in run_kubelet(tmp_path, body) if e["reason"] == "FailedSync"]
    assert [(e["type"], e["count"]) for e in told] == [("Warning", 1)]
    assert told[0]["message"].startswith("error syncing pod: Error: ")


def test_a_missing_volume_keeps_a_pod_waiting(tmp_path: Path) -> None:
    async def body(world: World) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
        volume = {"name": "v", "secret": {"secretName": "s"}}
        world.create(spec("true") | {"volumes": [volume]})
        pod = await world.until(lambda p: reason(p) == "ContainerCreating")
        while not world.events():
            await asyncio.sleep(0.01)
        events = world.events()
        world.delete()
        await world.until_gone()
        return pod, events

    pod, events = run_kubelet(tmp_path, body)
    assert pod["status"]["phase"] == "Pending"
    text = 'MountVolume.SetUp failed for volume "v" : secret "s" not found'
    assert events[0] == ("Warning", "FailedMount", text)


def test_failures_start_again_after_a_growing_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_BACKOFF_FIRST_S", 0.2)
    count = tmp_path / "count"
    script = f"echo >> {count}; test $(wc -l < {count}) -ge 4"

    async def body(world: World) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
        world.create(spec(script, policy="OnFailure"))
        return await world.finished(), world.events()

    pod, events = run_kubelet(tmp_path, body)
    (told,) = pod["status"]["containerStatuses"]
    assert (pod["status"]["phase"], told["restartCount"]) == ("Succeeded", 3)
    assert told["lastState"]["terminated"]["exitCode"] == 1
    assert any(event[1] == "BackOff" for event in events)


@pytest.mark.parametrize(
    ("restarts", "delay_s"), [(0, 0), (1, 10), (2, 20), (3, 40), (5, 160), (6, 300), (99, 300)]
)
def test_the_pause_before_a_restart(restarts: int, delay_s: float) -> None:
    assert runs.restart_delay_s(restarts) == delay_s


def test_the_deadline_of_a_pod(tmp_path: Path) -> None:
    async def body(world: World) -> tuple[dict[str, Any], str]:
        limits = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
        world.create(spec("echo up; sleep 1000") | limits)
        pod = await world.finished()
        return pod, written(world, pod)

    pod, text = run_kubelet(tmp_path, body)
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert pod["status"]["message"] == (
        "Pod was active on the node longer than the specified deadline"
    )
    assert text == "up\n"


def test_a_deadline_lowered_on_a_running_pod_ends_it(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        world.create(spec("sleep 1000"))
        await world.until(lambda pod: pod["status"]["phase"] == "Running")
        lowered = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}
        world.registry.modify("pods", NAMESPACE, "p", lambda pod: pod["spec"].update(lowered))
        return await world.finished()

    assert run_kubelet(tmp_path, body)["status"]["reason"] == "DeadlineExceeded"


A, B = "a.b/ready", "a.b/too"
NO_A = f'corresponding condition of pod readiness gate "{A}" does not exist.'
A_IS_FALSE = f'the status of pod readiness gate "{A}" is not "True", but False'
NO_B = f'corresponding condition of pod readiness gate "{B}" does not exist.'


@pytest.mark.parametrize(
    ("gates", "told", "message"),
    [
        ([], {}, None),
        ([A], {}, NO_A),
        ([A], {A: "False"}, A_IS_FALSE),
        ([A, B], {A: "False"}, f"{A_IS_FALSE}, {NO_B}"),
        ([A], {A: "True", B: "False"}, None),
        ([A], {A: None}, f'the status of pod readiness gate "{A}" is not "True", but '),
    ],
)
def test_readiness_gates(
    gates: list[str], told: dict[str, str | None], message: str | None
) -> None:
    """Containers that are ready do not make a pod ready whose gates are closed."""
    conditions = [
        {"type": name, "status": value} if value else {"type": name} for name, value in told.items()
    ]
    pod = {
        "metadata": {},
        "spec": {"readinessGates": [{"conditionType": name} for name in gates]},
        "status": {"conditions": conditions},
    }
    view = PodView((ContainerView("main", {}, {"running": {}}),))
    found = {c["type"]: c for c in podstatus.status(pod, view, "now")["conditions"]}
    assert found["ContainersReady"]["status"] == "True"
    assert found["Ready"]["status"] == ("True" if message is None else "False")
    assert found["Ready"].get("message") == message
    assert found["Ready"].get("reason") == (message and "ReadinessGatesNotReady")


def test_a_condition_that_somebody_wrote_without_a_time_gets_one() -> None:
    written = {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized"}]}
    pod = {"metadata": {}, "spec": {}, "status": written}
    view = PodView((ContainerView("main", {}, {"running": {}}),))
    found = {c["type"]: c for c in podstatus.status(pod, view, "now")["conditions"]}
    assert found["Ready"]["lastTransitionTime"] == "now"


def test_a_condition_tells_since_when_it_is_so() -> None:
    pod: dict[str, Any] = {"metadata": {}, "spec": {}, "status": {}}
    since = []
    for at, state in (("1", "waiting"), ("2", "waiting"), ("3", "running"), ("4", "running")):
        view = PodView((ContainerView("main", {}, {state: {}}),))
        pod["status"] = podstatus.status(pod, view, at)
        (ready,) = (c for c in pod["status"]["conditions"] if c["type"] == "Ready")
        since.append(ready["lastTransitionTime"])
    assert since == ["1", "1", "3", "3"]


def test_a_readiness_gate_is_opened_by_a_patch_of_the_status(tmp_path: Path) -> None:
    def is_ready(pod: dict[str, Any]) -> dict[str, bool]:
        conditions = pod["status"].get("conditions", [])
        return {c["type"]: c["status"] == "True" for c in conditions}

    async def body(world: World) -> dict[str, bool]:
        world.create(spec("sleep 1000") | {"readinessGates": [{"conditionType": A}]})
        pod = await world.until(lambda pod: is_ready(pod).get("ContainersReady", False))
        before = is_ready(pod)
        opened = [*pod["status"]["conditions"], {"type": A, "status": "True"}]
        patch = {"conditions": opened}
        world.registry.replace_status("pods", pod, lambda status: {**status, **patch})
        await world.until(lambda pod: is_ready(pod)["Ready"])
        return before

    assert run_kubelet(tmp_path, body)["Ready"] is False


def test_the_grace_period_ends_in_a_kill(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        world.create(spec("trap '' TERM; echo up; sleep 1000 & wait; wait; sleep 1000"))
        pod = await world.until(lambda p: p["status"]["phase"] == "Running")
        while "up" not in written(world, pod):
            await asyncio.sleep(0.01)
        world.delete(grace_s=1)
        await world.until_gone()
        return world.seen[-1][1]

    (told,) = run_kubelet(tmp_path, body)["status"]["containerStatuses"]
    assert told["state"]["terminated"]["exitCode"] == 137


LAST_WORDS = "trap 'sleep 1.2; echo bye; exit 0' TERM; echo up; while :; do sleep 0.02; done"


def test_a_short_grace_period_is_enough_for_last_words(tmp_path: Path) -> None:
    """A kubelet gives two seconds at least; and none of them is lost to cut timestamps."""

    async def body(world: World) -> dict[str, Any]:
        pod = world.create(spec(LAST_WORDS))
        while "up" not in written(world, pod):
            await asyncio.sleep(0.01)
        world.delete(grace_s=1)
        await world.until_gone()
        return world.seen[-1][1]

    (told,) = run_kubelet(tmp_path, body)["status"]["containerStatuses"]
    assert told["state"]["terminated"]["exitCode"] == 0


def test_sidecars_are_asked_to_end_after_the_others(tmp_path: Path) -> None:
    asked, go = tmp_path / "asked", tmp_path / "go"
    last = f"touch {asked}; while [ ! -e {go} ]; do sleep 0.02; done; exit 0"
    words = f"trap '{last}' TERM; echo up; while :; do sleep 0.02; done"
    beside = spec("sleep 1000")["containers"][0] | {"name": "side", "restartPolicy": "Always"}

    def stopped(world: World) -> list[str]:
        return [text.split()[-1] for _, reason, text in world.events() if reason == "Killing"]

    async def body(world: World) -> tuple[list[str], list[str]]:
        pod = world.create(spec(words) | {"initContainers": [beside]})
        await world.until(lambda p: p["status"]["phase"] == "Running")
        while "up" not in written(world, pod):
            await asyncio.sleep(0.01)
        world.delete()
        while not asked.exists():
            await asyncio.sleep(0.01)
        first = stopped(world)
        go.touch()
        await world.until_gone()
        return first, stopped(world)

    assert run_kubelet(tmp_path, body) == (["main"], ["main", "side"])


def test_sidecars_end_one_after_the_other_the_last_one_first(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()

    def sidecar(name: str, takes_s: float) -> dict[str, Any]:
        bye = f"sleep {takes_s}; echo {name} >> {told}/order; exit 0"
        script = f"trap '{bye}' TERM; touch {told}/{name}; while :; do sleep 0.02; done"
        return {**spec(script)["containers"][0], "name": name, "restartPolicy": "Always"}

    async def body(world: World) -> dict[str, Any]:
        main = spec(f"until [ -e {told}/a ] && [ -e {told}/b ]; do sleep 0.02; done")
        world.create(main | {"initContainers": [sidecar("a", 0), sidecar("b", 0.3)]})
        return await world.finished()

    assert run_kubelet(tmp_path, body)["status"]["phase"] == "Succeeded"
    assert (told / "order").read_text() == "b\na\n"


def test_without_a_grace_period_a_deadline_asks_before_it_kills(tmp_path: Path) -> None:
    async def body(world: World) -> tuple[dict[str, Any], str]:
        limits = {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 0}
        world.create(spec(LAST_WORDS) | limits)
        pod = await world.finished()
        return pod, written(world, pod)

    pod, text = run_kubelet(tmp_path, body)
    assert (pod["status"]["reason"], text[-5:]) == ("DeadlineExceeded", "\nbye\n")


def test_a_negative_grace_period_is_one_of_a_second(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        world.create(spec("sleep 1000") | {"terminationGracePeriodSeconds": -1})
        await world.until(lambda p: p["status"]["phase"] == "Running")
        world.delete()
        await world.until_gone()
        return world.seen[-1][1]

    last = run_kubelet(tmp_path, body)
    (told,) = last["status"]["containerStatuses"]
    assert told["state"]["terminated"]["exitCode"] == 143


def test_a_pod_deleted_by_force_leaves_no_process_and_no_files(tmp_path: Path) -> None:
    async def body(world: World) -> bool:
        pod = world.create(spec("sleep 1000"))
        await world.until(lambda p: p["status"]["phase"] == "Running")
        world.delete(grace_s=0)
        directory = world.state.pods / pod["metadata"]["uid"]
        while directory.exists():
            await asyncio.sleep(0.01)
        return bool(world.supervisor.running)

    assert run_kubelet(tmp_path, body) is False


def test_a_finished_pod_that_is_deleted_leaves_no_files(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        pod = world.create(spec("mkdir -p x/y 2>/dev/null; true"))
        await world.finished()
        world.delete()
        while (world.state.pods / pod["metadata"]["uid"]).exists():
            await asyncio.sleep(0.01)

    run_kubelet(tmp_path, body)


def test_a_pod_too_big_for_the_node_is_refused(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        world.create(spec("true", resources={"requests": {"cpu": "50"}}))
        return await world.finished()

    status = run_kubelet(tmp_path, body)["status"]
    assert status["reason"] == "OutOfcpu"
    assert status["message"] == (
        "Pod was rejected: Node didn't have enough resource: cpu, "
        "requested: 50000, used: 0, capacity: 4000"
    )
    assert "containerStatuses" not in status


AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["other"]}]}
            ]
        }
    }
}
OTHER_NODE = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
UNTOLERATED = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
WRONG_OS = "Failed to admit pod as the OS field doesn't match node OS"


@pytest.mark.parametrize(
    ("more", "reason", "message"),
    [
        ({"nodeSelector": {"disk": "tape"}}, "NodeAffinity", OTHER_NODE),
        ({"affinity": AFFINITY}, "NodeAffinity", OTHER_NODE),
        ({"os": {"name": "windows"}}, "PodOSNotSupported", WRONG_OS),
        ({}, "TaintToleration", UNTOLERATED),
        ({"tolerations": [{"key": "gone", "operator": "Exists"}]}, None, None),
    ],
)
def test_a_pod_that_was_put_on_the_wrong_node_by_hand_is_refused(
    tmp_path: Path, more: dict[str, Any], reason: str | None, message: str | None
) -> None:
    async def body(world: World) -> dict[str, Any]:
        taints = [{"key": "gone", "effect": "NoExecute"}, {"key": "new", "effect": "NoSchedule"}]
        named = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": NODE}}
        world.registry.create("nodes", "", named | {"spec": {"taints": taints}})
        world.create(spec("true") | more)
        return await world.finished()

    status = run_kubelet(tmp_path, body)["status"]
    assert status.get("reason") == reason
    assert status.get("message") == (message and f"Pod was rejected: {message}")


def test_gpus_by_index(tmp_path: Path) -> None:
    wanted = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}

    async def body(world: World) -> tuple[list[str], dict[str, Any]]:
        for name in ("a", "b", "c"):
            world.create(spec("echo $CUDA_VISIBLE_DEVICES; sleep 0.3", **wanted), name)
        refused = await world.finished("c")
        done = [await world.finished(name) for name in ("a", "b")]
        assert [p["metadata"]["annotations"]["local.jobman/gpus"] for p in done] == ["3", "5"]
        world.create(spec("echo $CUDA_VISIBLE_DEVICES", **wanted), "d")
        done.append(await world.finished("d"))
        return [written(world, pod) for pod in done], refused

    texts, refused = run_kubelet(tmp_path, body, gpus=(3, 5))
    assert texts == ["3\n", "5\n", "3\n"]
    assert refused["status"]["reason"] == "UnexpectedAdmissionError"


def test_a_pod_waits_until_the_gpus_are_found(tmp_path: Path) -> None:
    wanted = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}

    async def all_of_it() -> str:
        async with kubelet(tmp_path, gpus=None) as world:
            world.create(spec("echo $CUDA_VISIBLE_DEVICES", **wanted))
            world.create(spec("true"), "later")
            await world.finished("later")
            world.devices.indices = (3, 5)
            world.devices.found.set()
            return written(world, await world.finished())

    assert asyncio.run(asyncio.wait_for(all_of_it(), 60)) == "3\n"


def test_gpus_are_free_once_what_was_left_of_a_pod_that_is_gone_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    kill = Running.kill

    def kill_late(container: Running) -> None:
        asyncio.get_running_loop().call_later(0.5, kill, container)

    async def all_of_it() -> str:
        async with kubelet(tmp_path, gpus=(3,)) as world:
            world.create(spec("sleep 1000", **wanted), "gone")
            await world.until(lambda pod: pod["status"]["phase"] == "Running", "gone")
            (left,) = world.supervisor.running.values()
            pid = left.main_pid
            database = world.state.database
        store = Store(database)
        store.delete(Key("pods", NAMESPACE, "gone"))
        store.close()
        async with kubelet(tmp_path, gpus=(3,)) as world:
            world.create(spec(f"kill -0 {pid} || echo $CUDA_VISIBLE_DEVICES", **wanted))
            return written(world, await world.finished())

    monkeypatch.setattr(Running, "kill", kill_late)
    assert asyncio.run(asyncio.wait_for(all_of_it(), 60)).endswith("3\n")


def test_a_pod_without_gpus_keeps_none_from_others_whatever_its_annotation_says(
    tmp_path: Path,
) -> None:
    wanted = {"resources": {"limits": {"nvidia.com/gpu": "2"}}}

    async def all_of_it() -> str:
        async with kubelet(tmp_path, gpus=(3, 5)) as world:
            world.create(spec("sleep 1000"), "copy", annotations={"local.jobman/gpus": "3,5"})
            await world.until(lambda pod: pod["status"]["phase"] == "Running", "copy")
        async with kubelet(tmp_path, gpus=(3, 5)) as world:
            world.create(spec("echo $CUDA_VISIBLE_DEVICES", **wanted))
            pod = await world.finished()
            world.delete("copy", grace_s=0)
            while world.supervisor.running:
                await asyncio.sleep(0.01)
            return written(world, pod) or str(pod["status"])

    assert asyncio.run(asyncio.wait_for(all_of_it(), 60)) == "3,5\n"


def test_a_new_kubelet_goes_on_where_the_old_one_stopped(tmp_path: Path) -> None:
    """Containers that run on, that ended meanwhile, that wait for their next turn."""
    go = tmp_path / "go"
    started = tmp_path / "started"
    waiting = f"echo >> {started}; while [ ! -e {go} ]; do sleep 0.02; done; "
    after = f"echo second >> {tmp_path}/after; exit 0"

    async def before(world: World) -> None:
        world.create(spec(waiting + "exit 5"), "runs")
        quick = spec(waiting + "exit 6")
        world.create(quick, "ends")
        init = [{"name": "i", "image": "busybox", "command": ["sh", "-c", waiting]}]
        world.create(spec(after) | {"initContainers": init}, "init")
        for name in ("runs", "ends"):
            await world.until(lambda pod: pod["status"]["phase"] == "Running", name)
        await world.until(lambda pod: "running" in str(pod["status"]), "init")

    async def then(world: World) -> list[Any]:
        go.touch()
        codes = []
        for name in ("runs", "ends", "init"):
            pod = await world.finished(name)
            (told,) = pod["status"]["containerStatuses"]
            codes.append((told["state"]["terminated"]["exitCode"], told["restartCount"]))
        return codes

    async def all_of_it() -> list[Any]:
        async with kubelet(tmp_path) as world:
            await before(world)
        async with kubelet(tmp_path) as world:
            return await then(world)

    assert asyncio.run(asyncio.wait_for(all_of_it(), 60)) == [(5, 0), (6, 0), (0, 0)]
    assert started.read_text() == "\n\n\n"
    assert (tmp_path / "after").read_text() == "second\n"


def test_a_deletion_goes_on_after_a_restart(tmp_path: Path) -> None:
    async def body() -> None:
        async with kubelet(tmp_path) as world:
            world.create(spec("trap '' TERM; while :; do sleep 0.05; done"))
            await world.until(lambda pod: pod["status"]["phase"] == "Running")
            world.delete(grace_s=1)
        async with kubelet(tmp_path) as world:
            await world.until_gone()

    asyncio.run(asyncio.wait_for(body(), 60))


def test_a_container_whose_files_are_lost_is_not_run_again(tmp_path: Path) -> None:
    count = tmp_path / "count"

    async def body() -> dict[str, Any]:
        async with kubelet(tmp_path) as world:
            pod = world.create(spec(f"echo >> {count}; sleep 60"))
            await world.until(lambda p: p["status"]["phase"] == "Running")
            while not count.exists():
                await asyncio.sleep(0.01)
            directory = world.log(pod)
            (container,) = world.supervisor.running.values()
            container.kill()
            await container.exit
        for path in directory.iterdir():
            path.unlink()
        async with kubelet(tmp_path) as world:
            return await world.finished()

    pod = asyncio.run(asyncio.wait_for(body(), 60))
    assert pod["status"]["phase"] == "Failed"
    assert count.read_text() == "\n"


def test_pods_without_an_owner_are_cleared_away(tmp_path: Path) -> None:
    async def body() -> None:
        async with kubelet(tmp_path) as world:
            orphan = world.state.pods / "no-such-uid"
            (orphan / "volumes" / "v").mkdir(parents=True)
        async with kubelet(tmp_path):
            while orphan.exists():
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(body(), 60))


def test_mounts_and_the_termination_message(tmp_path: Path) -> None:
    async def body(world: World) -> tuple[dict[str, Any], str]:
        config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "configured"}}
        world.registry.create("configmaps", NAMESPACE, {"apiVersion": "v1", **config})
        script = "cat /etc/app/k; echo kept > /scratch/f; echo last words > /dev/termination-log"
        mounts = [
            {"name": "config", "mountPath": "/etc/app", "readOnly": True},
            {"name": "scratch", "mountPath": "/scratch"},
        ]
        volumes = [{"name": "config", "configMap": {"name": "c"}}, {"name": "scratch"}]
        volumes[1]["emptyDir"] = {}
        world.create(spec(script, volumeMounts=mounts) | {"volumes": volumes})
        pod = await world.finished()
        kept = world.state.pods / pod["metadata"]["uid"] / "volumes" / "scratch" / "f"
        return pod, written(world, pod) + kept.read_text()

    pod, text = run_kubelet(tmp_path, body)
    assert text == "configuredkept\n"
    (told,) = pod["status"]["containerStatuses"]
    assert told["state"]["terminated"]["message"] == "last words\n"


def test_of_a_long_termination_message_the_end_is_told(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        world.create(spec("(seq 5000; echo the end) > /dev/termination-log"))
        return await world.finished()

    (told,) = run_kubelet(tmp_path, body)["status"]["containerStatuses"]
    message = told["state"]["terminated"]["message"]
    assert (len(message), message[-14:]) == (4096, "\n5000\nthe end\n")


def test_a_host_name_has_63_characters_at_most(tmp_path: Path) -> None:
    async def body(world: World) -> str:
        name = "n" * 62 + "-and-more"
        world.create(spec("echo $HOSTNAME"), name=name)
        return written(world, await world.finished(name))

    assert run_kubelet(tmp_path, body) == "n" * 62 + "\n"


def test_a_pod_whose_sidecar_ends_after_a_failure_stays_initialized(tmp_path: Path) -> None:
    async def body(world: World) -> dict[str, Any]:
        side = spec("sleep 1000")["containers"][0] | {"name": "side", "restartPolicy": "Always"}
        world.create(spec("exit 3") | {"initContainers": [side]})
        return await world.finished()

    status = run_kubelet(tmp_path, body)["status"]
    assert status["phase"] == "Failed"
    assert {c["type"]: c["status"] for c in status["conditions"]}["Initialized"] == "True"


def test_where_mounts_cannot_be_made_a_pod_says_so(tmp_path: Path) -> None:
    async def body(world: World) -> str:
        world.supervisor.mount_problem = "unshare: Operation not permitted"
        mounts = [{"name": "v", "mountPath": "/data"}]
        volumes = {"volumes": [{"name": "v", "emptyDir": {}}]}
        world.create(spec("true", volumeMounts=mounts) | volumes)
        pod = await world.until(lambda p: reason(p) == "CreateContainerConfigError")
        return str(pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"])

    message = run_kubelet(tmp_path, body)
    assert '"/data" cannot be made on this machine (unshare: Operation not permitted)' in message
    assert "sysctl" in message


def test_a_worker_that_is_over_is_freed_at_once(tmp_path: Path) -> None:
    async def body(world: World) -> None:
        freed = asyncio.Event()
        uid = world.create(spec("sleep 60"))["metadata"]["uid"]
        await world.until(lambda pod: pod["status"]["phase"] == "Running")
        worker = world.kubelet.worker(uid)
        assert worker is not None
        weakref.finalize(worker, freed.set)
        del worker
        world.delete(grace_s=0)
        await freed.wait()

    gc.disable()  # which would find it, some time
    try:
        run_kubelet(tmp_path, body)
    finally:
        gc.enable()


def test_others_go_on_while_volumes_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, others_went_on, freed = threading.Event(), threading.Event(), list[bool]()
    put = volumes._put

    def slow(*given: Any) -> None:
        begun.set()
        freed.append(others_went_on.wait(5))
        put(*given)

    async def body(world: World) -> str:
        config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"k": "configured"}}
        world.registry.create("configmaps", NAMESPACE, {"apiVersion": "v1", **config})
        mount = {"name": "config", "mountPath": "/etc/app"}
        volume = {"name": "config", "configMap": {"name": "c"}}
        world.create(spec("cat /etc/app/k", volumeMounts=[mount]) | {"volumes": [volume]})
        while not begun.is_set():
            await asyncio.sleep(0)
        others_went_on.set()
        return written(world, await world.finished())

    monkeypatch.setattr(volumes, "_put", slow)
    assert run_kubelet(tmp_path, body) == "configured"
    assert freed == [True]


def test_a_pod_deleted_while_its_volumes_are_made_never_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, deleted = threading.Event(), threading.Event()
    make = volumes.VolumeMaker.make

    def slow(maker: volumes.VolumeMaker, pod: dict[str, Any]) -> dict[str, Path]:
        begun.set()
        assert deleted.wait(5)
        return make(maker, pod)

    async def body(world: World) -> bool:
        ran = tmp_path / "ran"
        volume = {"name": "v", "emptyDir": {}}
        world.create(spec(f"touch {ran}; sleep 60") | {"volumes": [volume]})
        while not begun.is_set():
            await asyncio.sleep(0)
        world.delete()
        deleted.set()
        await world.until_gone()
        return ran.exists()

    monkeypatch.setattr(volumes.VolumeMaker, "make", slow)
    assert run_kubelet(tmp_path, body) is False
