"""Which jobs are meant: a name, a glob, LAST; and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from jobman.errors import ApiNotFoundError, ForbiddenError, NotFoundError, UsageError
from jobman.kube import labels
from jobman.kube.client import Client
from jobman.kube.identity import user_label
from jobman.kube.objects import Job
from jobman.kube.resources import JOBS
from jobman.values import names
from jobman.values.text import visible

SHOWN_NAMES = 20


def selector_of(user: str) -> str:
    """The label selector of this user's jobs and their pods."""
    return f"{labels.MANAGED_SELECTOR},{labels.USER}={user_label(user)}"


def owner(job: Job) -> str | None:
    """Who submitted the job with jobman; None of a Job that jobman did not make."""
    meta = job.metadata
    if meta.labels.get(labels.MANAGED_BY) != labels.MANAGED_BY_JOBMAN:
        return None
    return labels.user(meta.annotations, meta.labels)


def submitted_at(job: Job) -> datetime | None:
    """When it was submitted; of a Job that jobman did not make, when it was created."""
    return labels.submitted_at(job.metadata.annotations) or job.metadata.creation_timestamp


def jobs_of(client: Client, user: str, *, namespace: str | None = None) -> list[Job]:
    """This user's jobs in the namespace."""
    found = client.list(JOBS, namespace=namespace, labels=selector_of(user)).items
    return [job for job in found if owner(job) == user]


def last_of(jobs: Iterable[Job]) -> Job | None:
    """The job submitted last."""
    marked = [(labels.submitted_at(job.metadata.annotations), job) for job in jobs]
    dated = [(moment, job.metadata.name, job) for moment, job in marked if moment]
    return max(dated, key=lambda entry: entry[:2], default=(None, "", None))[2]


def matching(jobs: Sequence[Job], word: str) -> list[Job]:
    """Those of `jobs` that `word` means: a name, a glob, or LAST."""
    if word == names.LAST:
        last = last_of(jobs)
        return [last] if last else []
    if names.is_glob(word):
        return [job for job in jobs if names.glob_matches(word, job.metadata.name)]
    return [job for job in jobs if job.metadata.name == word]


def find(
    client: Client, words: Sequence[str], user: str, *, namespace: str | None = None
) -> list[Job]:
    """The jobs that `words` mean, each once: globs and LAST among the user's, names among all.

    Raises NotFoundError for a word that means none.
    """
    found: dict[str, Job] = {}
    mine: list[Job] | None = None
    for word in words:
        if _is_plain(word):
            hits = [_by_name(client, word, user, namespace)]
        else:
            mine = jobs_of(client, user, namespace=namespace) if mine is None else mine
            hits = matching(mine, word)
        if not hits:
            raise NotFoundError(_nothing(word, namespace or client.namespace))
        found |= {job.metadata.uid: job for job in hits}
    return list(found.values())


def find_one(client: Client, word: str, user: str, *, namespace: str | None = None) -> Job:
    """The one job that `word` means; UsageError where a glob means several."""
    hits = find(client, [word], user, namespace=namespace)
    if len(hits) == 1:
        return hits[0]
    shown = ", ".join(job.metadata.name for job in hits[:SHOWN_NAMES])
    more = f" and {len(hits) - SHOWN_NAMES} more" if len(hits) > SHOWN_NAMES else ""
    raise UsageError(f"'{visible(word)}' means {len(hits)} jobs, one is needed: {shown}{more}")


def _is_plain(word: str) -> bool:
    return word != names.LAST and not names.is_glob(word)


def _by_name(client: Client, name: str, user: str, namespace: str | None) -> Job:
    try:
        return client.get(JOBS, name, namespace=namespace)
    except ApiNotFoundError as error:
        close = _closest(client, name, user, namespace)
        hint = f"closest of yours: {close}" if close else "yours: jobman list"
        text = (
            f"job {visible(name, limit=80)} not found in namespace {namespace or client.namespace}"
        )
        raise NotFoundError(text, hint=hint) from error


def _closest(client: Client, name: str, user: str, namespace: str | None) -> str | None:
    try:
        mine = jobs_of(client, user, namespace=namespace)
    except ForbiddenError:
        return None
    return names.nearest(name, [job.metadata.name for job in mine])


def _nothing(word: str, namespace: str) -> str:
    if word == names.LAST:
        return f"you have no job in namespace {namespace}"
    return f"no job of yours matches '{visible(word, limit=80)}' in namespace {namespace}"
