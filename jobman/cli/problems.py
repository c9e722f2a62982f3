"""Everything that is wrong with a command line, told at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from jobman.errors import ConfigError, UsageError

T = TypeVar("T")


class Problems:
    """Collects what is wrong; `report` raises it as one UsageError."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._hints: list[str] = []

    def add(self, text: str, hint: str | None = None) -> None:
        """Note a problem; the hint is shown once."""
        if text not in self._texts:
            self._texts.append(text)
        if hint and hint not in self._hints:
            self._hints.append(hint)

    def extend(self, texts: Iterable[str]) -> None:
        """Note several problems."""
        for text in texts:
            self.add(text)

    def collected(self, what: str = "") -> _Collected:
        """Inside, what goes wrong is noted, and the block ends there.

        `what`, a flag, comes in front of a plain ValueError.
        """
        return _Collected(self, what)

    def parse(self, flag: str, parse: Callable[[str], T], text: str | None) -> T | None:
        """What `parse` makes of the flag's value; None where it is absent or wrong."""
        if text is None:
            return None
        with self.collected(f"{flag} {text}"):
            return parse(text)
        return None

    def parse_all(self, flag: str, parse: Callable[[str], T], texts: Iterable[str]) -> list[T]:
        """The same of a flag that may be repeated; wrong ones are left out."""
        found = (self.parse(flag, parse, text) for text in texts)
        return [value for value in found if value is not None]

    def report(self) -> None:
        """Raise a UsageError with everything noted, if there is anything."""
        if not self._texts:
            return
        hint = "; ".join(self._hints) or None
        if len(self._texts) == 1:
            raise UsageError(self._texts[0], hint=hint)
        lines = "\n".join(f"  {text}" for text in self._texts)
        raise UsageError(f"{len(self._texts)} problems:\n{lines}", hint=hint)


class _Collected:
    """A block whose errors of usage are noted."""

    def __init__(self, problems: Problems, what: str) -> None:
        self._problems = problems
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        if isinstance(error, UsageError | ConfigError):
            self._problems.add(error.message, error.hint)
        elif isinstance(error, ValueError):
            self._problems.add(f"{self._what}: {error}" if self._what else str(error))
        else:
            return False
        return True
