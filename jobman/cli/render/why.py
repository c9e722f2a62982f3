"""A diagnosis as text to read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.values.enums import State
    from jobman.why.diagnosis import Diagnosis

SENTENCE_LIMIT = 1000
LINE_LIMIT = 600


def lines(name: str, state: State, why: Diagnosis) -> Iterator[str]:
    """The sentence, then what it rests on, what can be done, and what is not known."""
    yield f"{name} is {state}: {sentence(why)}"
    for mark, texts in (("-", why.evidence), (">", why.suggestions), ("?", why.unseen)):
        for text in texts:
            shown = visible(text, newlines=True, limit=LINE_LIMIT)
            yield f"  {mark} " + shown.replace("\n", "\n    ")


def sentence(why: Diagnosis) -> str:
    """The sentence in one line; foreign text in it has its control characters made visible."""
    return visible(" ".join(why.sentence.split()), limit=SENTENCE_LIMIT)
