"""Whether a Job is decided, and why. Pure; the texts are Kubernetes'."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobman.local.controllers import indexes
from jobman.local.controllers.job_pods import PodFacts
from jobman.values.duration import parse_rfc3339

if TYPE_CHECKING:
    from jobman.local.controllers.job_plan import Plan, Tally

Object = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """How a Job ends."""

    good: bool
    reason: str
    message: str


_BACKOFF = Verdict(False, "BackoffLimitExceeded", "Job has reached the specified backoff limit")
_DEADLINE = Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")
_INDEXES = Verdict(False, "FailedIndexes", "Job has failed indexes")
_TOO_MANY_INDEXES = Verdict(
    False,
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)
_DONE = Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")


def decide(
    job: Object, pods: Sequence[PodFacts], tally: Tally, made: Plan, now: datetime
) -> Verdict | None:
    """The verdict, or None while the Job goes on. Counts the failed indexes on the way."""
    if job["spec"].get("suspend"):
        return None
    verdict = _by_policy(job, pods) or _by_deadline(job, made, now)
    if verdict is not None:
        return verdict
    if "backoffLimitPerIndex" in job["spec"]:
        verdict = _by_index(job, pods, tally)
    elif _retries_too_often(job, pods, tally):
        verdict = _BACKOFF
    return verdict or _success(job, tally)


def index_failures(pods: Iterable[PodFacts]) -> int:
    """How often an index failed, as its next pod carries it."""
    return max((pod.failures + (pod.phase == "Failed") for pod in pods), default=0)


def _by_deadline(job: Object, made: Plan, now: datetime) -> Verdict | None:
    deadline, started = job["spec"].get("activeDeadlineSeconds"), made.status.get("startTime")
    if deadline is None or started is None:
        return None
    left_s = (parse_rfc3339(started) + timedelta(seconds=deadline) - now).total_seconds()
    if left_s <= 0:
        return _DEADLINE
    made.look_again(left_s)
    return None


def _retries_too_often(job: Object, pods: Sequence[PodFacts], tally: Tally) -> bool:
    """Failed pods count; with restartPolicy OnFailure the restarts in place count too."""
    template = job["spec"]["template"]["spec"]
    restarts = sum(pod.restarts for pod in tally.active)
    limit = job["spec"].get("backoffLimit", 6)
    if _ignoring(job, pods, tally.failed) > limit:
        return True
    return bool(template.get("restartPolicy") == "OnFailure" and restarts and restarts >= limit)


def _by_index(job: Object, pods: Sequence[PodFacts], tally: Tally) -> Verdict | None:
    spec = job["spec"]
    by_index: dict[int, list[PodFacts]] = {}
    for pod in pods:
        if pod.index is not None and pod.index < spec["completions"]:
            by_index.setdefault(pod.index, []).append(pod)
    for index, own in by_index.items():
        given_up = index_failures(own) > spec["backoffLimitPerIndex"]
        given_up = given_up or any(rule_of(job, pod) == "FailIndex" for pod in own)
        if given_up and index not in tally.completed:
            tally.failed_indexes.add(index)
    most = spec.get("maxFailedIndexes")
    if most is not None and len(tally.failed_indexes) > most:
        return _TOO_MANY_INDEXES
    ended = len(tally.completed) + len(tally.failed_indexes) >= spec["completions"]
    return _INDEXES if tally.failed_indexes and ended else None


def _success(job: Object, tally: Tally) -> Verdict | None:
    spec = job["spec"]
    rule = _success_rule(spec, tally)
    if rule is not None:
        return Verdict(True, "SuccessPolicy", f"Matched rules at index {rule}")
    completions = spec.get("completions")
    if completions is None:
        # a work queue: one pod that is satisfied ends it, when the others have ended too
        return _DONE if tally.succeeded and not tally.active else None
    return _DONE if tally.succeeded >= completions else None


def _success_rule(spec: Object, tally: Tally) -> int | None:
    for number, rule in enumerate(spec.get("successPolicy", {}).get("rules", [])):
        wanted = rule.get("succeededIndexes")
        among = tally.completed & indexes.parse(wanted) if wanted else tally.completed
        enough = rule.get("succeededCount") or (len(indexes.parse(wanted)) if wanted else 0)
        if enough and len(among) >= enough:
            return number
    return None


def _by_policy(job: Object, pods: Sequence[PodFacts]) -> Verdict | None:
    for pod in pods:
        for number, rule in enumerate(job["spec"].get("podFailurePolicy", {}).get("rules", [])):
            matched = _match(rule, pod)
            if matched and rule.get("action") == "FailJob":
                where = f"{pod.pod['metadata']['namespace']}/{pod.name}"
                text = matched.format(pod=where)
                message = f"{text} matching FailJob rule at index {number}"
                return Verdict(False, "PodFailurePolicy", message)
            if matched:
                break
    return None


def rule_of(job: Object, pod: PodFacts) -> str | None:
    """What the pod failure policy says to do about a pod: its first matching rule's action."""
    for rule in job["spec"].get("podFailurePolicy", {}).get("rules", []):
        if _match(rule, pod):
            return str(rule.get("action"))
    return None


def _ignoring(job: Object, pods: Sequence[PodFacts], failed: int) -> int:
    """The failures without those that the policy ignores."""
    return failed - sum(rule_of(job, pod) == "Ignore" for pod in pods)


def _match(rule: Object, pod: PodFacts) -> str | None:
    """How a failed pod matches a rule, with a place for the pod's name; None: it does not."""
    if pod.phase != "Failed":
        return None
    codes = rule.get("onExitCodes")
    if codes is not None:
        return _match_codes(codes, pod)
    conditions = pod.pod.get("status", {}).get("conditions", [])
    for pattern in rule.get("onPodConditions", []):
        for condition in conditions:
            same = condition.get("type") == pattern.get("type")
            if same and condition.get("status") == pattern.get("status", "True"):
                return f"Pod {{pod}} has condition {condition['type']}"
    return None


def _match_codes(codes: Object, pod: PodFacts) -> str | None:
    state = pod.pod.get("status", {})
    for container in [*state.get("initContainerStatuses", []), *state.get("containerStatuses", [])]:
        code = container.get("state", {}).get("terminated", {}).get("exitCode")
        if not code or codes.get("containerName") not in (None, container.get("name")):
            continue
        if (code in codes.get("values", [])) == (codes.get("operator") == "In"):
            return f"Container {container['name']} for pod {{pod}} failed with exit code {code}"
    return None
