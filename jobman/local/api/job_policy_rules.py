"""What a Job's podFailurePolicy and successPolicy may be."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jobman.local.api import rules
from jobman.local.api.cause import (
    Cause,
    duplicate,
    invalid,
    not_supported,
    required,
    shown,
    too_long,
    too_many,
    wrong,
)

Spec = Mapping[str, Any]

_RULES_MOST, _PATTERNS_MOST, _CODES_MOST = 20, 20, 255
_INDEXES_MOST_BYTES = 64 * 1024
_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_INTEGER = re.compile(r"[+-]?[0-9]+")


def failure_policy(spec: Spec) -> Iterator[Cause]:
    """What is wrong with the podFailurePolicy of a Job's spec, if it has one."""
    found = spec.get("podFailurePolicy", {}).get("rules", [])
    path = "spec.podFailurePolicy.rules"
    if len(found) > _RULES_MOST:
        yield too_many(path, len(found), _RULES_MOST)
    pod = spec.get("template", {}).get("spec", {})
    containers = [*pod.get("containers", []), *pod.get("initContainers", [])]
    names = {container.get("name", "") for container in containers}
    for index, rule in enumerate(found):
        where = f"{path}[{index}]"
        yield from _action(rule.get("action", ""), f"{where}.action", spec)
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None:
            yield from _exit_codes(codes, f"{where}.onExitCodes", names)
        if conditions:
            yield from _pod_conditions(conditions, f"{where}.onPodConditions")
        if codes is not None and conditions:
            text = "specifying both OnExitCodes and OnPodConditions is not supported"
            yield invalid(where, text)
        if codes is None and not conditions:
            yield invalid(where, "specifying one of OnExitCodes and OnPodConditions is required")


def _action(action: str, path: str, spec: Spec) -> Iterator[Cause]:
    yield from _one_of(action, path, _ACTIONS)
    if action == "FailIndex" and "backoffLimitPerIndex" not in spec:
        yield wrong(path, action, "requires the backoffLimitPerIndex to be set")


def _one_of(word: str, path: str, words: Collection[str]) -> Iterator[Cause]:
    if not word:
        # As Go prints a list of words.
        yield required(path, f"valid values: [{' '.join(map(shown, words))}]")
    elif word not in words:
        yield not_supported(path, word, words)


def _pod_conditions(conditions: list[Spec], path: str) -> Iterator[Cause]:
    if len(conditions) > _PATTERNS_MOST:
        yield too_many(path, len(conditions), _PATTERNS_MOST)
    for index, pattern in enumerate(conditions):
        kind = pattern.get("type", "")
        for problem in rules.qualified_name(kind):
            yield wrong(f"{path}[{index}].type", kind, problem)
        yield from _one_of(pattern.get("status", ""), f"{path}[{index}].status", _STATUSES)


def _exit_codes(codes: Spec, path: str, containers: Collection[str]) -> Iterator[Cause]:
    operator, container = codes.get("operator", ""), codes.get("containerName")
    yield from _one_of(operator, f"{path}.operator", _OPERATORS)
    if container is not None and container not in containers:
        text = "must be one of the container or initContainer names in the pod template"
        yield wrong(f"{path}.containerName", container, text)
    values = codes.get("values", [])
    if not values:
        yield wrong(f"{path}.values", values, "at least one value is required")
    elif len(values) > _CODES_MOST:
        yield too_many(f"{path}.values", len(values), _CODES_MOST)
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            text = "must not be 0 for the In operator"
            yield wrong(f"{path}.values[{index}]", value, text)
        if value in seen:
            yield duplicate(f"{path}.values[{index}]", value)
        seen.add(value)
    if values != sorted(values):
        yield wrong(f"{path}.values", values, "must be ordered")


def success_policy(spec: Spec) -> Iterator[Cause]:
    """What is wrong with the successPolicy of a Job's spec, if it has one."""
    policy, path = spec.get("successPolicy"), "spec.successPolicy"
    if policy is None:
        return
    if spec.get("completionMode") != "Indexed":
        yield wrong(path, policy, "requires indexed completion mode")
        return
    found = policy.get("rules", [])
    if not found:
        yield required(
            f"{path}.rules",
            "at least one rules must be specified when the successPolicy is specified",
        )
    if len(found) > _RULES_MOST:
        yield too_many(f"{path}.rules", len(found), _RULES_MOST)
    for index, rule in enumerate(found):
        yield from _success_rule(rule, f"{path}.rules[{index}]", spec.get("completions") or 0)


def _success_rule(rule: Spec, path: str, completions: int) -> Iterator[Cause]:
    count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
    if count is None and indexes is None:
        text = "at least one of succeededCount or succeededIndexes must be specified"
        yield required(path, text)
    total = 0
    if indexes is not None:
        if len(indexes.encode()) > _INDEXES_MOST_BYTES:
            yield too_long(f"{path}.succeededIndexes", _INDEXES_MOST_BYTES)
        try:
            total = _count_indexes(indexes, completions)
        except ValueError as error:
            text = f"error parsing succeededIndexes: {error}"
            yield wrong(f"{path}.succeededIndexes", indexes, text)
    if count is not None:
        yield from _succeeded_count(count, f"{path}.succeededCount", completions, indexes, total)


def _succeeded_count(
    count: int, path: str, completions: int, indexes: str | None, total: int
) -> Iterator[Cause]:
    if count < 0:
        yield wrong(path, count, "must be greater than or equal to 0")
    most = "must be less than or equal to"
    if count > completions:
        yield wrong(path, count, f"{most} {completions} (the number of specified completions)")
    if indexes is not None and count > total:
        text = f"{most} {total} (the number of indexes in the specified succeededIndexes field)"
        yield wrong(path, count, text)


def _count_indexes(text: str, completions: int) -> int:
    """How many indexes `text` lists. Raises ValueError in Kubernetes' words."""
    total, before = 0, -1
    for part in text.split(",") if text else ():
        first, last = _interval(part, completions)
        if before >= first and total:
            raise ValueError(f"non-increasing order, previous: {before}, current: {first}")
        total, before = total + last - first + 1, last
    return total


def _interval(text: str, completions: int) -> tuple[int, int]:
    ends = text.split("-")
    if len(ends) > 2:
        raise ValueError(
            f"the fragment {shown(text)} violates the requirement that an index interval can have"
            " at most two parts separated by '-'"
        )
    first, last = _index(ends[0], completions), _index(ends[-1], completions)
    if len(ends) > 1 and first >= last:
        raise ValueError(f"non-increasing order, previous: {first}, current: {last}")
    return first, last


def _index(text: str, completions: int) -> int:
    if len(text) > 19 or not _INTEGER.fullmatch(text):
        raise ValueError(f"cannot convert string to integer for index: {shown(text)}")
    if int(text) >= completions:
        raise ValueError(f"too large index: {shown(text)}")
    return int(text)
