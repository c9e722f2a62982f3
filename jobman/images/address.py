"""Where a Harbor project's server is, without asking it."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from jobman.config.settings import HarborProject
from jobman.errors import ConfigError

_PLAIN = re.compile(r"[^\s?#\0]+")


def base_url(project: HarborProject) -> str:
    """The server's URL without the API's path. Raises ConfigError for anything but http(s)."""
    url = str(project.base_url).rstrip("/").removesuffix("/api/v2.0").removesuffix("/api")
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of a bracket or a port that is wrong
        is_address = False
    if not is_address or not _PLAIN.fullmatch(url):
        raise ConfigError(f"harborProjects '{project.name}': baseUrl must be http(s)://HOST")
    if parts.username or parts.password:
        raise ConfigError(
            f"harborProjects '{project.name}': baseUrl must not carry a credential",
            hint="use token, or username and passwordFile",
        )
    return url


def security_warnings(project: HarborProject) -> list[str]:
    """What is said at each use of a project whose connection is open to others."""
    parts = urlsplit(base_url(project))
    if parts.scheme == "http" and not is_loopback(parts.netloc):
        return [f"Harbor project '{project.name}' is asked over plain http ({parts.netloc})"]
    if project.insecure and parts.scheme == "https":
        return [f"Harbor project '{project.name}': certificates are not verified (insecure)"]
    return []


def is_loopback(netloc: str) -> bool:
    """Whether host[:port] is this machine."""
    host = urlsplit(f"//{netloc}").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host(project: HarborProject) -> str:
    """host[:port], as references to its images begin. Raises ConfigError as `base_url` does."""
    return urlsplit(base_url(project)).netloc
