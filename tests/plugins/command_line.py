"""Whole commands in this process, against the world behind a scripted server."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from plugins.job_world import NAMESPACE, NOW, JobWorld

from jobman.cli.app import application
from jobman.cli.context import AppContext


class Stream(io.TextIOWrapper):
    """A stream in memory that says whether it is a terminal."""

    def __init__(
        self,
        *,
        terminal: bool,
        content: bytes = b"",
        on_write: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)
        self.terminal = terminal
        self._on_write = on_write

    def write(self, text: str) -> int:
        count = super().write(text)
        self._on_write(text)
        return count

    def isatty(self) -> bool:
        return self.terminal

    @property
    def bytes(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined, no-any-return]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    raw: bytes
    talk: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Run = Callable[..., Done]


@pytest.fixture
def run(
    world: JobWorld,
    write_kubeconfig: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Run a command: `run("list", "-o", "json", terminal=True, columns=80)`.

    `on_talk` is called with what is written to stderr, as it is written.
    """
    kubeconfig = write_kubeconfig(world.server.url, context={"namespace": NAMESPACE})
    home = tmp_path / "a home"
    home.mkdir()
    monkeypatch.chdir(home)
    command = typer.main.get_command(application())

    def run_it(
        *args: str,
        terminal: bool = False,
        columns: int = 100,
        env: dict[str, str] | None = None,
        typed: str = "",
        on_talk: Callable[[str], None] = lambda _: None,
    ) -> Done:
        out, err = Stream(terminal=terminal), Stream(terminal=terminal, on_write=on_talk)
        environ = {"HOME": str(home), "KUBECONFIG": str(kubeconfig)} | (env or {})
        stdin = Stream(terminal=terminal, content=typed.encode())
        context = AppContext(
            out=out, err=err, environ=environ, now=lambda: NOW, columns=columns, stdin=stdin
        )
        with pytest.raises(SystemExit) as ended:
            command.main(list(args), prog_name="jobman", obj=context)
        return Done(int(ended.value.code or 0), out.bytes, err.bytes.decode())

    return run_it
