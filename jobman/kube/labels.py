"""The labels and annotations that jobman writes, and safe readers for what comes back.

Anyone may have written what is read here: malformed means absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobman.kube.identity import user_of_label

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY_JOBMAN = "jobman"
USER = "jobman/user"
FLAVOR = "jobman/flavor"
RUN = "jobman/run"
"""Labels, on the Job and on its pod template. USER is an annotation too: that one decides."""

FLAVOR_SPEC = "jobman/flavor-spec"
SUBMISSION = "jobman/submission"
SUBMITTED_AT = "jobman/submitted-at"
VERSION = "jobman/version"
"""Annotations, on the Job and on its pod template."""

CANCELLED_AT = "jobman/cancelled-at"
CANCELLED_BY = "jobman/cancelled-by"
"""Annotations on the Job alone: somebody stopped it on purpose."""

ARRAY = "jobman/array"
"""Annotation on the Job alone: `100%8`, the completions and the parallelism of an array before a
cancel took away the indexes that had not begun."""

RETRY_OF = "jobman/retry-of"
"""Annotation on the Job alone: the job that it does over."""

JOB_NAME = "batch.kubernetes.io/job-name"
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
COMPLETION_INDEX = "batch.kubernetes.io/job-completion-index"
"""Labels that Kubernetes' Job controller puts on pods."""

MANAGED_SELECTOR = f"{MANAGED_BY}={MANAGED_BY_JOBMAN}"

_LONGEST_READ = 1 << 16
_ARRAY = re.compile(r"([1-9]\d{0,5})%(\d{1,6})", re.ASCII)


def submitted_at(annotations: Mapping[str, str]) -> datetime | None:
    """When the job was submitted, in UTC; None where absent or malformed."""
    return _moment(annotations.get(SUBMITTED_AT, ""))


def cancelled_at(annotations: Mapping[str, str]) -> datetime | None:
    """When the job was cancelled, in UTC; None where absent or malformed."""
    return _moment(annotations.get(CANCELLED_AT, ""))


def array(annotations: Mapping[str, str]) -> tuple[int, int] | None:
    """Completions and parallelism of an array before it was cancelled; else None."""
    given = annotations.get(ARRAY)
    match = _ARRAY.fullmatch(given) if given else None
    return (int(match[1]), int(match[2])) if match else None


def _moment(text: str) -> datetime | None:
    if not text or len(text) > 40:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def format_submitted_at(moment: datetime) -> str:
    """The annotation's value: UTC with six digits of a second, so that text order is time order."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")


def flavor_spec(annotations: Mapping[str, str]) -> dict[str, Any] | None:
    """The flavor as it was at submission; None where absent or malformed."""
    import msgspec

    text = annotations.get(FLAVOR_SPEC, "")
    if not text or len(text) > _LONGEST_READ:
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    return found if isinstance(found, dict) else None


def user(annotations: Mapping[str, str], labels: Mapping[str, str]) -> str | None:
    """Who submitted the job: the annotation decides, else the label where it can be read back."""
    return annotations.get(USER) or user_of_label(labels.get(USER, "")) or None
