"""Who the user is, and the label that says so."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobman.kube.client import Client

ANONYMOUS = "system:anonymous"
LABEL_MAX = 63
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_CUT_MARK = "_x"
_CUT_HASH = 12
_ESCAPE = re.compile(r"_([0-9a-f]{2})")


def who_am_i(client: Client, settings_user: str | None, environ: Mapping[str, str]) -> str:
    """The user's name: as set, as the server knows it, as the kubeconfig or the system does."""
    if settings_user or environ.get("JOBMAN_USER"):
        return settings_user or environ["JOBMAN_USER"]
    reviewed = client.review_self()
    if reviewed and reviewed != ANONYMOUS:
        return reviewed
    return client.connection.kubeconfig_user or system_user(environ)


def system_user(environ: Mapping[str, str]) -> str:
    """The name of the user that this process belongs to."""
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return environ.get("USER") or f"uid-{os.getuid()}"


def user_label(user: str) -> str:
    """`user` as the value of a label.

    Each character outside [A-Za-z0-9.-] becomes `_` and two hex digits. A name that cannot be
    written so (too long, not ASCII, no letter or digit at its ends) is cut, and marked by a
    hash that `user_of_label` knows it by: such a label only filters.
    """
    plain = _escaped(user)
    fits = user.isascii() and len(plain) <= LABEL_MAX
    if not user or (fits and _LABEL.fullmatch(plain)):
        return plain
    digest = sha256(user.encode("utf-8", "surrogatepass")).hexdigest()[:_CUT_HASH]
    room = LABEL_MAX - len(_CUT_MARK) - _CUT_HASH
    return f"{plain.lstrip('._-')[:room] or 'u'}{_CUT_MARK}{digest}"


@lru_cache(maxsize=1024)
def user_of_label(label: str) -> str | None:
    """The name that `user_label` made `label` of; None where it was cut or is none of ours."""
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), label)
    return text if user_label(text) == label and _CUT_MARK not in label else None


def _escaped(user: str) -> str:
    return "".join(
        char
        if char.isascii() and (char.isalnum() or char in ".-")
        else "".join(f"_{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))
        for char in user
    )
