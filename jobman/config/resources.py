"""A container's requests and limits, by the rules of a Kubernetes server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from jobman.config.problems import Path, several
from jobman.values import quantity
from jobman.values.names import label_key_problem, nearest

DEFAULT_GPU = "nvidia.com/gpu"
STANDARD = ("cpu", "memory", "ephemeral-storage")
HUGE_PAGES = "hugepages-"
STRICT = ConfigDict(
    extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True, defer_build=True
)


def is_extended(resource: str) -> bool:
    """Whether a resource has a domain of its own, and so comes in whole numbers alone."""
    return "/" in resource and "kubernetes.io/" not in resource


def is_gpu(resource: str) -> bool:
    """Whether a resource is a GPU of some vendor: `nvidia.com/gpu`, `amd.com/gpu`."""
    return is_extended(resource) and resource.rpartition("/")[2] == "gpu"


def is_exact(resource: str) -> bool:
    """Whether a server takes no request for it without an equal limit."""
    return is_extended(resource) or resource.startswith(HUGE_PAGES)


def without_nulls(value: Any) -> Any:
    """An object without the keys that are null: null is as good as absent."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item is not None}
    return value


def _quantity_text(value: Any) -> str:
    """A quantity as it was written; numbers are taken too."""
    if not isinstance(value, str | int | float):
        raise ValueError("is no quantity (like 500m, 2, 1.5 or 4Gi)")
    quantity.parse(value)
    return str(value)


QuantityText = Annotated[str, BeforeValidator(_quantity_text, json_schema_input_type=str | float)]


class Resources(BaseModel):
    """Kubernetes' requests and limits, quantities as they were written."""

    model_config = STRICT

    requests: dict[str, QuantityText] = Field(
        default={}, description="what a node must have free: cpu, memory, nvidia.com/gpu …"
    )
    limits: dict[str, QuantityText] = Field(
        default={}, description="what a container may use at most; for GPUs filled in"
    )

    @model_validator(mode="before")
    @classmethod
    def _absent_is_empty(cls, value: Any) -> Any:
        return without_nulls(value)

    @model_validator(mode="after")
    def _consistent(self) -> Resources:
        """Names and amounts that a server takes; what needs a limit gets it."""
        problems = [*self._name_problems(), *self._fractions(), *self._over_limit()]
        if problems:
            raise several(problems)
        exact = {name: text for name, text in self.requests.items() if is_exact(name)}
        # frozen: this is the model's own construction
        object.__setattr__(self, "limits", {**exact, **self.limits})
        return self

    def _amounts(self) -> Iterator[tuple[Path, str, str]]:
        for part, amounts in (("requests", self.requests), ("limits", self.limits)):
            for name, text in amounts.items():
                yield (part, name), name, text

    def _name_problems(self) -> Iterator[tuple[Path, str]]:
        for at, name, _ in self._amounts():
            problem = _resource_name_problem(name)
            if problem:
                yield at, problem

    def _fractions(self) -> Iterator[tuple[Path, str]]:
        for at, name, text in self._amounts():
            if is_extended(name) and not quantity.parse(text).is_whole:
                yield at, f"'{text}' is no whole number; {name} cannot be divided"

    def _over_limit(self) -> Iterator[tuple[Path, str]]:
        for name in self.requests:
            if name not in self.limits:
                continue
            request, limit = self.requests[name], self.limits[name]
            if quantity.parse(request) > quantity.parse(limit):
                yield ("requests", name), f"{request} is over the limit ({limit})"
            elif is_exact(name) and quantity.parse(request) != quantity.parse(limit):
                message = f"{request} must equal the limit ({limit}): it cannot be overcommitted"
                yield ("requests", name), message


def _resource_name_problem(name: str) -> str | None:
    if name in STANDARD or name.startswith(HUGE_PAGES):
        return None
    if "/" not in name:
        close = nearest(name, STANDARD)
        hint = f"did you mean '{close}'?" if close else f"a GPU is {DEFAULT_GPU}"
        return f"no resource of Kubernetes; {hint}"
    return label_key_problem(name)
