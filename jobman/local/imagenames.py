"""Whether an image's name is one: nothing is pulled here, but a name must still be well-formed."""

from __future__ import annotations

import re

_HOST = r"(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"  # noqa: E501
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_TAG = r"[\w][\w.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(rf"(?P<name>(?:{_HOST}/)?{_PATH})(?::{_TAG})?(?:@{_DIGEST})?", re.ASCII)
_MAX_NAME = 255


def problem(image: str) -> str | None:
    """Why `image` is no image name, in the words of a kubelet; None when it is one."""
    match = _REFERENCE.fullmatch(image)
    if match is not None and len(match["name"]) <= _MAX_NAME:
        return None
    return (
        f'Failed to apply default image tag "{image}": '
        f'couldn\'t parse image name "{image}": {_why(image)}'
    )


def _why(image: str) -> str:
    name = image.split(":", 1)[0] if "/" not in image.split(":", 1)[-1] else image
    first, _, rest = name.partition("/")
    is_host = bool(rest) and (any(sign in first for sign in ".:") or first == "localhost")
    path = rest if is_host else (name if "/" in name else f"library/{name}")
    if path != path.lower():
        return f"invalid reference format: repository name ({path}) must be lowercase"
    return "invalid reference format"
