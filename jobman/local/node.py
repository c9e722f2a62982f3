"""This machine as a Node: its cores, its memory, its GPUs."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import socket
import subprocess
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from jobman.local import places, processes
from jobman.local.devices import GPU_RESOURCE
from jobman.local.moments import stamp
from jobman.local.podstatus import HOST_IP, RUNTIME

Object = dict[str, Any]

_NVIDIA_SMI_TIMEOUT_S = 20
_LEAST_PODS = 110
_PIDS_PER_POD = 4
_MEMORY_RESERVED = 100 * 1024 * 1024
GPU_LABELS = "nvidia.com/gpu."
_LABEL_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Gpu:
    """One GPU: nvidia-smi's index, the product's name, its memory in MiB."""

    index: int
    product: str
    memory_mib: int


@dataclass(frozen=True)
class Machine:
    """What there is to give out."""

    name: str
    cores: int
    memory_bytes: int
    disk_bytes: int
    pods: int
    gpus: tuple[Gpu, ...]


def look(state: Path) -> Machine:
    """The machine as this process sees it, without its GPUs; `state` tells which disk counts."""
    return Machine(
        name=node_name(socket.gethostname()),
        cores=cores(),
        memory_bytes=memory_bytes(),
        disk_bytes=shutil.disk_usage(state).total,
        pods=pod_capacity(),
        gpus=(),
    )


def with_gpus(machine: Machine, found: tuple[Gpu, ...]) -> Machine:
    """The machine with the GPUs that were found."""
    return replace(machine, gpus=found)


def node_name(host: str) -> str:
    """The host's name made a DNS subdomain."""
    safe = re.sub(r"[^a-z0-9.-]+", "-", host.lower())
    labels = [label.strip("-")[:63].strip("-") for label in safe.split(".")]
    return ".".join(label for label in labels if label)[:253].strip(".-") or "localhost"


def cores() -> int:
    """The cores that this process may use: its affinity, and its cgroup's quota."""
    usable = len(os.sched_getaffinity(0))
    quotas = [quota for quota in _cgroup_quotas() if quota > 0]
    return max(1, int(min([usable, *quotas])))


def _cgroup_quotas() -> list[float]:
    found = []
    for directory in _cgroup_directories("cpu"):
        if (words := _words(directory / "cpu.max")) and words[0] != "max":
            found.append(int(words[0]) / int(words[1]))
        quota = _words(directory / "cpu.cfs_quota_us")
        period = _words(directory / "cpu.cfs_period_us")
        if quota and period and int(quota[0]) > 0:
            found.append(int(quota[0]) / int(period[0]))
    return found


def memory_bytes() -> int:
    """The machine's memory, or less where this process's cgroup has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [
        int(words[0])
        for directory in _cgroup_directories("memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (words := _words(directory / name)) and words[0] != "max"
    ]
    return min([total, *limits])


def _cgroup_directories(controller: str) -> list[Path]:
    """This process's cgroup and those above it, for one controller."""
    found: list[Path] = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            base = Path("/sys/fs/cgroup")
        elif controller in controllers.split(","):
            base = Path("/sys/fs/cgroup") / controllers
            base = base if base.is_dir() else Path("/sys/fs/cgroup") / controller
        else:
            continue
        place = base / path.strip("/")
        found += [p for p in (place, *place.parents) if p == base or base in p.parents]
    return found


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def pod_capacity() -> int:
    """How many pods may run at once: bounded by the processes the owner may have."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft == resource.RLIM_INFINITY:
        return 10 * _LEAST_PODS
    return max(_LEAST_PODS, min(soft // _PIDS_PER_POD, 10 * _LEAST_PODS))


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that nvidia-smi knows; none where there is no nvidia-smi, or it fails."""
    command = [
        "nvidia-smi",
        "--query-gpu=index,name,memory.total",
        "--format=csv,noheader,nounits",
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_NVIDIA_SMI_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ()
    return parse_gpus(done.stdout)


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """nvidia-smi's CSV (index, name, MiB) as GPUs; lines of another form are left out."""
    found = []
    for line in text.splitlines():
        words = [word.strip() for word in line.split(",")]
        if len(words) == 3 and words[0].isdecimal():
            memory = int(words[2]) if words[2].isdecimal() else 0
            found.append(Gpu(int(words[0]), words[1], memory))
    return tuple(found)


def label_value(text: str) -> str:
    """A product's name as a label value: `NVIDIA A100-SXM4-80GB` -> `NVIDIA-A100-SXM4-80GB`."""
    return _LABEL_UNSAFE.sub("-", text)[:63].strip("-_.")


def node(machine: Machine, version: str, now: datetime) -> Object:
    """The Node object."""
    moment = stamp(now)
    return {
        "kind": "Node",
        "apiVersion": "v1",
        "metadata": {"name": machine.name, "labels": labels(machine)},
        "spec": {},
        "status": status(machine, version, moment),
    }


def labels(machine: Machine) -> dict[str, str]:
    """The labels of this machine's Node."""
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}
    arch = architecture.get(platform.machine(), platform.machine())
    found = {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": machine.name[:63],
        "kubernetes.io/os": "linux",
    }
    if machine.gpus:
        first = machine.gpus[0]
        found[f"{GPU_LABELS}product"] = label_value(first.product)
        found[f"{GPU_LABELS}count"] = str(len(machine.gpus))
        if first.memory_mib:
            found[f"{GPU_LABELS}memory"] = str(first.memory_mib)
    return found


def status(machine: Machine, version: str, moment: str) -> Object:
    """The Node's status: capacity, and the conditions of a healthy node."""
    capacity = {
        "cpu": str(machine.cores),
        "ephemeral-storage": f"{machine.disk_bytes // 1024}Ki",
        "memory": f"{machine.memory_bytes // 1024}Ki",
        "pods": str(machine.pods),
    }
    allocatable = capacity | {
        "memory": f"{max(machine.memory_bytes - _MEMORY_RESERVED, 0) // 1024}Ki",
        "ephemeral-storage": str(machine.disk_bytes * 9 // 10),
    }
    if machine.gpus:
        capacity[GPU_RESOURCE] = allocatable[GPU_RESOURCE] = str(len(machine.gpus))
    return {
        "capacity": dict(sorted(capacity.items())),
        "allocatable": dict(sorted(allocatable.items())),
        "conditions": [_condition(*facts, moment) for facts in _HEALTHY],
        "addresses": [
            {"type": "InternalIP", "address": HOST_IP},
            {"type": "Hostname", "address": machine.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
        "nodeInfo": _info(version),
    }


_HEALTHY = (
    (
        *("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        "kubelet has sufficient memory available",
    ),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


def _condition(kind: str, value: str, reason: str, message: str, moment: str) -> Object:
    return {
        "type": kind,
        "status": value,
        "lastHeartbeatTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }


def _info(version: str) -> Object:
    uname = platform.uname()
    machine = places.machine_id()
    return {
        "machineID": machine,
        "systemUUID": machine,
        "bootID": processes.boot_id(),
        "kernelVersion": uname.release,
        "osImage": _os_name(),
        "containerRuntimeVersion": f"{RUNTIME}://{version}",
        "kubeletVersion": f"v{version}",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(uname.machine, uname.machine),
    }


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"
