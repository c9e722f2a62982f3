"""The name of a run, and the run of a name."""

from __future__ import annotations

import re

_NAME = re.compile(r"map-([a-z0-9]{8})")


def job_name(run: str) -> str:
    """The name of the runner's Job, and what those of its ConfigMaps begin with."""
    return f"map-{run}"


def run_of(name: str) -> str | None:
    """The run's id in the name of a run; None where it is no such name."""
    found = _NAME.fullmatch(name)
    return found[1] if found else None
