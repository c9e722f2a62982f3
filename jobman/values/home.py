"""Where the user's own files are."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from jobman.errors import ConfigError


def home(environ: Mapping[str, str]) -> Path:
    """The user's home directory: HOME, else the system's word. Raises ConfigError without both."""
    if given := environ.get("HOME"):
        return Path(given)
    uid = os.geteuid()
    try:
        return Path(pwd.getpwuid(uid).pw_dir)
    except KeyError:
        raise ConfigError(
            f"no home directory: HOME is not set, and the system knows no user {uid}",
            hint="set HOME to a directory of your own",
        ) from None
