"""Which cluster, and the connection to it.

`choose` is pure: what was asked and what is there, to a choice. `connect` has the kubernetes
package read the credentials of what was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jobman.errors import ConfigError, UsageError
from jobman.kube.credentials import Credentials
from jobman.values.enums import ClusterType
from jobman.values.home import home

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

    from jobman.config.settings import KubeConfig

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Request(msgspec.Struct, frozen=True):
    """What flags and settings say about the cluster; `context` is the flag's."""

    local: bool = False
    context: str | None = None
    type: ClusterType = ClusterType.DEFAULT
    file: str | None = None
    settings_context: str | None = None
    local_enabled: bool = True


class Found(msgspec.Struct, frozen=True):
    """What this machine has: files that are there and not empty, and the pod we may be in."""

    variable: str | None = None
    home_file: str = "~/.kube/config"
    home_file_exists: bool = False
    present: frozenset[str] = frozenset()
    in_cluster: bool = False


class Embedded(msgspec.Struct, frozen=True):
    """The cluster on this machine; `by_default`: because nothing else was there."""

    origin: str
    by_default: bool = False


class InCluster(msgspec.Struct, frozen=True):
    """The cluster that this process is a pod of."""

    origin: str


class Kubeconfig(msgspec.Struct, frozen=True):
    """Files that are merged as kubectl does, and the context, None for the current one."""

    files: tuple[str, ...]
    context: str | None
    origin: str


Choice = Embedded | InCluster | Kubeconfig

_NO_LOCAL = (
    "the settings of this machine forbid the embedded cluster (local.enabled is false)",
    "name a cluster: KUBECONFIG, ~/.kube/config or the setting kubeConfig",
)


def choose(asked: Request, found: Found) -> Choice:
    """The cluster to use: the first of flag, settings, kubeconfig, pod, embedded.

    Raises ConfigError where what was named is not there: never another one in its place.
    """
    if asked.local:
        return _embedded(asked, "--local")
    if asked.context is not None:
        return _kubeconfig(asked, found, asked.context, f"--context {asked.context}")
    if asked.type is ClusterType.LOCAL:
        return _embedded(asked, "the setting kubeConfig.type: local")
    if asked.type is ClusterType.CLUSTER:
        return _in_cluster(found)
    context = asked.settings_context
    if asked.type is ClusterType.FILE or context is not None:
        return _kubeconfig(asked, found, context, "the settings' kubeConfig")
    if found.variable is not None or found.home_file_exists:
        return _kubeconfig(asked, found, None, "")
    if found.in_cluster:
        return InCluster("the service account of this pod")
    return _embedded(asked, "no cluster is configured", by_default=True)


def _embedded(asked: Request, origin: str, *, by_default: bool = False) -> Embedded:
    if asked.local and asked.context is not None:
        raise UsageError("--local and --context exclude each other")
    if not asked.local_enabled:
        message, hint = _NO_LOCAL
        raise ConfigError(f"{origin}, and {message}" if by_default else message, hint=hint)
    return Embedded(origin, by_default)


def _in_cluster(found: Found) -> InCluster:
    if not found.in_cluster:
        raise ConfigError(
            "kubeConfig.type is 'cluster', but this process does not run in a pod"
            " with a service account",
            hint="set kubeConfig.type to 'default', or mount the service account's token",
        )
    return InCluster("the setting kubeConfig.type: cluster")


def _kubeconfig(asked: Request, found: Found, context: str | None, origin: str) -> Kubeconfig:
    """The file of the settings, else KUBECONFIG's, else the one at home."""
    files, named_by = _candidates(asked, found)
    usable = tuple(file for file in files if file in found.present)
    if not usable:
        raise _no_file(files, named_by, context)
    return Kubeconfig(usable, context, origin or named_by or usable[0])


def _candidates(asked: Request, found: Found) -> tuple[tuple[str, ...], str]:
    """The files, and what names them; nothing does the one at home."""
    if asked.type is ClusterType.FILE:
        if asked.file is None:
            raise ConfigError("kubeConfig.type is 'file', but kubeConfig.file names none")
        return (asked.file,), "the setting kubeConfig.file"
    if found.variable is not None:
        return tuple(part for part in found.variable.split(":") if part), "KUBECONFIG"
    return (found.home_file,), ""


def _no_file(files: tuple[str, ...], named_by: str, context: str | None) -> ConfigError:
    names = ", ".join(files)
    if not named_by and context is not None:
        message = f"no kubeconfig to look for the context {context!r} in: {names} is not there"
    else:
        message = f"the kubeconfig {names} is missing or empty"
    return ConfigError(
        f"{message} (named by {named_by})" if named_by else message,
        hint="correct it, or use the embedded cluster of this machine with --local",
    )


@dataclass(frozen=True)
class Connection:
    """A way to an API server, and what messages say about it.

    `acting_as`: the headers of each request that name somebody else to act as.
    """

    api: ApiClient = field(repr=False)
    namespace: str
    origin: str
    embedded: bool
    kubeconfig_user: str | None
    context: str | None
    server: str
    by_default: bool = False
    proxy: str | None = None
    credentials: Credentials = field(default_factory=Credentials, repr=False)
    acting_as: tuple[tuple[str, str], ...] = ()


def connect(
    *,
    kube_config: KubeConfig,
    context: str | None,
    namespace: str | None,
    local: bool,
    local_enabled: bool,
    start_local: Callable[[], Path],
    environ: Mapping[str, str],
    local_file: Path | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> Connection:
    """The connection to the chosen cluster; nothing is sent to it yet.

    `context` and `namespace` are the flags', None where not given; `start_local` returns the
    embedded cluster's kubeconfig and starts that cluster if need be. `local_file` is where that
    kubeconfig lies: KUBECONFIG may name it too.
    Raises ConfigError, UsageError and, of a credential plugin, UnauthorizedError.
    """
    from jobman.kube import access

    choice = decide(
        kube_config=kube_config,
        context=context,
        local=local,
        local_enabled=local_enabled,
        environ=environ,
        service_account=service_account,
    )
    if isinstance(choice, InCluster):
        return access.in_cluster(choice.origin, service_account, environ, namespace)
    if isinstance(choice, Kubeconfig):
        embedded = local_file is not None and choice.files == (str(local_file),)
        return access.kubeconfig(
            choice.files, choice.context, choice.origin, namespace, embedded=embedded
        )
    file = str(start_local())
    return access.kubeconfig(
        (file,), None, choice.origin, namespace, embedded=True, by_default=choice.by_default
    )


def decide(
    *,
    kube_config: KubeConfig,
    context: str | None,
    local: bool,
    local_enabled: bool,
    environ: Mapping[str, str],
    service_account: Path = SERVICE_ACCOUNT,
) -> Choice:
    """The choice that `connect` makes; nothing is started, and no credentials are read."""
    asked = _asked(kube_config, context, local=local, local_enabled=local_enabled, environ=environ)
    return choose(asked, look(asked, environ, service_account))


def _asked(
    kube_config: KubeConfig,
    context: str | None,
    *,
    local: bool,
    local_enabled: bool,
    environ: Mapping[str, str],
) -> Request:
    file = None if kube_config.file is None else _at_home(str(kube_config.file), environ)
    return Request(
        local=local,
        context=context,
        type=ClusterType(kube_config.type),
        file=file,
        settings_context=kube_config.context,
        local_enabled=local_enabled,
    )


def look(asked: Request, environ: Mapping[str, str], service_account: Path) -> Found:
    """What is there, as far as the choice needs it."""
    variable = environ.get("KUBECONFIG", "")
    parts = [_at_home(part, environ) for part in variable.split(":") if part]
    home_file = _at_home("~/.kube/config", environ)
    candidates = [*parts, home_file, *([asked.file] if asked.file else [])]
    return Found(
        variable=":".join(parts) or None,
        home_file=home_file,
        home_file_exists=_exists(home_file),
        present=frozenset(file for file in candidates if _has_content(file)),
        in_cluster=bool(environ.get("KUBERNETES_SERVICE_HOST"))
        and bool(environ.get("KUBERNETES_SERVICE_PORT"))
        and _exists(str(service_account / "token")),
    )


def _at_home(file: str, environ: Mapping[str, str]) -> str:
    if file != "~" and not file.startswith("~/"):
        return file
    return f"{home(environ)}{file[1:]}"


def _exists(file: str) -> bool:
    """Whether there is a file, or an error to tell about when reading it."""
    try:
        return Path(file).exists()
    except OSError:
        return True


def _has_content(file: str) -> bool:
    """The same of a file that is not empty; a pipe's content shows when it is read."""
    try:
        path = Path(file)
        return path.exists() and not (path.is_file() and path.stat().st_size == 0)
    except OSError:
        return True
