"""The files in a container's directory, and the commands that its holder takes (see shim.py)."""

from __future__ import annotations

SPEC = "spec.json"
CTL = "ctl"
CLAIM = "claim"
LOG = "log"
EXIT = "exit"

TERMINATE = b"T"
KILL = b"K"
