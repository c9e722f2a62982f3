"""Image references: `[host/]name[:tag][@digest]`, as container runtimes read them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from jobman.errors import UsageError

_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGITS = {"sha256": 64, "sha512": 128}
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}")


@dataclass(frozen=True)
class Reference:
    """An image's name in parts; a part that was not written is None."""

    name: str
    host: str | None = None
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The parts of `text`. Raises UsageError naming the part that is wrong."""
        rest, at, digest = text.partition("@")
        host, name = _split_host(rest)
        name, colon, tag = name.partition(":")
        problem = _problem(host, name, tag if colon else None, digest if at else None)
        if problem:
            raise UsageError(f"'{text}' is no image reference: {problem}")
        return cls(name, host, tag or None, digest or None)

    def with_prefix(self, prefix: str | None) -> Reference:
        """This reference behind `prefix`, unless it names its registry itself."""
        return self if self.host or not prefix else Reference.parse(f"{prefix}{self}")

    def at(self, host: str, project: str, name: str, tag: str | None) -> Reference:
        """The image `name` of a registry's project, with this reference's digest."""
        return replace(self, host=host, name=f"{project}/{name}", tag=tag)

    def __str__(self) -> str:
        host = f"{self.host}/" if self.host else ""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{host}{self.name}{tag}{digest}"


def _split_host(text: str) -> tuple[str | None, str]:
    """The first component is a registry when it has a dot or a colon, or is localhost."""
    first, slash, rest = text.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return None, text


def _problem(host: str | None, name: str, tag: str | None, digest: str | None) -> str | None:
    if host is not None and not _HOST.fullmatch(host):
        return f"'{host}' is no host[:port]"
    if not _NAME.fullmatch(name):
        hint = "; names are in lower case" if name != name.lower() else ""
        return f"'{name}' is no repository name{hint}"
    if tag is not None and not _TAG.fullmatch(tag):
        return f"'{tag}' is no tag (letters, digits, '_', '.', '-', at most 128)"
    return None if digest is None else _digest_problem(digest)


def _digest_problem(digest: str) -> str | None:
    algorithm, _, value = digest.partition(":")
    digits = _DIGITS.get(algorithm, len(value))
    if _DIGEST.fullmatch(digest) and len(value) == digits:
        return None
    known = f" ({algorithm} has {digits} digits)" if algorithm in _DIGITS else ""
    return f"'{digest}' is no digest{known}"
