"""Flavors: named sets of requests and limits, and how `-r` finds one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from jobman.config.problems import problems_of, several
from jobman.errors import ConfigError, UsageError
from jobman.values import quantity
from jobman.values.duration import parse_duration
from jobman.values.names import (
    dns_subdomain_problem,
    label_key_problem,
    label_value_problem,
    nearest,
)

if TYPE_CHECKING:
    from jobman.config.settings import Settings

DEFAULT_GPU = "nvidia.com/gpu"
_STANDARD = ("cpu", "memory", "ephemeral-storage")


def is_extended(resource: str) -> bool:
    """Whether a resource has a domain of its own: whole numbers only, never overcommitted."""
    return "/" in resource and not resource.startswith("kubernetes.io/")


def is_gpu(resource: str) -> bool:
    """Whether a resource is a GPU of some vendor: `nvidia.com/gpu`, `amd.com/gpu`."""
    return is_extended(resource) and resource.rpartition("/")[2] == "gpu"


def _quantity_text(value: Any) -> Any:
    """A quantity as it was written; numbers are taken too."""
    if not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no quantity (like 500m, 2, 1.5 or 4Gi)")
    quantity.parse(value)
    return str(value)


def _duration_text(value: Any) -> Any:
    parse_duration(str(value))
    return str(value)


def _flavor_name(value: Any) -> Any:
    problem = label_value_problem(value) if isinstance(value, str) else "it is no text"
    if problem or not value:
        raise ValueError(f"{value!r} is no flavor name: {problem or 'it is empty'}")
    return value


QuantityText = Annotated[str, BeforeValidator(_quantity_text, json_schema_input_type=str | float)]
DurationText = Annotated[str, BeforeValidator(_duration_text, json_schema_input_type=str | float)]
FlavorName = Annotated[str, BeforeValidator(_flavor_name, json_schema_input_type=str)]
_STRICT = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class Resources(BaseModel):
    """Kubernetes' requests and limits, quantities as they were written."""

    model_config = _STRICT

    requests: dict[str, QuantityText] = {}
    limits: dict[str, QuantityText] = {}

    @model_validator(mode="before")
    @classmethod
    def _absent_is_empty(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Resources:
        """Names and amounts that a server takes; extended resources get their limits."""
        problems = [*self._name_problems(), *self._amount_problems()]
        if problems:
            raise several(problems)
        extended = {k: v for k, v in self.requests.items() if is_extended(k)}
        # frozen: this is the model's own construction
        object.__setattr__(self, "limits", {**extended, **self.limits})
        return self

    def _name_problems(self) -> list[tuple[str, str]]:
        found = []
        for part, amounts in (("requests", self.requests), ("limits", self.limits)):
            for name in amounts:
                problem = _resource_name_problem(name)
                if problem:
                    found.append((f"{part}.{name}", problem))
        return found

    def _amount_problems(self) -> list[tuple[str, str]]:
        found = []
        for part, amounts in (("requests", self.requests), ("limits", self.limits)):
            for name, text in amounts.items():
                if is_extended(name) and not quantity.parse(text).is_whole:
                    found.append((f"{part}.{name}", f"'{text}' is no whole number"))
        for name in self.requests.keys() & self.limits.keys():
            request, limit = self.requests[name], self.limits[name]
            if is_extended(name) and quantity.parse(request) != quantity.parse(limit):
                message = f"{request} must equal the limit ({limit}): it is never overcommitted"
                found.append((f"requests.{name}", message))
            elif quantity.parse(request) > quantity.parse(limit):
                found.append((f"requests.{name}", f"{request} is over the limit ({limit})"))
        return found


def _resource_name_problem(name: str) -> str | None:
    if name in _STANDARD or name.startswith("hugepages-"):
        return None
    if "/" not in name:
        close = nearest(name, _STANDARD)
        hint = f"did you mean '{close}'?" if close else f"a GPU is {DEFAULT_GPU}"
        return f"no resource of Kubernetes; {hint}"
    return label_key_problem(name)


class Flavor(BaseModel):
    """A named set of resources, and what else a job of that kind needs."""

    model_config = _STRICT

    name: FlavorName
    description: str = ""
    resources: Resources | None = Field(
        description="requests and limits; null hides the flavor of that name"
    )
    image: str | None = None
    node_selector: dict[str, str] = {}
    tolerations: list[dict[str, Any]] = []
    priority_class_name: str | None = None
    runtime_class_name: str | None = None
    local_queue: str | None = Field(default=None, description="Kueue's LocalQueue")
    time_limit: DurationText | None = None

    @model_validator(mode="after")
    def _labels(self) -> Flavor:
        problems = [
            (f"nodeSelector.{key}", problem)
            for key, value in self.node_selector.items()
            if (problem := label_key_problem(key) or label_value_problem(value))
        ]
        named = ("priorityClassName", self.priority_class_name), ("localQueue", self.local_queue)
        for key, name in named:
            problem = dns_subdomain_problem(name) if name is not None else None
            if problem:
                problems.append((key, f"'{name}' is no name: {problem}"))
        if problems:
            raise several(problems)
        return self

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
        requests, limits = dict(self.requests), dict(self.limits)
        for name, text in changes.items():
            requests[name] = text
            if name in limits or is_extended(name):
                limits[name] = text
        try:
            made = Flavor.model_validate(
                {**self.model_dump(by_alias=True), "resources": _pruned(requests, limits)}
            )
        except ValidationError as error:
            lines = "\n".join(f"  {problem}" for problem in problems_of(error, Flavor))
            raise UsageError(f"resources on top of flavor '{self.name}':\n{lines}") from None
        return made

    def seed_json(self) -> dict[str, Any]:
        """The flavor as settings write it, without what is not set."""
        return self.model_dump(by_alias=True, exclude_defaults=True, mode="json")


def _pruned(requests: dict[str, str], limits: dict[str, str]) -> dict[str, dict[str, str]]:
    """Without extended resources of none; an amount that is no quantity stays to be refused."""

    def none_of(name: str) -> bool:
        try:
            return is_extended(name) and quantity.parse(requests.get(name, "1")).value == 0
        except ValueError:
            return False

    return {
        "requests": {name: text for name, text in requests.items() if not none_of(name)},
        "limits": {name: text for name, text in limits.items() if not none_of(name)},
    }


def resolve(text: str | None, settings: Settings, cwd: Path) -> Flavor:
    """The flavor that `-r TEXT` means: JSON, else an existing file, else a name.

    None is the settings' default, which is read in the same way. Raises UsageError and ConfigError.
    """
    wanted = text if text is not None else settings.job.resources.default
    if wanted is None:
        raise UsageError(
            "no resource flavor: give -r, or set job.resources.default in the settings",
            hint="all flavors: jobman flavors",
        )
    if wanted.lstrip().startswith("{"):
        return _from_json(wanted, "the flavor given as JSON")
    path = cwd / wanted
    if path.is_file():
        try:
            return _from_json(path.read_text(encoding="utf-8"), f"flavor file {wanted}")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read flavor file {wanted}: {error}") from error
    return named(wanted, settings)


def named(name: str, settings: Settings) -> Flavor:
    """The flavor of that name. Raises UsageError with the nearest and where all are."""
    flavors = {flavor.name: flavor for flavor in settings.job.resources.predefined}
    if name not in flavors:
        close = nearest(name, flavors)
        raise UsageError(
            f"unknown flavor '{name}'" + (f"; closest: {close}" if close else ""),
            hint=f"flavors: {', '.join(flavors) or 'none'} (jobman flavors)",
        )
    return flavors[name]


def _from_json(text: str, what: str) -> Flavor:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None
    try:
        flavor = Flavor.model_validate(value)
    except ValidationError as error:
        lines = "\n".join(f"  {problem}" for problem in problems_of(error, Flavor))
        raise UsageError(f"{what}:\n{lines}") from None
    if flavor.resources is None:
        raise UsageError(f"{what}: resources: is null")
    return flavor
