"""What a command is handed: options, streams, clock, width, settings, and the cluster."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from jobman.cli.termination import wait_for_input
from jobman.values.enums import Output
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.config.layers import LoadedSettings
    from jobman.kube.client import Client


@dataclass(frozen=True)
class GlobalOptions:
    """The options that every command takes; None or False where not given."""

    settings: Path | None = None
    context: str | None = None
    namespace: str | None = None
    local: bool = False
    output: Output | None = None
    verbose: bool = False

    def overlaid(self, given: Mapping[str, Any]) -> GlobalOptions:
        """These options with those that were given put over them."""
        return replace(self, **given)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class AppContext:
    """Made once at the root; tests make their own."""

    out: TextIO
    err: TextIO
    options: GlobalOptions = field(default_factory=GlobalOptions)
    now: Callable[[], datetime] = _utc_now
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    columns: int | None = None
    stdin: TextIO = field(default_factory=lambda: sys.stdin)

    @classmethod
    def of_process(cls) -> AppContext:
        """The context of this process: its streams, its environment, the real clock."""
        return cls(out=sys.stdout, err=sys.stderr)

    @property
    def width(self) -> int:
        """Columns of the terminal."""
        return self.columns or shutil.get_terminal_size().columns

    @property
    def out_is_terminal(self) -> bool:
        """Whether a person reads stdout."""
        return self.out.isatty()

    @property
    def err_is_terminal(self) -> bool:
        """Whether a person reads stderr."""
        return self.err.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether there is a person to answer a question."""
        return self.stdin.isatty() and self.err_is_terminal

    def agreed(self, question: str) -> bool:
        """Ask on stderr; only a plain yes is one."""
        try:
            self.err.write(f"{visible(question)} [y/N] ")
            self.err.flush()
            return self.answer().strip().lower() in ("y", "yes")
        except KeyboardInterrupt:
            self.say("")  # what the shell writes next begins a line
            raise

    def answer(self) -> str:
        """The line that the person types."""
        wait_for_input(self.stdin)
        return self.stdin.readline()

    @property
    def color(self) -> bool:
        """Whether stdout may carry colour."""
        return self.out_is_terminal and not self.environ.get("NO_COLOR")

    def write(self, text: str) -> None:
        """A line of the result, to stdout."""
        self.out.write(text + "\n")

    def say(self, text: str) -> None:
        """A line of talk, to stderr; what the terminal would act on in it is shown instead."""
        self.err.write(visible(text, newlines=True) + "\n")
        self.err.flush()

    def warn(self, text: str) -> None:
        """A warning, to stderr."""
        self.say(f"warning: {text}")

    def output(self, default: Output = Output.TABLE) -> Output:
        """The form asked for with -o."""
        return self.options.output or default

    @cached_property
    def settings(self) -> LoadedSettings:
        """The merged settings with their provenance; warnings are said once."""
        from jobman.config.layers import load

        loaded = load(self.options.settings, environ=self.environ)
        for warning in loaded.warnings:
            self.warn(warning)
        return loaded

    @cached_property
    def client(self) -> Client:
        """The connection to the chosen cluster, made at the first use."""
        from jobman.cli.cluster import connect

        return connect(self)

    @cached_property
    def user(self) -> str:
        """Who the user is on the chosen cluster."""
        from jobman.kube.identity import who_am_i

        return who_am_i(self.client, self.settings.values.user, self.environ)
