"""Acting as somebody else, as a kubeconfig's user says; the kubernetes package leaves that out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from jobman.errors import ConfigError

Headers = tuple[tuple[str, str], ...]


def headers(user: Mapping[str, Any], named: str) -> Headers:
    """The headers for `as`, `as-uid`, `as-groups` and `as-user-extra`; a name may come repeatedly.

    `named` is the kubeconfig. Raises ConfigError for what no header can say.
    """
    try:
        found = tuple(_headers(user))
    except (AttributeError, TypeError) as error:
        raise ConfigError(
            f"{named}: as-groups is a list, and as-user-extra an object of lists"
        ) from error
    if found and not user.get("as"):
        raise ConfigError(f"{named}: it says which groups to act with, but not `as` whom")
    for _, value in found:
        if not (value.isascii() and value.isprintable()):
            raise ConfigError(f"{named}: it is to act as {value!r}, which no HTTP header can say")
    return found


def _headers(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, name in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid")):
        if user.get(key):
            yield name, str(user[key])
    for group in _texts(user.get("as-groups")):
        yield "Impersonate-Group", group
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in _texts(values):
            yield f"Impersonate-Extra-{quote(str(key), safe='')}", value


def _texts(values: list[Any] | None) -> Iterator[str]:
    if isinstance(values, str):
        raise TypeError(values)
    return map(str, values or ())
