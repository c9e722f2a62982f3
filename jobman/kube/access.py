"""Credentials and addresses, read by the kubernetes package: a kubeconfig or a pod's account.

The package checks little: what would silently become http://localhost, or a request without
credentials, is refused here.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import yaml
from yaml import YAMLError, safe_dump

from jobman import __version__
from jobman.errors import ConfigError, UnauthorizedError, UnreachableError, UsageError
from jobman.kube import impersonation, later
from jobman.kube.connect import Connection
from jobman.kube.credentials import Credentials
from jobman.values.files import replace_file

with later.imported_later():
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader
    from kubernetes.config.kube_config import ConfigNode, KubeConfigLoader, KubeConfigMerger

MOST_CONNECTIONS = 64
SECTIONS = ("clusters", "contexts", "users")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MALFORMED = (ConfigException, YAMLError, ValueError, TypeError, AttributeError, KeyError)


def kubeconfig(
    files: tuple[str, ...],
    context: str | None,
    origin: str,
    namespace: str | None,
    *,
    embedded: bool = False,
    by_default: bool = False,
) -> Connection:
    """The connection that `context`, or the current context, of these files describes."""
    source = _Source(files, context)
    source.read()
    configuration, cluster, user = source.configuration, source.cluster, source.user
    _check_credentials(user, source.entry, configuration, source.named)
    if embedded or (_is_loopback(configuration.host) and "proxy-url" not in cluster):
        configuration.proxy = None
    changing = embedded or any(user.get(way) for way in ("exec", "tokenFile", "auth-provider"))
    api = _api(configuration)
    return Connection(
        api=api,
        namespace=_namespace(namespace or source.entry.get("namespace")),
        origin=origin,
        embedded=embedded,
        kubeconfig_user=source.entry.get("user"),
        context=source.context,
        server=configuration.host,
        by_default=by_default,
        proxy=configuration.proxy,
        credentials=Credentials(_plugin(user), partial(_renew, source, api) if changing else None),
        acting_as=impersonation.headers(user, source.named),
    )


class _Source:
    """A context of kubeconfig files; `read` may be called again when the files have changed."""

    def __init__(self, files: tuple[str, ...], context: str | None) -> None:
        self.named = ", ".join(files)
        self.context = context
        self.configuration = Configuration()
        self.entry: Mapping[str, Any] = {}
        self.cluster: Mapping[str, Any] = {}
        self.user: Mapping[str, Any] = {}
        self._files = files

    def read(self) -> None:
        """Put address and credentials into the configuration."""
        with _reading(self.named):
            for file in self._files:
                with suppress(FileNotFoundError):
                    Path(file).stat()  # the package passes over what may not be looked at
            merged = _Merger(":".join(self._files))  # type: ignore[no-untyped-call]
            self.context = self.context or _current_context(merged, self.named)
            self.entry = _context(merged, self.context, self.named)
            self.cluster = _cluster(merged, self.entry["cluster"], self.named)
            self.user = _user(merged, self.entry, self.named)
            loader = KubeConfigLoader(
                merged.config, active_context=self.context, config_persister=merged.save_changes
            )
            with Credentials(_plugin(self.user)).checked():
                loader.load_and_set(self.configuration)


def in_cluster(
    origin: str, service_account: Path, environ: Mapping[str, str], namespace: str | None
) -> Connection:
    """The connection with the service account of the pod that this process runs in."""
    configuration = Configuration()
    with _reading(str(service_account)):
        loader = InClusterConfigLoader(
            token_filename=str(service_account / "token"),
            cert_filename=str(service_account / "ca.crt"),
            environ=environ,
        )
        loader.load_and_set(configuration)
        own = service_account / "namespace"
        found = own.read_text("utf-8").strip() if own.exists() else None
    return Connection(
        api=_api(configuration),
        namespace=_namespace(namespace or found),
        origin=origin,
        embedded=False,
        kubeconfig_user=None,
        context=None,
        server=configuration.host,
        proxy=configuration.proxy,
    )


class _Merger(KubeConfigMerger):
    """Kubeconfig files, which the package writes back when it has renewed a login."""

    def load_config(self, path: str) -> None:
        """Add a file, read once (it may be a pipe), whose form is that of a kubeconfig."""
        with Path(path).open(encoding="utf-8") as file:
            config = yaml.load(file, _LOADER)
        _check_form(path, config)
        if self.config_merged is None:
            empty: dict[str, Any] = {section: [] for section in SECTIONS}
            self.config_merged = ConfigNode(path, {**config, **empty}, path)
        for section in SECTIONS:
            entries = config.get(section) or []
            self._merge(section, entries, path)  # type: ignore[no-untyped-call]
        self.config_files[path] = config

    def save_config(self, path: str) -> None:
        """Write a file in one go: another process of the user's may read it at this moment."""
        file = Path(path).resolve()
        text = safe_dump(self.config_files[path])
        try:
            replace_file(file, text.encode(), mode=file.stat().st_mode & 0o777)
        except OSError:
            # the file alone may be written, or is a mount
            super().save_config(path)  # type: ignore[no-untyped-call]


def _check_form(path: str, config: Any) -> None:
    """Raise ConfigError where merging, or the package, would stumble over what the file holds."""
    if config is None:
        raise ConfigError(f"{path} is no kubeconfig: it is empty")
    if not isinstance(config, dict):
        found = {"str": "text", "list": "a list"}.get(type(config).__name__, "a single value")
        raise ConfigError(f"{path} is no kubeconfig: it is {found}, not a mapping")
    for section in SECTIONS:
        entries = config.get(section) or []
        if not isinstance(entries, list):
            raise ConfigError(f"{path} is no kubeconfig: {section}: must be a list")
        if not all(isinstance(entry, dict) and entry.get("name") for entry in entries):
            raise ConfigError(
                f"{path} is no kubeconfig: {section}: each entry must be a mapping with a name"
            )


@contextmanager
def _reading(named: str) -> Iterator[None]:
    """Turn what the package raises on a bad file into a ConfigError that names it."""
    try:
        yield
    except YAMLError as error:
        raise ConfigError(f"{named} is not YAML: {' '.join(str(error).split())}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{named} is not text: {error.reason}") from error
    except OSError as error:
        if error.filename:
            raise ConfigError(f"{error.filename}: {error.strerror}") from error
        raise UnreachableError(f"the login service of {named} failed: {error}") from error
    except _MALFORMED as error:
        raise ConfigError(f"{named} cannot be used: {' '.join(str(error).split())}") from error


def _current_context(merged: KubeConfigMerger, named: str) -> str:
    """The first file that names one decides, as with kubectl (the package takes the last)."""
    for config in merged.config_files.values():
        if config.get("current-context"):
            return str(config["current-context"])
    raise ConfigError(
        f"{named} has no current-context",
        hint=f"{_choices(merged)}; or use the embedded cluster with --local",
    )


def _context(merged: KubeConfigMerger, name: str, named: str) -> Mapping[str, Any]:
    found = _find(merged, "contexts", name)
    if found is None:
        raise ConfigError(f"{named} has no context {name!r}", hint=_choices(merged))
    entry = found.get("context")
    if not isinstance(entry, dict) or not entry.get("cluster"):
        raise ConfigError(f"{named}: the context {name!r} names no cluster")
    return entry


def _choices(merged: KubeConfigMerger) -> str:
    names = [str(_plain(item).get("name")) for item in _items(merged, "contexts")]
    if not names:
        return "it has no contexts at all"
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"name one with --context: {', '.join(names[:20])}{more}"


def _cluster(merged: KubeConfigMerger, name: str, named: str) -> dict[str, Any]:
    if _find(merged, "clusters", name) is None:
        raise ConfigError(f"{named}: the context's cluster {name!r} is not there")
    cluster = _entry(merged, "clusters", name)
    server = cluster.get("server")
    if not isinstance(server, str) or urlsplit(server).scheme not in ("http", "https"):
        raise ConfigError(f"{named}: the cluster {name!r} has no server address (https://…)")
    return cluster


def _user(merged: KubeConfigMerger, entry: Mapping[str, Any], named: str) -> dict[str, Any]:
    """The user's part; a context without one is anonymous, one with an unknown one is wrong."""
    name = entry.get("user")
    if not name:
        return {}
    if _find(merged, "users", name) is None:
        raise ConfigError(f"{named}: the context's user {name!r} is not there")
    return _entry(merged, "users", name)


def _entry(merged: KubeConfigMerger, section: str, name: str) -> dict[str, Any]:
    """The content of a named entry, {} where it is empty or missing."""
    found = _find(merged, section, name) or {}
    content = found.get(section.removesuffix("s"))
    return content if isinstance(content, dict) else {}


def _find(merged: KubeConfigMerger, section: str, name: str) -> dict[str, Any] | None:
    items = (_plain(item) for item in _items(merged, section))
    return next((item for item in items if item.get("name") == name), None)


def _items(merged: KubeConfigMerger, section: str) -> list[Any]:
    found = _plain(merged.config).get(section) if merged.config is not None else None
    return found if isinstance(found, list) else []


def _plain(node: Any) -> dict[str, Any]:
    """What the package wrapped into a ConfigNode."""
    value = getattr(node, "value", node)
    return value if isinstance(value, dict) else {}


def _plugin(user: Mapping[str, Any]) -> str | None:
    """The command of the user's `exec`."""
    found = user.get("exec")
    return str(found.get("command")) if isinstance(found, dict) else None


def _check_credentials(
    user: Mapping[str, Any], entry: Mapping[str, Any], configuration: Configuration, named: str
) -> None:
    """Refuse a user whose way to log in gave nothing; one with no way at all is anonymous."""
    if configuration.api_key or configuration.cert_file:
        return
    ways = [way for way in ("auth-provider", "exec", "token", "tokenFile") if user.get(way)]
    if ways:
        raise UnauthorizedError(
            f"{named}: the {ways[0]} of the user {entry.get('user')!r} gave no credentials",
            code=401,
            reason="NoCredentials",
            hint="log in to the cluster again; the kubernetes package knows the auth-providers"
            " gcp and oidc, and exec plugins",
        )


def _api(configuration: Configuration) -> ApiClient:
    """A client that leaves repeating to jobman and says who it is."""
    configuration.retries = False
    configuration.keep_alive = True
    configuration.connection_pool_maxsize = MOST_CONNECTIONS
    if not configuration.verify_ssl:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    try:
        with warnings.catch_warnings(category=urllib3.exceptions.DependencyWarning):
            warnings.simplefilter("ignore", urllib3.exceptions.DependencyWarning)
            api = ApiClient(configuration)
    except ImportError as error:
        raise ConfigError(
            f"the proxy {configuration.proxy} speaks SOCKS, which needs the package PySocks",
            hint="pip install PySocks",
        ) from error
    except (ValueError, urllib3.exceptions.HTTPError) as error:
        raise ConfigError(f"the proxy {configuration.proxy} cannot be used: {error}") from error
    api.user_agent = f"jobman/{__version__}"
    return api


def _renew(source: _Source, api: ApiClient) -> None:
    """Read the files again; a connection that has begun keeps the certificates it began with."""
    before = _certificates(source.configuration)
    source.read()
    if _certificates(source.configuration) != before:
        api.rest_client = _api(source.configuration).rest_client


def _certificates(configuration: Configuration) -> tuple[Any, ...]:
    """The files by which both ends prove themselves; content that was handed out gets a new one."""
    return configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file


def _is_loopback(host: str) -> bool:
    name = urlsplit(host).hostname or ""
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _namespace(name: str | None) -> str:
    name = name or "default"
    label = name.replace("-", "a")
    plain = name.isascii() and label.isalnum() and name == name.lower() and len(name) <= 63
    if not plain or name[0] == "-" or name[-1] == "-":
        raise UsageError(
            f"{name!r} is no name of a namespace: lower-case letters, digits and '-', at most 63"
        )
    return name
