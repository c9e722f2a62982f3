"""How one container may say when it is started again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobman.local.api.cause import Cause, not_supported, required

_POLICIES = ("Always", "Never", "OnFailure")
_ACTIONS = ("Restart", "RestartAllContainers")
_OPERATORS = ("In", "NotIn")


def restarts(container: Mapping[str, Any], path: str) -> Iterator[Cause]:
    """What is wrong with the restartPolicy and the restartPolicyRules of a container."""
    policy, given = container.get("restartPolicy"), container.get("restartPolicyRules", [])
    if policy is None:
        if given:
            text = "must specify restartPolicy when restart rules are used"
            yield required(f"{path}.restartPolicy", text)
    elif policy not in _POLICIES:
        yield not_supported(f"{path}.restartPolicy", policy, _POLICIES)
    for index, rule in enumerate(given):
        where = f"{path}.restartPolicyRules[{index}]"
        if rule.get("action", "") not in _ACTIONS:
            yield not_supported(f"{where}.action", rule.get("action", ""), _ACTIONS)
        if "exitCodes" not in rule:
            yield required(f"{where}.exitCodes", "must be specified")
        elif rule["exitCodes"].get("operator", "") not in _OPERATORS:
            operator = rule["exitCodes"].get("operator", "")
            yield not_supported(f"{where}.exitCodes.operator", operator, _OPERATORS)
