"""Types of settings that Kubernetes has rules for: each tells the rule that is broken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from jobman.config.problems import several
from jobman.values.names import (
    dns_label_problem,
    dns_subdomain_problem,
    label_key_problem,
    label_value_problem,
)
from jobman.values.text import visible


def _of(rule: Callable[[str], str | None], what: str) -> BeforeValidator:
    """Text that obeys the rule; what is no text is left for the type to refuse."""

    def obeying(value: Any) -> Any:
        problem = rule(value) if isinstance(value, str) else None
        if problem:
            raise ValueError(f"'{visible(value, limit=80)}' is no {what}: {problem}")
        return value

    return BeforeValidator(obeying)


def _flavor_name_problem(name: str) -> str | None:
    return label_value_problem(name) if name else "it is empty"


def _labels(labels: dict[str, str]) -> dict[str, str]:
    problems = [
        ((key,), f"is no label: {problem}")
        for key, value in labels.items()
        if (problem := label_key_problem(key) or label_value_problem(value))
    ]
    if problems:
        raise several(problems)
    return labels


Namespace = Annotated[str, _of(dns_label_problem, "namespace")]
ObjectName = Annotated[str, _of(lambda name: name and dns_subdomain_problem(name), "name")]
"""The name of an object of Kubernetes; empty is as good as none."""
AnnotationKey = Annotated[str, _of(label_key_problem, "annotation key")]
FlavorName = Annotated[str, _of(_flavor_name_problem, "flavor name")]
"""It becomes the value of a label."""
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
