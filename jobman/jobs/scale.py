"""How many pods of a job may run at once."""

from __future__ import annotations

import re

from jobman.errors import JobmanError, UnfitError
from jobman.jobs import standing
from jobman.kube.client import Client
from jobman.kube.objects import Job
from jobman.kube.resources import JOBS
from jobman.values.enums import State

_AMOUNT = re.compile(r"\+?\d{1,9}", re.ASCII)
MOST = 100_000


def parse_amount(text: str) -> str:
    """`N` or `+N`. Raises ValueError."""
    if not _AMOUNT.fullmatch(text):
        raise ValueError("a number is needed (4), or how many more (+2)")
    return text


def wanted(amount: str, now: int) -> int:
    """The parallelism that an amount means for a job of parallelism `now`."""
    return now + int(amount) if amount[0] == "+" else int(amount)


def scale(client: Client, job: Job, amount: str) -> tuple[int, int]:
    """Set the job's parallelism; what it was and what it is.

    Raises JobmanError for a job that is over, of one pod, or for which the amount makes no sense.
    Fewer than run now would delete pods with their logs: refused.
    """
    found = standing.read(client, job)
    meta, spec, state = found.job.metadata, found.job.spec, found.view.state
    if state.finished or state is State.DELETING:
        raise UnfitError(f"job {meta.name} is {state}: no more pods come")
    if (spec.completions or 0) == 1:
        raise UnfitError(
            f"job {meta.name} is one pod; only arrays and work queues run several at once",
            hint="jobman submit --array N[%K] makes one of N indexes, K at once",
        )
    before = spec.at_once
    after = wanted(amount, before)
    running = len(found.started())
    if not 0 < after <= MOST:
        hint = "jobman hold keeps a job from starting pods" if after == 0 else None
        raise JobmanError(f"job {meta.name}: {after} pods at once cannot be", hint=hint)
    if after < running:
        raise JobmanError(
            f"job {meta.name}: {running} of its pods run, more than {after};"
            " Kubernetes would delete the rest with their logs"
        )
    patch = {"metadata": {"uid": meta.uid}, "spec": {"parallelism": after}}
    client.patch(JOBS, meta.name, patch, namespace=meta.namespace)
    return before, after
