"""Whether a container that has ended is started again: its own rules and policy, or the pod's."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]

RESTART_ALL = "RestartAllContainers"


def restarts_after(container: Object, pod_policy: str, code: int) -> bool:
    """Whether it is, after the exit code; the first rule that means the code goes first.

    A rule whose action is RestartAllContainers leaves it to the policy: that is not done here.
    """
    rules: list[Object] = container.get("restartPolicyRules") or []
    rule = next((rule for rule in rules if _means(rule["exitCodes"], code)), None)
    if rule is not None and rule["action"] == "Restart":
        return True
    policy = container.get("restartPolicy") or pod_policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _means(codes: Object, code: int) -> bool:
    is_among = code in codes.get("values", ())
    return is_among if codes["operator"] == "In" else not is_among


def wants_all_restarted(container: Object) -> bool:
    """Whether a rule of it is about all containers of the pod."""
    return any(rule["action"] == RESTART_ALL for rule in container.get("restartPolicyRules") or [])
