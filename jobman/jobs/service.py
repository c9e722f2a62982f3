"""Submitting: a manifest to a Job on the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jobman.errors import ApiNotFoundError, ConflictError, ForbiddenError, JobmanError
from jobman.kube.client import Client
from jobman.kube.resources import CONFIGMAPS, JOBS

NAME_TRIES = 5
GROUP_KEY = "ceph.gid"
_LARGEST_GID = 2**31 - 1


class NoGroupError(JobmanError):
    """The ConfigMap that gives users their group gives none."""


def submit(
    client: Client,
    manifest: Mapping[str, Any],
    *,
    another_name: Callable[[], str] | None = None,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Create the Job and return it whole, as the server has it.

    It is created in the namespace it names, else in the client's. Where jobman chose its name,
    `another_name` gives the next one when the name is taken; a name that the user chose and that
    is taken is an error.
    """
    tries = NAME_TRIES if another_name else 1
    while True:
        tries -= 1
        try:
            return _create(client, manifest, dry_run=dry_run)
        except ConflictError as error:
            if error.reason != "AlreadyExists":
                raise
            if another_name is None:
                raise _taken(manifest, error) from error
            if not tries:
                raise
            metadata = {**manifest["metadata"], "name": another_name()}
            manifest = {**manifest, "metadata": metadata}


def _create(client: Client, manifest: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
    namespace = manifest["metadata"].get("namespace")
    return client.create(JOBS, manifest, namespace=namespace, dry_run=dry_run)


def _taken(manifest: Mapping[str, Any], error: ConflictError) -> ConflictError:
    name = manifest["metadata"]["name"]
    leaving = "being deleted" in error.message
    hint = "wait until it is gone" if leaving else f"delete it first: jobman delete {name}"
    return ConflictError(
        f"a job '{name}' is {'still being deleted' if leaving else 'there already'}",
        code=error.code,
        reason=error.reason,
        status=error.status,
        hint=f"choose another name, leave out -j, or {hint}",
    )


def group_of_user(client: Client, configmap: str) -> int:
    """The group that `ceph.gid` of the ConfigMap gives to jobs of this namespace.

    Raises NoGroupError saying why there is none.
    """
    what = f"job.userConfigmap: ConfigMap '{configmap}' of namespace '{client.namespace}'"
    try:
        data = client.get(CONFIGMAPS, configmap).data
    except ApiNotFoundError as error:
        raise NoGroupError(f"{what} is not there") from error
    except ForbiddenError as error:
        raise NoGroupError(f"{what} may not be read: {error.message}") from error
    text = data.get(GROUP_KEY)
    if text is None:
        raise NoGroupError(f"{what} has no key {GROUP_KEY}")
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal()) or int(digits) > _LARGEST_GID:
        raise NoGroupError(f"{what}: {GROUP_KEY} '{text}' is no group number")
    return int(digits)
