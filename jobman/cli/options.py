"""Options that several commands take, declared once as the fields of a dataclass."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any, get_args, get_type_hints

from typer.models import OptionInfo

from jobman.errors import UsageError
from jobman.values.duration import parse_duration


def takes(options: type[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of the dataclass `options`.

    A field's type is `Annotated[T, typer.Option(…)]`, its default the option's. The command has
    a parameter called `options`, and is handed an instance.
    """
    hints = get_type_hints(options, include_extras=True)
    declared = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default if field.default is not MISSING else inspect.Parameter.empty,
            annotation=hints[field.name],
        )
        for field in fields(options)
    ]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        def run(**values: Any) -> None:
            given = {field.name: values.pop(field.name) for field in fields(options)}
            function(**values, options=options(**given))

        own = inspect.signature(function, eval_str=True).parameters.values()
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own if p.name != "options"]
        run.__name__, run.__doc__ = function.__name__, function.__doc__
        run.__signature__ = inspect.Signature([*kept, *declared])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*kept, *declared]}
        return run

    return decorate


def seconds_of(option: str, text: str) -> float:
    """The seconds of an option that is a duration. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {text}: {error}") from error


def flags_given(options: Any) -> list[tuple[str, str]]:
    """Field and flag of each option that was given, that is, differs from its default."""
    hints = get_type_hints(type(options), include_extras=True)
    given = [f for f in fields(options) if getattr(options, f.name) != f.default]
    return [(field.name, _flag(hints[field.name])) for field in given]


def _flag(hint: Any) -> str:
    """The flag that help lists first; typer keeps it apart from the others."""
    info = next(part for part in get_args(hint) if isinstance(part, OptionInfo))
    return str(info.default).partition("/")[0]
