"""What a Job's own rules say: is a pod failed, does it count, is the Job done. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jobman.local.controllers.indexes import IndexSet
from jobman.local.controllers.job_pods import JobPod

Spec = Mapping[str, Any]


@dataclass(frozen=True)
class Ruling:
    """What the failure policy makes of a failed pod; `fails_job` is the message of a FailJob."""

    counts: bool = True
    fails_index: bool = False
    fails_job: str | None = None


def replaces_only_failed(spec: Spec) -> bool:
    """Whether a pod that is being deleted still holds its place until it has ended."""
    return spec.get("podReplacementPolicy") == "Failed" or "podFailurePolicy" in spec


def is_failed(pod: JobPod, spec: Spec) -> bool:
    """Whether a pod is a failure; one that is being deleted is one before it has ended."""
    if pod.phase == "Failed":
        return True
    return pod.deleting and pod.phase != "Succeeded" and not replaces_only_failed(spec)


def ruling(pod: JobPod, spec: Spec) -> Ruling:
    """The first rule of the failure policy that matches a failed pod."""
    for number, rule in enumerate(spec.get("podFailurePolicy", {}).get("rules", [])):
        matched = _match(pod, rule)
        if matched is None:
            continue
        action = rule.get("action", "")
        what = f"{matched} matching {action} rule at index {number}"
        return Ruling(
            counts=action != "Ignore",
            fails_index=action == "FailIndex",
            fails_job=what if action == "FailJob" else None,
        )
    return Ruling()


def _match(pod: JobPod, rule: Spec) -> str | None:
    """In words, what of the pod the rule matches."""
    if (codes := rule.get("onExitCodes")) is not None:
        found = _exit(pod, codes)
        if found is None:
            return None
        container, code = found
        who = f"Container {container} for pod {pod.namespace}/{pod.name}"
        return f"{who} failed with exit code {code}"
    patterns = [(p.get("type"), p.get("status", "True")) for p in rule.get("onPodConditions", ())]
    for condition in pod.conditions:
        if condition in patterns:
            return f"Pod {pod.namespace}/{pod.name} has condition {condition[0]}"
    return None


def _exit(pod: JobPod, codes: Spec) -> tuple[str, int] | None:
    """The first container that failed with an exit code that the rule means."""
    name, values = codes.get("containerName"), codes.get("values", ())
    wanted = codes.get("operator") == "In"
    for container, code in pod.exits:
        if name in (None, container) and code != 0 and (code in values) == wanted:
            return container, code
    return None


def fails_job(pods: Iterable[JobPod], spec: Spec) -> str | None:
    """Why the failure policy ends the Job, if it does."""
    if "podFailurePolicy" not in spec:
        return None
    messages = (ruling(pod, spec).fails_job for pod in pods if is_failed(pod, spec))
    return next((message for message in messages if message is not None), None)


def fails_index(pod: JobPod, spec: Spec) -> bool:
    """Whether the pod's index is given up with it."""
    if not is_failed(pod, spec):
        return False
    found = ruling(pod, spec)
    return found.fails_index or (found.counts and pod.failures >= spec["backoffLimitPerIndex"])


def success(spec: Spec, succeeded: IndexSet) -> str | None:
    """Which rule of the success policy is met, in words."""
    for number, rule in enumerate(spec.get("successPolicy", {}).get("rules", [])):
        if len(succeeded) and _is_met(rule, succeeded, spec.get("completions") or 0):
            return f"Matched rules at index {number}"
    return None


def _is_met(rule: Spec, succeeded: IndexSet, completions: int) -> bool:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if indexes is None:
        return count is not None and len(succeeded) >= count
    wanted = IndexSet.parse(indexes, completions)
    found = wanted.count_common(succeeded)
    return found >= (len(wanted) if count is None else count)


def past_restarts(pods: Iterable[JobPod], spec: Spec) -> bool:
    """Whether pods that restart in place have done so too often."""
    if spec["template"]["spec"].get("restartPolicy") != "OnFailure":
        return False
    restarts = sum(pod.restarts for pod in pods if pod.phase in ("Running", "Pending"))
    limit = spec.get("backoffLimit", 6)
    return restarts > 0 if limit == 0 else restarts >= limit
