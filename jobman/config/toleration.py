"""A flavor's tolerations, by Kubernetes' rules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError, model_validator

from jobman.config.problems import problems_of, several
from jobman.config.resources import STRICT, without_nulls
from jobman.values.names import label_key_problem


class Toleration(BaseModel):
    """A taint of nodes that the job's pods may be placed on in spite of."""

    model_config = STRICT

    key: str = ""
    operator: Literal["Exists", "Equal", "Lt", "Gt"] = "Equal"
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _absent_is_empty(cls, value: Any) -> Any:
        return without_nulls(value)

    @model_validator(mode="after")
    def _consistent(self) -> Toleration:
        problem = label_key_problem(self.key) if self.key else None
        if problem:
            raise several([(("key",), f"'{self.key}' is no taint's key: {problem}")])
        if not self.key and self.operator != "Exists":
            raise several([(("operator",), "must be Exists where there is no key")])
        if self.value and self.operator == "Exists":
            raise several([(("value",), "must be empty where the operator is Exists")])
        if self.toleration_seconds is not None and self.effect != "NoExecute":
            raise several([(("effect",), "must be NoExecute where tolerationSeconds is set")])
        return self


def _as_written(value: Any) -> Any:
    """The toleration as Kubernetes' JSON, after the checks."""
    try:
        checked = Toleration.model_validate(value)
    except ValidationError as error:
        raise several([(p.at, p.message) for p in problems_of(error, Toleration)]) from None
    return checked.model_dump(by_alias=True, exclude_unset=True, exclude_none=True)


TolerationObject = Annotated[
    dict[str, Any], BeforeValidator(_as_written, json_schema_input_type=Toleration)
]
