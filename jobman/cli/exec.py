"""`jobman exec`: a command in a running job's container."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from jobman.cli import completion, each
from jobman.cli.command import Command, app_context
from jobman.cli.named import Force
from jobman.errors import JobmanError, NotFoundError, UsageError
from jobman.values.names import LAST
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.jobs.exec import Streams
    from jobman.kube.objects import Job, Pod


class ExecCommand(Command):
    """Options may follow the job's name, up to `--`; without one, its name ends them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with the words before `--` in any order where they are one name and options."""
        if "--" in args:
            ctx.allow_interspersed_args = True
            head = args[: args.index("--")]
            given, _, _ = self.make_parser(ctx).parse_args(list(head))
            ctx.allow_interspersed_args = not given.get("words")
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    """Add the command."""
    settings = {"allow_interspersed_args": False}
    app.command("exec", cls=ExecCommand, context_settings=settings)(exec_)


def exec_(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="The job: its name, or LAST.", autocompletion=completion.jobs
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", help="The command and its words."),
    ] = None,
    stdin: Annotated[
        bool, typer.Option("-i", "--stdin", help="Pass my input on to the command.")
    ] = False,
    tty: Annotated[
        bool, typer.Option("-t", "--tty", help="Give the command a terminal; needs mine.")
    ] = False,
    container: Annotated[
        str | None,
        typer.Option("-c", "--container", metavar="NAME", help="Another container than the main."),
    ] = None,
    index: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="The pod of this index of an array.")
    ] = None,
    force: Force = False,
) -> None:
    """Run a command in a running job's container; ends with the command's exit code."""
    app = app_context(ctx)
    command = list(words or ())
    if not command:
        raise UsageError("no command is given", hint=f"jobman exec {name} -- sh -c 'id; pwd'")
    from jobman.cli.log_options import Excerpt
    from jobman.cli.log_reading import check
    from jobman.jobs.find import find_one

    job = find_one(app.client, name, app.user)
    if name == LAST and (run := each.last_run(app, job)):
        each.no_run(run)
    if not force:
        each.refuse_others(app, each.Chosen([job]), "exec")
    indexes = None if index is None else frozenset({index})
    check(job, Excerpt(container=container, indexes=indexes))
    pod = _running_pod(app, job, index)
    if tty and not app.stdin.isatty():
        app.warn("my input is no terminal: the command gets none either")
        tty = False
    code = _run(app, job, pod, command, container, stdin=stdin, tty=tty)
    raise typer.Exit(code)


def _running_pod(app: AppContext, job: Job, index: int | None) -> Pod:
    """The pod to run it in: of that index, else the first that runs."""
    from jobman.cli.log_reading import pods_of
    from jobman.cli.render.status_line import describe
    from jobman.jobs import state
    from jobman.values.enums import State

    pods = pods_of(app, job)
    view = state.of(job, list(pods.values()), now=app.now())
    wanted = [pod for pod in view.pods if index is None or pod.index == index]
    running = [pod for pod in wanted if pod.state is State.RUNNING and not pod.leaving]
    if not running:
        which = "" if index is None else f" of index {index}"
        raise NotFoundError(f"no pod{which} of job {job.metadata.name} runs: {describe(view)}")
    if len(running) > 1:
        taken = running[0]
        more = "" if taken.index is None else f", index {taken.index}; --index takes another"
        app.say(f"in pod {visible(taken.name)}, one of {len(running)} that run{more}")
    return pods[running[0].name]


def _run(
    app: AppContext,
    job: Job,
    pod: Pod,
    command: list[str],
    container: str | None,
    *,
    stdin: bool,
    tty: bool,
) -> int:
    from jobman.jobs.exec import carry
    from jobman.jobs.pods import main_container
    from jobman.kube.channels import open_exec

    channels = open_exec(
        app.client,
        pod.metadata.name,
        command,
        namespace=job.metadata.namespace,
        container=container or main_container(pod),
        stdin=stdin,
        tty=tty,
    )
    try:
        if stdin and not tty and not channels.can_close_stdin:
            app.warn("this server cannot be told where the input ends (it is older than v1.29)")
        with _streams(app, stdin=stdin, tty=tty) as streams:
            return carry(channels, streams)
    finally:
        channels.close()


@contextmanager
def _streams(app: AppContext, *, stdin: bool, tty: bool) -> Iterator[Streams]:
    from jobman.cli.render.forms import binary
    from jobman.jobs.exec import Streams

    out = binary(app)
    app.err.flush()
    err: BinaryIO = app.err.buffer
    source = _descriptor(app) if stdin or tty else None
    given = source if stdin else None
    if not tty or source is None:
        yield Streams(out, err, given)
        return
    with _raw(source), _resizes() as resized:
        yield Streams(out, err, given, resized, lambda: _size(source))


def _descriptor(app: AppContext) -> int:
    try:
        return app.stdin.fileno()
    except (OSError, ValueError, io.UnsupportedOperation) as error:
        raise JobmanError("there is no input to pass on") from error


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """The terminal passes every key on, Ctrl-C among them; as before at the end."""
    import termios
    import tty as modes

    before = termios.tcgetattr(terminal)
    try:
        modes.setraw(terminal, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


@contextmanager
def _resizes() -> Iterator[int]:
    """A descriptor that is readable after each change of the terminal's size."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.signal(signal.SIGWINCH, lambda *_: _poke(writer))
    try:
        yield reader
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(reader)
        os.close(writer)


def _poke(writer: int) -> None:
    try:
        os.write(writer, b".")
    except BlockingIOError:
        return  # it is readable as it is


def _size(terminal: int) -> tuple[int, int]:
    size = os.get_terminal_size(terminal)
    return size.columns, size.lines
