"""What is found: one sentence, what it rests on, and what can be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Diagnosis:
    """`kind` is one stable word for programs; `evidence` and `suggestions` are lines for people.

    `unseen` is what could not be looked at, and what therefore is not known.
    """

    kind: str
    sentence: str
    evidence: tuple[str, ...] = ()
    suggestions: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
