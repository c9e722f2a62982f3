"""A run that is carried out by a Job inside the cluster: what it is sent, and its manifests.

The parcel is a few files: `plan.json`, and the items as gzipped JSON lines cut into pieces that a
ConfigMap holds. On the embedded cluster they lie on this machine's disk, elsewhere in ConfigMaps.
"""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from jobman.errors import UsageError
from jobman.map.command_line import CommandLine
from jobman.map.items import Found, Items
from jobman.map.plan import Plan
from jobman.map.run_names import job_name
from jobman.map.template import Template

Object = dict[str, Any]

PIECE_BYTES = 700_000
"""In base64 it stays below the 1 MiB of a ConfigMap."""
MOST_PIECES = 200
INPUT, LOGS = "/jobman/input", "/jobman/logs"
PLAN, ITEMS = "plan.json", "items-"
GROUP = 10001
"""That of the image's user: without it a fresh volume takes no logs."""
MAP = "jobman/map"
"""Label of what belongs to a detached run but is no pod of an item: its run."""
CHOICES = (
    "max_pending",
    "max_running",
    "retries",
    "pace_s",
    "keep_pods",
    "keep_failed_pods",
    "stream_logs",
    "retry_failed",
    "rerun",
    "keep_going",
)
"""What of a plan is handed on as it is."""


@dataclass(frozen=True)
class Site:
    """Where a runner runs: the image with jobman, its account, and the claim for the logs."""

    image: str
    service_account: str
    claim: str


def parcel(plan: Plan) -> dict[str, bytes]:
    """The files. Raises UsageError where they are too much for ConfigMaps."""
    chosen = {key: getattr(plan, key) for key in CHOICES}
    pieces = _pieces(plan.items)
    about = {
        "pieces": len(pieces),
        "run": plan.run,
        "user": plan.user,
        "columns": list(plan.items.columns),
        "kind": plan.template.kind,
        "document": plan.template.document,
        "surroundings": plan.template.surroundings,
        "retryReasons": sorted(plan.retry_reasons),
        "settings": plan.settings,
        "command": plan.command,
        "choices": chosen,
    }
    files = {_piece(number): piece for number, piece in enumerate(pieces)}
    return {PLAN: msgspec.json.encode(about), **files}


def _pieces(items: Items) -> list[bytes]:
    lines = b"".join(msgspec.json.encode((item.text, dict(item.values))) + b"\n" for item in items)
    packed = gzip.compress(lines, mtime=0)
    pieces = [packed[at : at + PIECE_BYTES] for at in range(0, len(packed), PIECE_BYTES)]
    if len(pieces) > MOST_PIECES:
        raise UsageError(
            f"the items are {len(packed)} bytes packed: too much to hand to the cluster",
            hint="leave out --detach, or split the list",
        )
    return pieces


def _piece(number: int) -> str:
    return f"{ITEMS}{number:05d}"


def unpack(directory: Path) -> tuple[Items, Template, Object]:
    """What a parcel holds; the last are the plan's choices by their names.

    The directory may hold more pieces than the plan counts: those of an earlier, longer list.
    """
    about = msgspec.json.decode((directory / PLAN).read_bytes())
    columns = tuple(about["columns"])
    packed = b"".join((directory / _piece(n)).read_bytes() for n in range(about["pieces"]))
    items = Items(_found(gzip.decompress(packed)), columns)
    template = Template(about["document"], about["run"], kind=about["kind"], columns=columns)
    template.surroundings = about["surroundings"]
    chosen = {key: about["choices"][key] for key in CHOICES}
    return (
        items,
        template,
        {
            **chosen,
            "run": about["run"],
            "user": about["user"],
            "retry_reasons": frozenset(about["retryReasons"]),
            "settings": about["settings"],
            "command": msgspec.convert(about["command"], CommandLine),
        },
    )


def _found(lines: bytes) -> Iterator[Found]:
    decode = msgspec.json.Decoder(tuple[str, dict[str, Any]]).decode
    return (decode(line) for line in lines.splitlines() if line)


def config_maps(run: str, files: Mapping[str, bytes], labels: Mapping[str, str]) -> list[Object]:
    """A ConfigMap for each file."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"{job_name(run)}-{number}",
                "labels": {**labels, MAP: run},
            },
            "immutable": True,
            "binaryData": {name: base64.b64encode(data).decode()},
        }
        for number, (name, data) in enumerate(files.items())
    ]


def owner(name: str, uid: str) -> Object:
    """The runner's Job as the owner of the items' pods: deleting it deletes them all."""
    return {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}


def job(run: str, pod: Object, labels: Mapping[str, str], notes: Mapping[str, str]) -> Object:
    """The runner's Job; a runner whose pod is disrupted is followed by another one."""
    metadata = {"labels": {**labels, MAP: run}, "annotations": dict(notes)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(run), **metadata},
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "In", "values": [1, 2, 3, 4, 130]},
                    },
                ]
            },
            "template": {"metadata": metadata, "spec": {"restartPolicy": "Never", **pod}},
        },
    }


def pod_of_site(run: str, files: Mapping[str, bytes], site: Site, namespace: str) -> Object:
    """The runner's pod in a cluster: its parcel in ConfigMaps, its logs on a claim."""
    sources = [{"configMap": {"name": f"{job_name(run)}-{number}"}} for number in range(len(files))]
    command = ["jobman", "-n", namespace, "map", "carry-out", INPUT, "--log-dir", f"{LOGS}/{run}"]
    return {
        "serviceAccountName": site.service_account,
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": site.image,
                "command": command,
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "input", "mountPath": INPUT, "readOnly": True},
                    {"name": "logs", "mountPath": LOGS},
                ],
            }
        ],
        "volumes": [
            {"name": "input", "projected": {"sources": sources}},
            {"name": "logs", "persistentVolumeClaim": {"claimName": site.claim}},
        ],
    }


def pod_of_machine(
    command: list[str], workdir: str, env: Mapping[str, str], image: str = "none"
) -> Object:
    """The runner's pod on the embedded cluster: a process of this machine, without an image."""
    variables = [{"name": name, "value": value.replace("$", "$$")} for name, value in env.items()]
    return {
        "containers": [
            {
                "name": "main",
                "image": image,
                "command": [word.replace("$", "$$") for word in command],
                "workingDir": workdir,
                "env": variables,
                "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
            }
        ]
    }
