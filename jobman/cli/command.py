"""The command classes: global options before and after a command's name.

Global options are declared once and accepted by the root, by every group and by every command;
where several give one, the one nearest the command's own words wins.
A command that has `forms` also takes `-o` with just those forms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from jobman.cli import completion
from jobman.cli.boundary import error_boundary
from jobman.cli.context import AppContext, GlobalOptions
from jobman.cli.problems import Problems
from jobman.errors import UsageError
from jobman.values.enums import Output

GLOBALS_PANEL = "Global options"
_EMPTY = "jobman.empty"
Function = TypeVar("Function", bound=Callable[..., Any])


def _declare_globals(
    settings: Annotated[
        Path | None,
        typer.Option("-s", "--settings", metavar="FILE", help="A settings file, over all others."),
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="NAME", help="The kubeconfig's context to use.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n",
            "--namespace",
            metavar="NAME",
            help="The namespace.",
            autocompletion=completion.namespaces,
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="Use the embedded cluster on this machine.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Say on stderr what is asked of the cluster.")
    ] = False,
) -> None:
    """Declare the options that every command takes."""


def _options_of(function: Callable[..., None]) -> list[TyperOption]:
    """The options of a function's signature, as typer builds them."""
    app = typer.Typer(add_completion=False)
    app.command()(function)
    options = [p for p in typer.main.get_command(app).params if isinstance(p, TyperOption)]
    for option in options:
        option.rich_help_panel = GLOBALS_PANEL
    return options


def _output_option(forms: tuple[Output, ...]) -> TyperOption:
    def declare(output: Any = None) -> None: ...

    form = StrEnum("Form", {f.name: f.value for f in forms})  # type: ignore[misc]
    help_text = "The form of the result on stdout."
    option = typer.Option("-o", "--output", help=help_text, metavar="|".join(forms))
    declare.__annotations__ = {"output": Annotated[form | None, option]}
    return _options_of(declare)[0]


@cache
def _declared_globals() -> list[TyperOption]:
    """The same objects for the root and all commands: each learns but once to check its values."""
    return _options_of(_declare_globals)


@cache
def _global_options(forms: tuple[Output, ...]) -> list[TyperOption]:
    return [*([_output_option(forms)] if forms else []), *_declared_globals()]


def _with_globals(own: list[Any], forms: tuple[Output, ...]) -> list[Any]:
    """`own` parameters, then the global options whose names are free, `--help` last."""
    taken = {name for p in own for name in p.opts}
    added = [o for o in _global_options(forms) if taken.isdisjoint(o.opts)]
    help_option = [p for p in own if p.name == "help"]
    return [*(p for p in own if p.name != "help"), *added, *help_option]


def _take_globals(ctx: typer.Context) -> None:
    """Move the global options given at this level into the app's context."""
    app = app_context(ctx)
    given: dict[str, Any] = {}
    for name in GlobalOptions.__dataclass_fields__:
        if name not in ctx.params:
            continue
        value = ctx.params.pop(name)
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            given[name] = Output(value.value) if name == "output" else value
    app.options = app.options.overlaid(given)


def app_context(ctx: typer.Context) -> AppContext:
    """The one AppContext of this run."""
    root = ctx.find_root()
    if not isinstance(root.obj, AppContext):
        root.obj = AppContext.of_process()
    return cast(AppContext, root.obj)


@contextmanager
def _plainly() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        plain = error.message.removeprefix("Value error, ")
        error.message = plain.replace("Input should be ", "it must be ")
        raise


def _note_empty(command: Any, ctx: Any, args: list[str]) -> None:
    """Keep in mind what has an empty text: "$IMAGE" of a script, unset by mistake.

    That is options, and arguments that are one word; of several a command knows what each means.
    """
    if ctx.resilient_parsing:
        return
    given, _, _ = command.make_parser(ctx).parse_args(list(args))
    ctx.meta.setdefault(_EMPTY, []).extend(
        param.opts[0] if isinstance(param, TyperOption) else param.metavar or param.name
        for param in command.get_params(ctx)
        if _is_named(param) and "" in _texts(given.get(param.name))
    )


def _is_named(param: Any) -> bool:
    return isinstance(param, TyperOption) or (isinstance(param, TyperArgument) and param.nargs == 1)


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _refuse_empty(ctx: Any) -> None:
    problems = Problems()
    problems.extend(f"{flag}: its value is empty" for flag in ctx.meta.get(_EMPTY, ()))
    problems.report()


class Command(TyperCommand):
    """A command that takes the global options."""

    forms: tuple[Output, ...] = ()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; what is wrong is said without the checking library's own words."""
        with _plainly():
            _note_empty(self, ctx, args)
            return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own parameters and the global ones."""
        return _with_globals(super().get_params(ctx), self.forms)

    def invoke(self, ctx: Any) -> Any:
        """Run the command with the global options taken out of its parameters."""
        _refuse_empty(ctx)
        _take_globals(ctx)
        asked = app_context(ctx).options.output
        if asked is not None and asked not in self.forms:
            takes = f"takes -o {'|'.join(self.forms)}" if self.forms else "takes no -o"
            raise UsageError(f"'{ctx.command_path}' {takes}, not {asked}")
        return super().invoke(ctx)


class Group(TyperGroup):
    """The root, or a family of commands; both take the global options too.

    `forms` narrows its `-o` where the family is a command by itself.
    """

    forms: tuple[Output, ...] = tuple(Output)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse; what is wrong is said without the checking library's own words."""
        with _plainly():
            _note_empty(self, ctx, args)
            return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own parameters and the global ones."""
        return _with_globals(super().get_params(ctx), self.forms)

    def invoke(self, ctx: Any) -> Any:
        """Run the named command, at the root inside the error boundary."""
        _take_globals(ctx)
        if ctx.parent is not None:
            _refuse_empty(ctx)
            return super().invoke(ctx)
        with error_boundary(app_context(ctx)):
            _refuse_empty(ctx)
            return super().invoke(ctx)


def command(
    app: typer.Typer,
    name: str,
    *,
    forms: tuple[Output, ...] = (),
    words: bool = False,
    hidden: bool = False,
    panel: str | None = None,
) -> Callable[[Function], Function]:
    """Register a function as the command `name`.

    `forms` are the values its `-o` takes, the first one the default; none: it has no `-o`.
    `words`: the first word that is no option ends jobman's own options (submit, exec, map).
    """
    cls = type("Command", (Command,), {"forms": forms})
    settings = {"allow_interspersed_args": False} if words else None
    return app.command(
        name, cls=cls, context_settings=settings, hidden=hidden, rich_help_panel=panel
    )
