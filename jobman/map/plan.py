"""A run as it was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jobman.map.command_line import CommandLine
from jobman.map.items import Items
from jobman.map.template import Template


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run, every choice made.

    `max_pending` None adapts. `retries`: how often an item is run again whose pod vanished.
    `retry_reasons`: run again what failed for one of these. `pace_s`: seconds between two
    creations. `settings` and `command` are noted in run.json as they are.
    """

    run: str
    items: Items
    template: Template
    namespace: str
    user: str
    log_dir: Path
    max_pending: int | None = None
    max_running: int = 100_000
    retries: int = 3
    pace_s: float = 0.0
    keep_pods: bool = False
    keep_failed_pods: bool = False
    stream_logs: bool = False
    retry_failed: bool = False
    retry_reasons: frozenset[str] = frozenset()
    rerun: bool = False
    keep_going: bool = False
    no_wait: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    command: CommandLine = field(default_factory=CommandLine)
