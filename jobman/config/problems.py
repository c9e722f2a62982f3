"""What is wrong with a piece of JSON: the path, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from jobman.values.names import nearest
from jobman.values.text import visible

Part = str | int


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, at one JSON path."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def json_path(parts: Iterable[Part]) -> str:
    """`job.resources.predefined[2].name`."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{part}"
    return text


def several(problems: Sequence[tuple[str, str]]) -> PydanticCustomError:
    """An error for a validator that found problems at paths below its own value."""
    return PydanticCustomError("several", "several problems", {"problems": list(problems)})


def problems_of(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """The problems of a pydantic error, each at its own JSON path."""
    return [problem for details in error.errors() for problem in _problems(details, model)]


def _problems(details: ErrorDetails, model: type[BaseModel]) -> Iterator[Problem]:
    # A union adds the name of the branch it tried to the path; JSON has no such part.
    parts = [p for p in details["loc"] if not (isinstance(p, str) and p.endswith("]"))]
    path = json_path(parts)
    context = details.get("ctx", {})
    if details["type"] == "several":
        for below, message in context["problems"]:
            yield Problem(f"{path}.{below}" if path else below, message)
    elif details["type"] == "extra_forbidden":
        yield Problem(path, _unknown(str(parts[-1]), _keys_at(model, parts[:-1])))
    elif details["type"] == "value_error":
        yield Problem(path, str(context["error"]))
    elif details["type"] == "missing":
        yield Problem(path, "is missing")
    else:
        yield Problem(path, f"{_found(details['input'])}: {_allowed(details['msg'])}")


def _found(value: Any) -> str:
    return f"found {visible(repr(value), limit=60)}"


def _allowed(message: str) -> str:
    return message[:1].lower() + message[1:]


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
            model = next((m for key, m in nested(model) if key == part), model)
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


def unknown_keys(
    model: type[BaseModel], value: Any, at: tuple[Part, ...] = ()
) -> Iterator[Problem]:
    """Keys that a model which ignores them does not know, at any depth."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_keys(model, item, (*at, index))
    if not isinstance(value, dict) or model.model_config.get("extra") != "ignore":
        return
    known = keys(model)
    inner = dict(nested(model))
    for key, item in value.items():
        if key not in known:
            yield Problem(json_path((*at, key)), _unknown(key, known))
        elif key in inner:
            yield from unknown_keys(inner[key], item, (*at, key))
