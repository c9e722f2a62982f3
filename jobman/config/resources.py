"""A container's requests and limits, by the rules of a Kubernetes server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel

from jobman.config.problems import Found, checked
from jobman.values import quantity
from jobman.values.names import label_key_problem, nearest
from jobman.values.quantity import Quantity

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

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, value: Any, handler: ModelWrapValidatorHandler[Resources]) -> Resources:
        """Names and amounts that a server takes; what needs a limit gets it."""
        if not isinstance(value, dict):
            return handler(value)
        known = without_nulls(value)
        made: Resources = checked(known, handler, list(_problems(known)))
        exact = {name: text for name, text in made.requests.items() if is_exact(name)}
        # frozen: this is the model's own construction
        object.__setattr__(made, "limits", {**exact, **made.limits})
        return made


def _problems(value: Mapping[str, Any]) -> Iterator[Found]:
    """What is wrong beyond the types, which are the model's own affair."""
    requests, limits = _readable(value, "requests"), _readable(value, "limits")
    for part in ("requests", "limits"):
        for name in _object(value, part):
            problem = _resource_name_problem(name)
            if problem:
                yield (part, name), problem
    for part, amounts in (("requests", requests), ("limits", limits)):
        for name, (text, amount) in amounts.items():
            if is_extended(name) and not amount.is_whole:
                yield (part, name), f"'{text}' is no whole number; {name} cannot be divided"
    for name in [name for name in requests if name in limits]:
        (request, requested), (limit, limited) = requests[name], limits[name]
        if requested > limited:
            yield ("requests", name), f"{request} is over the limit ({limit})"
        elif is_exact(name) and requested != limited:
            message = f"{request} must equal the limit ({limit}): it cannot be overcommitted"
            yield ("requests", name), message


def _object(value: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found = value.get(part)
    return found if isinstance(found, dict) else {}


def _readable(value: Mapping[str, Any], part: str) -> dict[str, tuple[str, Quantity]]:
    """The amounts that are quantities, as they were written and as numbers."""
    found = {}
    for name, text in _object(value, part).items():
        with suppress(ValueError):
            found[name] = str(text), quantity.parse(_quantity_text(text))
    return found


def _resource_name_problem(name: str) -> str | None:
    if name in STANDARD or name.startswith(HUGE_PAGES):
        return None
    if "/" not in name:
        close = None if "gpu" in name.lower() else nearest(name, STANDARD)
        hint = f"did you mean '{close}'?" if close else f"a GPU is {DEFAULT_GPU}"
        return f"no resource of Kubernetes; {hint}"
    return label_key_problem(name)
