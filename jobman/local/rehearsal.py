"""What a simulated pod's annotations say: how long it runs, and how likely it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from jobman.values.duration import LONGEST_S, TooLongError, parse_duration
from jobman.values.text import visible

RUN_FOR = "local.jobman/run-for"
FAIL_CHANCE = "local.jobman/fail-chance"
_SHOWN = 60


def run_for_s(annotations: Mapping[str, str]) -> float:
    """For how many seconds it runs; a malformed one ends at once."""
    try:
        return _seconds(annotations.get(RUN_FOR, "0"))
    except ValueError:
        return 0.0


def fail_chance(annotations: Mapping[str, str]) -> float:
    """How likely it fails, from 0 to 1; a malformed one does not."""
    try:
        return _chance(annotations.get(FAIL_CHANCE, "0"))
    except ValueError:
        return 0.0


def problems(annotations: Mapping[str, str]) -> Iterator[str]:
    """What is malformed, what is right, and what is done instead."""
    rules = (
        (RUN_FOR, _seconds, "a duration like 90, 45s, 2h30m or 7d", "the pod ends at once"),
        (FAIL_CHANCE, _chance, "a number from 0 to 1, like 0.1", "the pod does not fail by chance"),
    )
    for name, read, right, instead in rules:
        text = annotations.get(name, "0")
        try:
            read(text)
        except ValueError:
            shown = visible(text, limit=_SHOWN)
            yield f'annotation {name}: "{shown}" is not {right}; {instead}'


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except TooLongError:
        return LONGEST_S


def _chance(text: str) -> float:
    chance = float(text)
    if not 0 <= chance <= 1:
        raise ValueError(text)
    return chance
