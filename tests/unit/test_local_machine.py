"""This machine as a node: its name, what it has, who gets which GPU, where state is kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobman.errors import ConfigError
from jobman.local import control, devices, node, places
from jobman.local.devices import Devices, NoDevicesError
from jobman.local.node import Gpu, Machine
from jobman.local.places import State
from jobman.local.room import Room, requests
from jobman.values.quantity import parse


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("gpu7", "gpu7"),
        ("GPU_7.Example.ORG", "gpu-7.example.org"),
        ("-x-.y", "x.y"),
        ("a" * 80, "a" * 63),
        ("", "localhost"),
        ("...", "localhost"),
    ],
)
def test_a_node_name_is_a_dns_name(host: str, name: str) -> None:
    assert node.node_name(host) == name


def test_gpus_from_nvidia_smi() -> None:
    text = "0, NVIDIA A100-SXM4-80GB, 81920\n1, NVIDIA A100-SXM4-80GB, [N/A]\n\nNo devices\n"
    gpus = node.parse_gpus(text)
    assert gpus == (Gpu(0, "NVIDIA A100-SXM4-80GB", 81920), Gpu(1, "NVIDIA A100-SXM4-80GB", 0))


def test_nvidia_smi_that_fails_means_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program.write_text("#!/bin/sh\necho 0, Tesla T4, 15360\n")
    program.chmod(0o755)
    assert node.gpus() == (Gpu(0, "Tesla T4", 15360),)
    program.write_text("#!/bin/sh\necho failed because it could not communicate; exit 9\n")
    assert node.gpus() == ()
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert node.gpus() == ()


def test_the_node_object() -> None:
    machine = Machine("m", 8, 16 << 30, 100 << 30, 110, (Gpu(0, "NVIDIA H200 (x)", 143771),))
    found = node.node(machine, "1.2.3", _moment())
    assert found["status"]["capacity"]["cpu"] == "8"
    assert found["status"]["capacity"]["nvidia.com/gpu"] == "1"
    assert parse(found["status"]["allocatable"]["memory"]) < parse("16Gi")
    labels = found["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H200-x"
    assert labels["nvidia.com/gpu.memory"] == "143771"
    ready = found["status"]["conditions"][-1]
    assert (ready["type"], ready["status"]) == ("Ready", "True")
    without = node.node(Machine("m", 8, 16 << 30, 1, 110, ()), "1.2.3", _moment())
    assert "nvidia.com/gpu" not in without["status"]["allocatable"]


def _moment() -> Any:
    from datetime import UTC, datetime

    return datetime(2026, 1, 1, tzinfo=UTC)


def test_the_machine_has_something() -> None:
    machine = node.look(Path("/"))
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.memory_bytes > 1 << 20
    assert machine.pods >= 110


def container(name: str = "main", gpus: int = 0, **resources: str) -> dict[str, Any]:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {"name": name, "resources": {"requests": resources, "limits": limits}}


def pod(*containers: dict[str, Any], uid: str = "u", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"uid": uid}, "spec": {"containers": list(containers), **spec}}


def test_a_gpu_is_never_given_twice() -> None:
    given = Devices((0, 1, 2, 3))
    assert given.allocate("a", 2) == (0, 1)
    assert given.allocate("b", 1) == (2,)
    assert given.allocate("a", 2) == (0, 1)
    with pytest.raises(NoDevicesError, match="Requested: 2, Available: 1"):
        given.allocate("c", 2)
    given.release("a")
    assert given.allocate("c", 3) == (0, 1, 3)


def test_gpus_given_by_an_earlier_daemon_stay_given() -> None:
    given = Devices((0, 1))
    given.restore("a", "1")
    given.restore("broken", "x,,")
    assert given.allocate("a", 1) == (1,)
    assert given.allocate("b", 1) == (0,)


def test_gpus_are_shared_out_among_the_containers_of_a_pod() -> None:
    one, two, none = container("one", gpus=1), container("two", gpus=2), container("none")
    init = container("init", gpus=2)
    whole = pod(one, none, two, initContainers=[init])
    assert devices.gpu_count(whole) == 3
    seen = [
        devices.gpu_environment(whole, c, (4, 5, 7))["CUDA_VISIBLE_DEVICES"]
        for c in (one, none, two, init)
    ]
    assert seen == ["4", "", "5,7", "4,5"]
    assert devices.gpu_environment(whole, one, (4,))["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_sidecar_has_gpus_of_its_own_and_init_containers_reuse_those_of_the_others() -> None:
    always = {"restartPolicy": "Always"}
    first, last = container("first", gpus=1) | always, container("last", gpus=1) | always
    init, main = container("init", gpus=2), container("main", gpus=1)
    whole = pod(main, initContainers=[first, init, last])
    assert devices.gpu_count(whole) == 3
    seen = [
        devices.gpu_environment(whole, c, (4, 5, 7))["CUDA_VISIBLE_DEVICES"]
        for c in (first, init, last, main)
    ]
    assert seen == ["4", "5,7", "5", "7"]
    assert devices.gpu_count(pod(main, initContainers=[container("wide", gpus=4)])) == 4


@pytest.mark.parametrize(
    ("whole", "cpu"),
    [
        ({"requests": {"cpu": "3"}}, 3),
        ({"requests": {"cpu": "500m"}}, Decimal("0.5")),
        ({"limits": {"cpu": "3"}}, 1),
        ({"limits": {"cpu": "3", "memory": "1"}, "requests": {"cpu": "2"}}, 2),
    ],
)
def test_what_a_pod_asks_for_as_a_whole_is_what_it_takes(
    whole: dict[str, Any], cpu: Decimal
) -> None:
    taken = requests(pod(container(cpu="1"), resources=whole)["spec"])
    assert taken["cpu"] == cpu
    assert taken.get("memory", 0) == int(whole.get("limits", {}).get("memory", 0))


def test_what_a_pod_takes() -> None:
    sidecar = container("side", cpu="1") | {"restartPolicy": "Always"}
    whole = pod(
        container(cpu="1500m", memory="1Gi"),
        container("b", cpu="1"),
        initContainers=[container("i", cpu="500m", memory="3Gi"), sidecar],
    )
    found = requests(whole["spec"])
    assert (found["cpu"], found["memory"]) == (parse("3500m").value, parse("3Gi").value)


def test_a_pod_that_finds_no_room_is_refused_in_a_kubelets_words() -> None:
    room = Room({"cpu": "2", "memory": "1Gi", "pods": "3"})
    assert room.take(pod(container(cpu="200m"), uid="a")) is None
    refused = room.take(pod(container(cpu="50"), uid="b"))
    assert refused is not None
    assert refused.reason == "OutOfcpu"
    assert refused.message == (
        "Node didn't have enough resource: cpu, requested: 50000, used: 200, capacity: 2000"
    )
    assert room.take(pod(container(memory="1Gi"), uid="c")) is None
    refused = room.take(pod(container(memory="1"), uid="d"))
    assert refused is not None
    assert refused.reason == "OutOfmemory"
    room.release("c")
    assert room.take(pod(container(memory="1"), uid="d")) is None
    assert room.take(pod(container(), uid="e")) is None
    refused = room.take(pod(container(), uid="f"))
    assert refused is not None
    assert refused.reason == "OutOfpods"


MOUNTS = b"""\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:50 / /home rw - nfs4 server:/home rw
31 30 8:2 / /home/local\\040disk rw - ext4 /dev/sdb rw
32 22 0:51 / /data/m\xc3\xbcller rw - nfs4 server:/data rw
33 22 0:51 / /data/\xff\\134\xff rw - nfs4 server:/data rw
"""


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/nowhere/x", True),
        ("/home/me/.local", False),
        ("/home/local disk/x", True),
        ("/data/müller/x", False),
        ("/data/\udcff\\\udcff/x", False),
    ],
)
def test_network_file_systems_are_seen(
    path: str, local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_existing", Path)
    assert places.is_local(Path(path), MOUNTS) is local


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({"JOBMAN_LOCAL_STATE": "/x/y"}, "/x/y"),
        ({"XDG_STATE_HOME": "/tmp", "HOME": "/h"}, "/tmp/jobman/local/{id}"),
        ({"HOME": "/tmp"}, "/tmp/.local/state/jobman/local/{id}"),
        ({"HOME": "/proc/nowhere"}, "/var/tmp/jobman-{uid}/local/{id}"),
    ],
)
def test_where_state_is_kept(environ: dict[str, str], place: str) -> None:
    wanted = place.format(id=places.machine_id(), uid=os.geteuid())
    assert places.state_dir(environ) == Path(wanted)


def test_the_state_directory_is_its_owners_alone(tmp_path: Path) -> None:
    state = State(tmp_path / "a" / "b")
    state.create()
    assert state.root.stat().st_mode & 0o777 == 0o700
    state.root.chmod(0o755)
    state.create()
    assert state.root.stat().st_mode & 0o777 == 0o700
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot keep its state"):
        State(tmp_path / "file" / "x").create()


def test_what_stands_where_anybody_may_make_it_is_guarded() -> None:
    shared = Path(f"/var/tmp/jobman-{os.geteuid()}")
    below = shared / "local" / "id"
    assert State(below).guarded() == [shared, shared / "local", below]
    assert State(Path("/home/me/state")).guarded() == [Path("/home/me/state")]


@pytest.mark.parametrize(
    ("make", "shared", "problem"),
    [
        (lambda place: place.mkdir(mode=0o700), True, None),
        (lambda place: place.mkdir(mode=0o755), True, None),
        (lambda place: (place.mkdir(), place.chmod(0o775)), True, "can be written by others"),
        (lambda place: (place.mkdir(), place.chmod(0o702)), True, "can be written by others"),
        (lambda place: (place.mkdir(), place.chmod(0o775)), False, None),
        (lambda place: place.symlink_to(place.parent), True, "is no directory"),
        (lambda place: place.symlink_to(place.parent), False, None),
        (lambda place: place.symlink_to("nowhere"), False, "is a link that leads nowhere"),
        (lambda place: place.touch(), False, "is no directory"),
    ],
)
def test_what_others_can_have_made_is_not_trusted(
    make: Callable[[Path], Any], shared: bool, problem: str | None, tmp_path: Path
) -> None:
    place = tmp_path / "state"
    make(place)
    if problem is None:
        places.check_own(place, shared=shared)
        return
    with pytest.raises(ConfigError, match=f"{place} {problem}") as error:
        places.check_own(place, shared=shared)
    assert "JOBMAN_LOCAL_STATE" in (error.value.hint or "")


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A state directory of somebody else, in which a daemon seems to run."""
    if os.geteuid() != 0:
        return Path("/")
    place = tmp_path / "foreign"
    place.mkdir()
    os.chown(place, 12346, 12346)
    return place


@pytest.mark.parametrize(
    "use",
    [
        control.ensure_started,
        control.find,
        control.status,
        control.stop,
        control.reset,
        lambda place: control.make_user(place, "alice", []),
        lambda place: control.simulate(place, {}),
    ],
)
def test_nothing_of_another_user_is_read(use: Callable[[Path], Any], foreign: Path) -> None:
    with pytest.raises(ConfigError, match="belongs to another user"):
        use(foreign)


def test_a_tree_goes_whatever_its_rights(tmp_path: Path) -> None:
    deep = tmp_path / "t" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").touch()
    (tmp_path / "t" / "link").symlink_to("/etc")
    deep.chmod(0)
    deep.parent.chmod(0o500)
    places.remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()
    places.remove_tree(tmp_path / "t")
    assert Path("/etc").is_dir()


def test_a_tree_deeper_than_pythons_stack_is_removed(tmp_path: Path) -> None:
    place = tmp_path / "t"
    place.mkdir()
    below = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=below)
        above, below = below, os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(above)
    os.close(below)
    places.remove_tree(place)
    assert not place.exists()
