"""The images of each project as they were a short while ago, for completion and submit.

One file for each server, project and credential, so that what one credential may see is never
shown to another. A cache that cannot be read or written is no cache, never an error.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

import msgspec

from jobman.images.models import Image
from jobman.images.transport import Transport
from jobman.values.files import replace_file

FRESH_S = 300.0


class _Content(msgspec.Struct):
    saved_at: float
    images: list[Image]


class Cache:
    """The kept image list of one project, for one credential."""

    def __init__(self, directory: Path, transport: Transport) -> None:
        credential = transport.credential
        who = (credential.user, credential.secret) if credential else ()
        identity = repr((transport.base_url, transport.project, who)).encode()
        self._path = directory / f"{hashlib.sha256(identity).hexdigest()}.json"

    def load(self, *, max_age_s: float | None = FRESH_S) -> list[Image] | None:
        """What was saved within `max_age_s` (None: ever), or None."""
        try:
            content = msgspec.json.decode(self._path.read_bytes(), type=_Content)
        except (OSError, msgspec.DecodeError):
            return None
        age_s = time.time() - content.saved_at
        return content.images if max_age_s is None or 0 <= age_s <= max_age_s else None

    def save(self, images: list[Image]) -> None:
        """Keep `images` in a file that only the owner may read."""
        body = msgspec.json.encode(_Content(time.time(), images))
        with contextlib.suppress(OSError):
            replace_file(self._path, body)
