"""What jobman needs of this machine, the cluster and the registries, looked at one by one."""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Literal

import msgspec

from jobman import __version__
from jobman.errors import ApiNotFoundError, ForbiddenError, JobmanError
from jobman.kube.beside import in_order

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.config.settings import HarborProject, Settings
    from jobman.kube.client import Client

OLDEST = (1, 29)
AT_ONCE = 8
KUEUE = "kueue.x-k8s.io"


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at, as `jobman doctor -o json` prints it.

    `state` is ok, note (something is not there that not everybody needs) or missing.
    """

    about: str
    state: Literal["ok", "note", "missing"]
    text: str
    advice: str = ""


class Right(msgspec.Struct, frozen=True):
    """A right to do `verb` to `resource` of API group `group`, and what it is for."""

    verb: str
    resource: str
    group: str
    purpose: str
    needed: bool = True


RIGHTS = (
    Right("create", "jobs", "batch", "submit"),
    Right("get", "jobs", "batch", "details"),
    Right("list", "jobs", "batch", "list"),
    Right("watch", "jobs", "batch", "wait, submit --wait"),
    Right("patch", "jobs", "batch", "cancel, hold, scale"),
    Right("delete", "jobs", "batch", "delete"),
    Right("list", "pods", "", "list"),
    Right("watch", "pods", "", "wait, logs -f"),
    Right("get", "pods/log", "", "logs"),
    Right("patch", "pods", "", "cancel", needed=False),
    Right("get", "pods/exec", "", "exec", needed=False),
    Right("list", "events", "", "why a job waits", needed=False),
    Right("create", "secrets", "", "submit --secret-env", needed=False),
    Right("get", "configmaps", "", "the published queue", needed=False),
    Right("list", "resourcequotas", "", "quota", needed=False),
    Right("create", "leases", "coordination.k8s.io", "map", needed=False),
)


def checkup(app: AppContext) -> Iterator[Finding]:
    """All findings, in an order in which each builds on those before."""
    yield Finding("jobman", "ok", f"{__version__}, Python {platform.python_version()}")
    settings = yield from _settings(app)
    if settings is None:
        return
    client = yield from _cluster(app)
    if client is not None:
        yield from _safely("identity", lambda: _identity(app))
        yield from _safely("rights", lambda: _rights(client))
        yield from _safely("namespace", lambda: _namespace(client))
        yield from _safely("quota", lambda: _quota(client))
        yield from _safely("kueue", lambda: _kueue(client))
    yield from _harbor(app, settings)


def _safely(about: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except JobmanError as error:
        return [_missing(about, error)]


def _missing(about: str, error: JobmanError) -> Finding:
    return Finding(about, "missing", " ".join(error.message.split()), error.hint or "")


def _settings(app: AppContext) -> Generator[Finding, None, Settings | None]:
    from jobman.config.layers import load

    try:
        loaded = load(app.options.settings, environ=app.environ)
    except JobmanError as error:
        yield _missing("settings", error)
        return None
    for warning in loaded.warnings:
        yield Finding("settings", "note", warning, "jobman settings validate")
    layers = ", ".join(dict.fromkeys(loaded.provenance.values())) or "none"
    yield Finding("settings", "ok", f"from {layers}")
    return loaded.values


def _cluster(app: AppContext) -> Generator[Finding, None, Client | None]:
    try:
        client = app.client
        version = client.request("GET", "/version")
    except JobmanError as error:
        yield _missing("cluster", error)
        return None
    connection = client.connection
    context = f", context {connection.context}" if connection.context else ""
    yield Finding("cluster", "ok", f"{connection.server} ({connection.origin}{context})")
    yield _server_version(str(version.get("gitVersion", "")))
    return client


def _server_version(version: str) -> Finding:
    numbers = version.removeprefix("v").split(".")
    known = len(numbers) > 1 and numbers[0].isdigit() and numbers[1].isdigit()
    if known and (int(numbers[0]), int(numbers[1])) < OLDEST:
        return Finding("server", "missing", f"Kubernetes {version}", "jobman needs v1.29 or newer")
    return Finding("server", "ok", f"Kubernetes {version or 'of an unknown version'}")


def _identity(app: AppContext) -> list[Finding]:
    return [Finding("identity", "ok", app.user)]


def _rights(client: Client) -> list[Finding]:
    namespace = client.namespace

    def may(right: Right) -> bool:
        return client.can_i(right.verb, right.resource, right.group, namespace)

    granted = in_order(may, RIGHTS, AT_ONCE)
    lacking = [right for right, is_granted in zip(RIGHTS, granted, strict=True) if not is_granted]
    if not lacking:
        return [Finding("rights", "ok", f"all {len(RIGHTS)} in namespace {namespace}")]
    ask = f"ask whoever runs the cluster for a Role in namespace {namespace}"
    return [
        Finding(
            "rights",
            "missing" if right.needed else "note",
            f"I may not {right.verb} {right.resource} in namespace {namespace}"
            f" (for: {right.purpose})",
            ask,
        )
        for right in lacking
    ]


def _namespace(client: Client) -> list[Finding]:
    from jobman.kube.resources import NAMESPACES

    name = client.namespace
    try:
        found = client.get_raw(NAMESPACES, name)
    except ForbiddenError:
        return [Finding("namespace", "ok", f"{name} (whether it exists I may not see)")]
    except ApiNotFoundError:
        return [Finding("namespace", "missing", f"{name} is not there", "name another one with -n")]
    if (found.get("status") or {}).get("phase") == "Terminating":
        return [Finding("namespace", "missing", f"{name} is being deleted", "name another: -n")]
    return [Finding("namespace", "ok", name)]


def _quota(client: Client) -> list[Finding]:
    from jobman.kube.resources import RESOURCEQUOTAS

    try:
        quotas = client.list(RESOURCEQUOTAS).items
    except ForbiddenError:
        return [Finding("quota", "note", "I may not see whether there is any")]
    if not quotas:
        return [Finding("quota", "ok", "none: the namespace has no limits of its own")]
    return [
        _one_quota(quota.metadata.name, quota.status.hard, quota.status.used) for quota in quotas
    ]


def _one_quota(name: str, hard: dict[str, str], used: dict[str, str]) -> Finding:
    shares = ", ".join(f"{key} {used.get(key, '0')}/{limit}" for key, limit in hard.items())
    full = [key for key, limit in hard.items() if _is_full(used.get(key, "0"), limit)]
    if full:
        advice = f"new jobs wait until others end: {', '.join(full)}"
        return Finding("quota", "note", f"{name} is used up: {shares}", advice)
    return Finding("quota", "ok", f"{name}: {shares}")


def _is_full(used: str, limit: str) -> bool:
    from jobman.values.quantity import parse

    try:
        return parse(used) >= parse(limit)
    except ValueError:
        return False


def _kueue(client: Client) -> list[Finding]:
    groups = client.request("GET", "/apis").get("groups") or []
    found = next((group for group in groups if group.get("name") == KUEUE), None)
    if found is None:
        return [Finding("kueue", "ok", "not installed, and not needed")]
    version = (found.get("preferredVersion") or {}).get("groupVersion", "")
    path = f"/apis/{version}/namespaces/{client.namespace}/localqueues"
    try:
        items = client.request("GET", path).get("items") or []
    except ForbiddenError:
        return [Finding("kueue", "note", "installed; I may not see its LocalQueues")]
    names = ", ".join(str((item.get("metadata") or {}).get("name")) for item in items)
    if names:
        return [Finding("kueue", "ok", f"installed; LocalQueues: {names}")]
    advice = "ask for a LocalQueue, if jobs here are to go through Kueue"
    return [Finding("kueue", "note", "installed; no LocalQueue in this namespace", advice)]


def _harbor(app: AppContext, settings: Settings) -> list[Finding]:
    from jobman.images.projects import configured

    try:
        projects = configured(settings)
    except JobmanError as error:
        return [_missing("harbor", error)]
    if not projects:
        return [Finding("harbor", "ok", "no project is configured")]
    return list(in_order(lambda project: _project(app, project), projects, AT_ONCE))


def _project(app: AppContext, settings: HarborProject) -> Finding:
    """Ask for an image that is hardly there: that takes the way, and the credentials, of any."""
    from jobman.cli.image_choice import cache_directory
    from jobman.images.projects import Project

    try:
        project = Project(settings, app.environ, cache_directory())
        project.get("jobman-doctor")
    except JobmanError as error:
        return _missing("harbor", error)
    return Finding("harbor", "ok", f"project {settings.name} on {project.host}")
