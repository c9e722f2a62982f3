"""A Job's status: its conditions, verdicts and the order of its fields. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobman.local.moments import stamp

Object = dict[str, Any]
Event = tuple[str, str, str]
"""Normal or Warning, the reason, the message."""

_ORDER = (
    "conditions",
    "startTime",
    "completionTime",
    "active",
    "succeeded",
    "failed",
    "terminating",
    "completedIndexes",
    "failedIndexes",
    "uncountedTerminatedPods",
    "ready",
)
_HAPPENED = ("conditions", "succeeded", "failed", "ready", "uncountedTerminatedPods")
_LEFT_OUT_WHEN_EMPTY = ("conditions", "active", "succeeded", "failed", "completedIndexes")


@dataclass(frozen=True)
class Verdict:
    """How a Job ends, and why."""

    good: bool
    reason: str
    message: str

    @property
    def announced(self) -> str:
        """The condition that says how it will end."""
        return "SuccessCriteriaMet" if self.good else "FailureTarget"

    @property
    def final(self) -> str:
        """The condition that says that it has ended."""
        return "Complete" if self.good else "Failed"


COMPLETIONS = Verdict(True, "CompletionsReached", "Reached expected number of succeeded pods")
BACKOFF_LIMIT = Verdict(
    False, "BackoffLimitExceeded", "Job has reached the specified backoff limit"
)
DEADLINE = Verdict(False, "DeadlineExceeded", "Job was active longer than specified deadline")
FAILED_INDEXES = Verdict(False, "FailedIndexes", "Job has failed indexes")
MAX_FAILED_INDEXES = Verdict(
    False,
    "MaxFailedIndexesExceeded",
    "Job has exceeded the specified maximal number of failed indexes",
)


def has_finished(status: Object) -> bool:
    """Whether a Job is Complete or Failed."""
    return any(_is_end(condition) for condition in status.get("conditions", []))


def finished_at(status: Object) -> datetime | None:
    """When a Job became Complete or Failed; None for one that is not, or does not say when."""
    ends = filter(_is_end, status.get("conditions", []))
    since = next((condition.get("lastTransitionTime") for condition in ends), None)
    return datetime.fromisoformat(since) if since else None


def _is_end(condition: Object) -> bool:
    return condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"


def standing_verdict(status: Object) -> Verdict | None:
    """The verdict that was announced before, and waits for the pods to end."""
    for condition in status.get("conditions", []):
        if condition.get("status") == "True" and condition.get("type") in (
            "SuccessCriteriaMet",
            "FailureTarget",
        ):
            good = condition["type"] == "SuccessCriteriaMet"
            return Verdict(good, condition.get("reason", ""), condition.get("message", ""))
    return None


def announce(status: Object, verdict: Verdict, now: datetime) -> None:
    """Say how the Job will end, once."""
    conditions = status.get("conditions", [])
    if not any(c.get("type") == verdict.announced for c in conditions):
        told = _condition(verdict.announced, "True", verdict, now)
        status["conditions"] = [*conditions, told]


def conclude(status: Object, verdict: Verdict, now: datetime) -> Event:
    """Say that the Job has ended."""
    told = _condition(verdict.final, "True", verdict, now)
    status["conditions"] = [*status["conditions"], told]
    if not verdict.good:
        return "Warning", verdict.reason, verdict.message
    status["completionTime"] = stamp(now)
    return "Normal", "Completed", "Job completed"


def follow_suspension(status: Object, suspended: bool, now: datetime) -> list[Event]:
    """The Suspended condition and the start time follow spec.suspend."""
    conditions = list(status.get("conditions", []))
    place = next((i for i, c in enumerate(conditions) if c.get("type") == "Suspended"), None)
    was = place is not None and conditions[place].get("status") == "True"
    if suspended == was:
        return []
    reason = "Suspended" if suspended else "Resumed"
    why = Verdict(True, f"Job{reason}", f"Job {reason.lower()}")
    told = _condition("Suspended", "True" if suspended else "False", why, now)
    if place is None:
        conditions.append(told)
    else:
        conditions[place] = told
    status["conditions"] = conditions
    if suspended:
        status.pop("startTime", None)
    else:
        status["startTime"] = stamp(now)
    return [("Normal", reason, why.message)]


def _condition(kind: str, value: str, why: Verdict, now: datetime) -> Object:
    moment = stamp(now)
    return {
        "type": kind,
        "status": value,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": why.reason,
        "message": why.message,
    }


def is_beginning(status: Object) -> bool:
    """Whether it tells of nothing but pods that were made."""
    return not any(status.get(key) for key in _HAPPENED)


def in_order(status: Object) -> Object:
    """A shallow copy with the fields in Kubernetes' order, without those that it leaves out."""
    return {
        key: status[key]
        for key in _ORDER
        if key in status and (status[key] or key not in _LEFT_OUT_WHEN_EMPTY)
    }
