"""The images of each project as they were a short while ago, for completion and submit.

Files of their own for each server, project and credential, so that what one credential may see
is never shown to another. A cache that cannot be read or written is no cache, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from jobman.images.credentials import Credential
from jobman.images.models import Image
from jobman.values.files import replace_file

FRESH_S = 300.0
MOST_SEEN = 1000
Kept = TypeVar("Kept")


class _Listed(msgspec.Struct):
    saved_at: float
    images: list[Image]


class Cache:
    """What is kept of one project, for one credential."""

    def __init__(
        self, directory: Path, base_url: str, project: str, credential: Credential | None
    ) -> None:
        who = (credential.user, credential.secret) if credential else ()
        identity = repr((base_url, project, who)).encode()
        name = hashlib.sha256(identity).hexdigest()
        self._listed = directory / f"{name}.json"
        self._seen = directory / f"{name}.seen.json"

    def load(self, *, max_age_s: float | None = FRESH_S) -> list[Image] | None:
        """The images that were saved within `max_age_s` (None: ever), or None."""
        content = _read(self._listed, _Listed)
        fresh = content is not None and _is_fresh(content.saved_at, max_age_s)
        return content.images if content and fresh else None

    def save(self, images: list[Image]) -> None:
        """Keep `images`, all that there are."""
        _write(self._listed, _Listed(time.time(), images))

    def was_seen(self, image: str, *, max_age_s: float | None) -> bool:
        """Whether `image` (name:tag) was noted within `max_age_s` (None: ever)."""
        seen_at = (_read(self._seen, dict[str, float]) or {}).get(image)
        return seen_at is not None and _is_fresh(seen_at, max_age_s)

    def note(self, image: str) -> None:
        """Keep that `image` is there now; the oldest of MOST_SEEN makes room for it."""
        seen = _read(self._seen, dict[str, float]) or {}
        seen[image] = time.time()
        newest = sorted(seen.items(), key=lambda entry: entry[1])[-MOST_SEEN:]
        _write(self._seen, dict(newest))


def _is_fresh(saved_at: float, max_age_s: float | None) -> bool:
    return max_age_s is None or 0 <= time.time() - saved_at <= max_age_s


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, ValueError, RecursionError):
        return None


def _write(path: Path, content: object) -> None:
    """The file is for the owner's eyes alone."""
    with contextlib.suppress(OSError):
        replace_file(path, msgspec.json.encode(content))
