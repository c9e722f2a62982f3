"""What jobman writes on every job it submits: whose it is, since when, which creation made it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobman.kube import labels
from jobman.kube.identity import user_label


@dataclass(frozen=True)
class Stamp:
    """One submission; `submission` is random, `version` is jobman's."""

    user: str
    at: datetime
    submission: str
    version: str

    @property
    def labels(self) -> dict[str, str]:
        """For the Job and its pod template."""
        return {
            labels.MANAGED_BY: labels.MANAGED_BY_JOBMAN,
            labels.USER: user_label(self.user),
        }

    @property
    def annotations(self) -> dict[str, str]:
        """For the Job and its pod template."""
        return {
            labels.USER: self.user,
            labels.SUBMISSION: self.submission,
            labels.SUBMITTED_AT: labels.format_submitted_at(self.at),
            labels.VERSION: self.version,
        }


OWN_LABELS = frozenset({labels.MANAGED_BY, labels.USER, labels.FLAVOR, labels.RUN})
OWN_ANNOTATIONS = frozenset(
    {
        labels.USER,
        labels.FLAVOR_SPEC,
        labels.SUBMISSION,
        labels.SUBMITTED_AT,
        labels.VERSION,
        labels.CANCELLED_AT,
        labels.CANCELLED_BY,
        labels.ARRAY,
        labels.RETRY_OF,
    }
)
"""Keys that only jobman writes."""
