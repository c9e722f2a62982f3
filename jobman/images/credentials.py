"""Who I am for a registry: the settings' credential, else the docker config's, else nobody."""

from __future__ import annotations

import base64
import binascii
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.config.settings import HarborProject
from jobman.errors import ConfigError
from jobman.values.home import home

HELPER_TIMEOUT_S = 10
_HELPER_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_IDENTITY_TOKEN_USER = "<token>"


@dataclass(frozen=True)
class Credential:
    """A user and a secret for HTTP Basic; the secret never shows in a repr."""

    user: str
    secret: str = field(repr=False)

    @classmethod
    def from_token(cls, token: str, where: str) -> Credential:
        """From base64 of `user:secret`. Raises ConfigError that does not show it."""
        try:
            user, colon, secret = base64.b64decode(token, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user, colon, secret = "", "", ""
        if not (user and colon):
            raise ConfigError(f"{where} is not the base64 of user:secret")
        return cls(user, secret)


def of_project(project: HarborProject, host: str, environ: Mapping[str, str]) -> Credential | None:
    """The credential for a Harbor project of the settings; None is anonymous."""
    where = f"harborProjects '{project.name}'"
    if project.token:
        return Credential.from_token(project.token, f"the token of {where}")
    if project.username or project.password_file:
        if not project.password_file:
            raise ConfigError(f"{where} has a username and no passwordFile")
        if not project.username:
            raise ConfigError(f"{where} has a passwordFile and no username")
        path = Path(project.password_file).expanduser()
        try:
            return Credential(project.username, path.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the passwordFile of {where}: {error}") from error
    return of_docker(host, environ)


def of_docker(host: str, environ: Mapping[str, str]) -> Credential | None:
    """What docker or podman would use for `host`: helpers first, then `auths`."""
    for path in _config_files(environ):
        config = _read(path)
        helper = _entry(config.get("credHelpers"), host) or config.get("credsStore")
        found = _ask_helper(helper, host) if isinstance(helper, str) else None
        found = found or _from_auths(config.get("auths"), host, path)
        if found:
            return found
    return None


def _config_files(environ: Mapping[str, str]) -> Iterator[Path]:
    if "REGISTRY_AUTH_FILE" in environ:
        yield Path(environ["REGISTRY_AUTH_FILE"])
    yield Path(environ.get("DOCKER_CONFIG") or home(environ) / ".docker") / "config.json"
    if "XDG_RUNTIME_DIR" in environ:
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"
    yield home(environ) / ".config" / "containers" / "auth.json"


def _read(path: Path) -> dict[str, Any]:
    """The file's object; a file of another program that is missing or broken means nothing."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _entry(table: Any, host: str) -> Any:
    """The entry for `host`; keys may carry a scheme and an API version."""
    if not isinstance(table, dict):
        return None
    for key, value in table.items():
        if re.sub(r"^https?://|(/v[12])?/?$", "", str(key)) == host:
            return value
    return None


def _from_auths(auths: Any, host: str, path: Path) -> Credential | None:
    entry = _entry(auths, host)
    if not isinstance(entry, dict) or not isinstance(entry.get("auth"), str) or not entry["auth"]:
        return None
    return Credential.from_token(entry["auth"], f"the entry of {host} in {path}")


def _ask_helper(helper: str, host: str) -> Credential | None:
    """Ask `docker-credential-NAME get`; a helper that knows nothing or fails means nobody."""
    if not _HELPER_NAME.fullmatch(helper):
        return None
    try:
        done = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=host,
            capture_output=True,
            text=True,
            timeout=HELPER_TIMEOUT_S,
            check=True,
        )
        answer = json.loads(done.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(user, str) or not isinstance(secret, str) or user == _IDENTITY_TOKEN_USER:
        return None
    return Credential(user, secret)
