"""A request to a Kubernetes Job, in Kubernetes' words. Pure: a dry run prints what is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jobman.config.flavors import Flavor
from jobman.jobs.request import SHM, Array, SubmitRequest, Toleration
from jobman.jobs.stamp import Stamp
from jobman.kube import labels

CONTAINER = "main"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
SHM_VOLUME = "shm"

Object = dict[str, Any]


def job(request: SubmitRequest, name: str, stamp: Stamp) -> Object:
    """The Job's manifest; its namespace is left to whoever creates it."""
    own = {**request.labels, labels.FLAVOR: request.flavor.name, **stamp.labels}
    queue = request.local_queue or request.flavor.local_queue
    queued = {QUEUE_LABEL: queue} if queue else {}
    notes = {
        **request.annotations,
        labels.FLAVOR_SPEC: flavor_spec(request),
        **stamp.annotations,
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {**own, **queued}, "annotations": notes},
        "spec": {
            **_job_rules(request, suspend=request.hold or bool(queue)),
            "template": {
                "metadata": {"labels": dict(own), "annotations": dict(notes)},
                "spec": pod_spec(request),
            },
        },
    }


def flavor_spec(request: SubmitRequest) -> str:
    """The request's flavor, with the user's own quantities."""
    return flavor_text(request.flavor)


def flavor_text(flavor: Flavor) -> str:
    """The flavor as `-r` would take it."""
    spec = {key: value for key, value in flavor.seed_json().items() if key != "description"}
    return json.dumps(spec, separators=(",", ":"), ensure_ascii=False)


def _job_rules(request: SubmitRequest, *, suspend: bool) -> Object:
    """What the Job says about its pods: how many, how often, how long it stays."""
    array = request.array
    rules = {"backoffLimit": request.retries} if array is None else _indexed(array, request.retries)
    if request.ttl_s is not None:
        rules["ttlSecondsAfterFinished"] = request.ttl_s
    if suspend:
        rules["suspend"] = True
    return rules


def _indexed(array: Array, retries: int) -> Object:
    """Each index has retries of its own: else one that fails ends the others, and their logs."""
    return {
        "completionMode": "Indexed",
        "completions": array.size,
        "parallelism": min(array.at_once or array.size, array.size),
        "backoffLimitPerIndex": retries,
    }


def pod_spec(request: SubmitRequest) -> Object:
    """The pod: one container that is never restarted in place, for a restart loses its log."""
    flavor = request.flavor
    return _given(
        restartPolicy="Never",
        activeDeadlineSeconds=request.time_limit_s,
        priorityClassName=request.priority_class or flavor.priority_class_name,
        runtimeClassName=flavor.runtime_class_name,
        serviceAccountName=request.service_account,
        securityContext=dict(request.security_context),
        imagePullSecrets=[{"name": name} for name in request.image_pull_secrets],
        nodeSelector={**flavor.node_selector, **request.node_selector},
        tolerations=[*flavor.tolerations, *map(_toleration, request.tolerations)],
        containers=[container(request)],
        volumes=_volumes(request),
    )


def container(request: SubmitRequest) -> Object:
    """The container; each word and each value arrives as it was given."""
    words = [untouched(word) for word in request.words]
    return _given(
        name=CONTAINER,
        image=request.image,
        imagePullPolicy=request.image_pull_policy and request.image_pull_policy.value,
        command=words if request.as_command else None,
        args=None if request.as_command else words,
        workingDir=request.workdir,
        env=variables({**request.caller_env, **request.env}),
        envFrom=[{"secretRef": {"name": name}} for name in request.secret_env],
        resources=_given(
            requests=dict(request.flavor.requests),
            limits=dict(request.flavor.limits),
        ),
        volumeMounts=_mounts(request),
    )


def variables(env: Mapping[str, str]) -> list[Object]:
    """Environment variables whose values arrive as they are given."""
    return [{"name": name, "value": untouched(value)} for name, value in env.items()]


def untouched(text: str) -> str:
    """`text` so that Kubernetes' expansion of `$(NAME)` and `$$` gives it back."""
    return text.replace("$", "$$")


def _toleration(toleration: Toleration) -> Object:
    return _given(
        key=toleration.key,
        operator="Exists" if toleration.value is None else "Equal",
        value=toleration.value,
        effect=toleration.effect,
    )


def _volumes(request: SubmitRequest) -> list[Object]:
    """A claim is one volume of the pod, however often it is mounted."""
    writable = {volume.claim for volume in request.volumes if not volume.read_only}
    names = _volume_names(request)
    claims = [
        {
            "name": name,
            "persistentVolumeClaim": {
                "claimName": claim,
                **({} if claim in writable else {"readOnly": True}),
            },
        }
        for claim, name in names.items()
    ]
    shm = {"name": SHM_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": request.shm}}
    return [*claims, *([shm] if request.shm else [])]


def _mounts(request: SubmitRequest) -> list[Object]:
    names = _volume_names(request)
    mounts = [
        {
            "name": names[volume.claim],
            "mountPath": volume.path,
            **({"readOnly": True} if volume.read_only else {}),
        }
        for volume in request.volumes
    ]
    return [*mounts, *([{"name": SHM_VOLUME, "mountPath": SHM}] if request.shm else [])]


def _volume_names(request: SubmitRequest) -> dict[str, str]:
    """The volume of each claim; a claim's name may be longer than a volume's."""
    claims = dict.fromkeys(volume.claim for volume in request.volumes)
    return {claim: f"claim-{number}" for number, claim in enumerate(claims)}


def _given(**fields: Any) -> Object:
    """The fields that say something."""
    return {key: value for key, value in fields.items() if not _is_empty(value)}


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, str | list | Mapping) and not value)
