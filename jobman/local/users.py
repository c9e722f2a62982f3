"""Who holds which token: the owner, and those made with `jobman local user`.

Such a user is a Secret of a type of its own in kube-system. Every start of the daemon gives new
tokens, and writes every user's kubeconfig again, since the address is a new one too.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import getpass
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.local import kubeconfig
from jobman.local.api.registry import Registry
from jobman.local.api.users import AUTHENTICATED, MASTERS, User, identified
from jobman.local.stored import Change
from jobman.values.files import replace_file

Object = dict[str, Any]

SECRET_TYPE = "local.jobman/user"
SECRET_NAMESPACE = "kube-system"


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def owner_name() -> str:
    """The name of the user whom this process belongs to; a container's may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return f"uid-{os.getuid()}"


@dataclass
class Tokens(Mapping[str, User]):
    """token -> User, kept up with the users' Secrets; their kubeconfigs lie in `directory`."""

    registry: Registry
    directory: Path
    owner: str
    owner_token: str
    ca: bytes
    address: str = ""
    _users: dict[str, User] = field(default_factory=dict)
    _token_of: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._users[self.owner_token] = User(self.owner, (MASTERS, AUTHENTICATED))

    def __getitem__(self, token: str) -> User:
        return self._users[token]

    def __iter__(self) -> Iterator[str]:
        return iter(self._users)

    def __len__(self) -> int:
        return len(self._users)

    def follow(self) -> None:
        """Take in the users there are, and those to come."""
        self.registry.store.subscribe(self._changed, "secrets")
        for secret in self.registry.list("secrets", SECRET_NAMESPACE):
            if secret.get("type") == SECRET_TYPE:
                self._add(secret)

    def _changed(self, change: Change) -> None:
        if change.record.key.namespace != SECRET_NAMESPACE:
            return
        secret = change.record.object()
        if secret.get("type") != SECRET_TYPE:
            return
        if change.type == "DELETED":
            self._drop(_decoded(secret, "name"))
        else:
            self._add(secret)

    def _add(self, secret: Object) -> None:
        name = _decoded(secret, "name")
        groups = tuple(g for g in _decoded(secret, "groups").split(",") if g)
        token = self._token_of.setdefault(name, new_token())
        self._users[token] = identified(name, groups)
        text = kubeconfig.text(address=self.address, ca=self.ca, user=name, token=token)
        path = self.directory / f"{secret['metadata']['name']}.kubeconfig"
        try:
            replace_file(path, text.encode())
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:  # of a Secret that somebody made by hand
                raise

    def _drop(self, name: str) -> None:
        token = self._token_of.pop(name, None)
        if token is not None:
            self._users.pop(token, None)


def _decoded(secret: Object, key: str) -> str:
    with contextlib.suppress(ValueError):
        return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()
    return ""
