"""Flavors: named sets of requests and limits, and how `-r` finds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from jobman.config import problems as wrong
from jobman.config.names import FlavorName, Labels, ObjectName
from jobman.config.resources import DEFAULT_GPU, STRICT, Resources, is_exact, is_extended, is_gpu
from jobman.config.toleration import TolerationObject
from jobman.errors import ConfigError, UsageError
from jobman.values import quantity
from jobman.values.duration import parse_duration
from jobman.values.names import nearest
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.config.settings import Settings

__all__ = ["DEFAULT_GPU", "Flavor", "Resources", "is_extended", "is_gpu", "named", "resolve"]


def _duration_text(value: Any) -> str:
    """A duration as it was written; a number is seconds."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("is no duration (like 90, 45s, 2h30m or 7d)")
    if parse_duration(str(value)) <= 0:
        raise ValueError(f"'{value}' leaves no time at all")
    return str(value)


DurationText = Annotated[str, BeforeValidator(_duration_text, json_schema_input_type=str | float)]


class Flavor(BaseModel):
    """A named set of resources, and what else a job of that kind needs."""

    model_config = STRICT

    name: FlavorName = Field(description="the name that `-r` takes")
    description: str = Field(default="", description="for people, in `jobman flavors`")
    resources: Resources | None = Field(
        description="requests and limits; null hides the flavor of that name"
    )
    image: str | None = Field(default=None, description="the image of jobs that name none")
    node_selector: Labels = Field(default={}, description="labels a node must have")
    tolerations: list[TolerationObject] = Field(default=[], description="taints that do not matter")
    priority_class_name: ObjectName | None = Field(default=None, description="the PriorityClass")
    runtime_class_name: ObjectName | None = Field(default=None, description="the RuntimeClass")
    local_queue: ObjectName | None = Field(default=None, description="Kueue's LocalQueue")
    time_limit: DurationText | None = Field(
        default=None, description="the time limit of jobs that give none, like 90s, 2h30m or 7d"
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        """Null is as good as absent, but for `resources`, where it hides the flavor."""
        if not isinstance(value, dict):
            return value
        return {k: item for k, item in value.items() if item is not None or k == "resources"}

    @property
    def requests(self) -> Mapping[str, str]:
        """Its requests; empty for a hidden flavor."""
        return self.resources.requests if self.resources else {}

    @property
    def limits(self) -> Mapping[str, str]:
        """Its limits; empty for a hidden flavor."""
        return self.resources.limits if self.resources else {}

    @property
    def gpu_count(self) -> int:
        """GPUs of all vendors."""
        amounts = {**self.requests, **self.limits}
        return sum(quantity.parse(text).int_ceil for k, text in amounts.items() if is_gpu(k))

    @property
    def gpu_resource(self) -> str:
        """The GPU resource that this flavor speaks of, else NVIDIA's."""
        return next((k for k in [*self.requests, *self.limits] if is_gpu(k)), DEFAULT_GPU)

    def with_resources(self, changes: Mapping[str, str]) -> Flavor:
        """This flavor with some amounts changed; a zero takes an extended resource out.

        A request and its limit, where there is one, move together. Raises UsageError.
        """
        requests = {**self.requests, **changes}
        limits = {
            name: changes.get(name, text)
            for name, text in self.limits.items()
            if not (name in changes and is_exact(name))  # these follow their requests
        }
        resources = _without_zeros(requests, limits)
        try:
            return Flavor.model_validate({**self.model_dump(by_alias=True), "resources": resources})
        except ValidationError as error:
            raise _refused(f"resources on top of flavor '{self.name}'", error) from None

    def seed_json(self) -> dict[str, Any]:
        """The flavor as settings write it, without what is not set."""
        return self.model_dump(by_alias=True, exclude_defaults=True, mode="json")


def _without_zeros(requests: dict[str, str], limits: dict[str, str]) -> dict[str, dict[str, str]]:
    """Without extended resources of none; an amount that is no quantity stays to be refused."""

    def is_none(name: str) -> bool:
        try:
            return is_extended(name) and quantity.parse(requests.get(name, "1")).value == 0
        except ValueError:
            return False

    return {
        "requests": {name: text for name, text in requests.items() if not is_none(name)},
        "limits": {name: text for name, text in limits.items() if not is_none(name)},
    }


def resolve(text: str | None, settings: Settings, cwd: Path | None) -> Flavor:
    """The flavor that `-r TEXT` means: JSON, else an existing file, else a name.

    None is the settings' default: a name first, whatever lies in `cwd` (None: it was
    deleted). Raises UsageError and ConfigError.
    """
    if text is not None:
        return _given(text, settings, cwd)
    default = settings.job.resources.default
    if not default:
        raise UsageError(
            "no resource flavor: give -r, or set job.resources.default in the settings",
            hint="all flavors: jobman flavors",
        )
    known = _by_name(settings)
    return known[default] if default in known else _given(default, settings, cwd)


def _given(text: str, settings: Settings, cwd: Path | None) -> Flavor:
    if text.lstrip().startswith("{"):
        return _from_json(text, "the flavor given as JSON")
    path = cwd / text if cwd else Path(text)
    if not _is_file(path):
        return named(text, settings)
    try:
        return _from_json(_content(path), f"flavor file {text}")
    except UsageError as error:
        if text in _by_name(settings):
            error.hint = f"the file {text} outranks the flavor of that name; move or rename it"
        raise


def _is_file(path: Path) -> bool:
    try:
        return path.exists() and not path.is_dir()
    except (OSError, ValueError):  # a name too long for any file, or with a NUL
        return False


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"flavor file {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"flavor file {path} is not UTF-8 text: {error.reason}") from error


def named(name: str, settings: Settings) -> Flavor:
    """The flavor of that name. Raises UsageError with the nearest and where all are."""
    flavors = _by_name(settings)
    if name in flavors:
        return flavors[name]
    close = nearest(name, flavors)
    raise UsageError(
        f"unknown flavor '{visible(name, limit=80)}'" + (f"; closest: {close}" if close else ""),
        hint=f"flavors: {', '.join(flavors) or 'none'} (jobman flavors)",
    )


def _by_name(settings: Settings) -> dict[str, Flavor]:
    return {flavor.name: flavor for flavor in settings.job.resources.predefined}


def _from_json(text: str, what: str) -> Flavor:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None
    except RecursionError:
        raise UsageError(f"{what} is nested too deeply") from None
    try:
        flavor = Flavor.model_validate(value)
    except ValidationError as error:
        raise _refused(what, error) from None
    if flavor.resources is None:
        raise UsageError(f"{what}:\n  resources: is null")
    return flavor


def _refused(what: str, error: ValidationError) -> UsageError:
    lines = [f"  {problem}" for problem in wrong.problems_of(error, Flavor)]
    return UsageError("\n".join([f"{what}:", *lines]))
