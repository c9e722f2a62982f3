"""What is wrong with a piece of JSON: the path, what was found, what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

from pydantic import BaseModel, ValidationError, ValidatorFunctionWrapHandler
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from jobman.values.names import nearest
from jobman.values.text import visible

Part = str | int
Path = tuple[Part, ...]
Found = tuple[Path, str]
"""A problem found by a validator: where below its own value, and what."""
SEVERAL: LiteralString = "several"
SECRETS = frozenset({"token", "password"})


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at one place in the JSON."""

    at: Path
    message: str

    @property
    def path(self) -> str:
        """The place as a JSON path."""
        return json_path(self.at)

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.at else self.message


def json_path(parts: Iterable[Part]) -> str:
    """`job.resources.predefined[2].resources.requests["nvidia.com/gpu"]`."""
    text = ""
    for part in parts:
        if isinstance(part, str) and part.replace("-", "_").isidentifier():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def several(found: Sequence[Found]) -> PydanticCustomError:
    """An error for a validator that found problems at paths below its own value."""
    return PydanticCustomError(SEVERAL, "several problems", {"problems": list(found)})


def checked(value: Any, handler: ValidatorFunctionWrapHandler, found: Sequence[Found]) -> Any:
    """`value` through a wrapped validator, with more problems than it finds by itself."""
    if not found:
        return handler(value)
    lines: list[InitErrorDetails] = []
    try:
        handler(value)
    except ValidationError as error:
        lines = [_again(details) for details in error.errors()]
    lines.append(InitErrorDetails(type=several(found), input=value))
    raise ValidationError.from_exception_data("settings", lines)


def _again(details: ErrorDetails) -> InitErrorDetails:
    """A line of an error, to be raised once more."""
    context = details.get("ctx", {})
    kind: Any = several(context["problems"]) if details["type"] == SEVERAL else details["type"]
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=context)


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems of a pydantic error, each at its own JSON path."""
    return [problem for details in error.errors() for problem in _problems(details, model)]


def _problems(details: ErrorDetails, model: type[BaseModel]) -> Iterator[Problem]:
    at, context = details["loc"], details.get("ctx", {})
    match details["type"]:
        case "several":
            for below, message in context["problems"]:
                yield Problem((*at, *below), message)
        case "extra_forbidden":
            yield Problem(at, _unknown(str(at[-1]), _keys_at(model, at[:-1])))
        case "value_error":
            yield Problem(at, str(context["error"]))
        case "missing":
            yield Problem(at, "is missing")
        case _:
            message = f"found {_found(at, details['input'])}: {_allowed(details['msg'])}"
            yield Problem(at, message)


def _found(at: Path, value: Any) -> str:
    """A value as JSON writes it; of an object or a list only that it is one."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if SECRETS.intersection(at):
        return "something else"
    return visible(json.dumps(value, ensure_ascii=False, default=str), limit=60)


def _allowed(message: str) -> str:
    """Pydantic's words in JSON's: a dictionary is an object."""
    text = message[:1].lower() + message[1:]
    for word in ("a valid dictionary or instance of ", "a valid dictionary"):
        head, found, _ = text.partition(word)
        if found:
            return f"{head}an object"
    return text


def _unknown(key: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = nearest(key, names)
    return (
        f"unknown key; did you mean '{close}'?"
        if close
        else f"unknown key; known: {', '.join(names)}"
    )


def _keys_at(model: type[BaseModel], parts: Sequence[Part]) -> Iterable[str]:
    """The keys of the model that a path of keys and indexes leads to."""
    for part in parts:
        if isinstance(part, str):
            model = dict(nested(model)).get(part, model)
    return keys(model)


def keys(model: type[BaseModel]) -> list[str]:
    """A model's keys as JSON writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def nested(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    """The keys of a model whose values, or whose list items, are models themselves."""
    for name, field in model.model_fields.items():
        for inner in _models_in(field.annotation):
            yield field.alias or name, inner


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def known_part(
    model: type[BaseModel], value: Any, unknown: list[Problem], at: tuple[Part, ...] = ()
) -> Any:
    """`value` without the keys that a lenient model does not know; those go to `unknown`."""
    if isinstance(value, list):
        return [known_part(model, item, unknown, (*at, i)) for i, item in enumerate(value)]
    if not isinstance(value, dict) or model.model_config.get("extra") != "ignore":
        return value
    known, inner = keys(model), dict(nested(model))
    unknown += [Problem((*at, key), _unknown(key, known)) for key in value if key not in known]
    return {
        key: known_part(inner[key], item, unknown, (*at, key)) if key in inner else item
        for key, item in value.items()
        if key in known
    }
