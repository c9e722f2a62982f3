"""The job's environment variables: of `-e`, of files, of the caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jobman.cli.problems import Problems
from jobman.values.text import visible

CALLER_VARIABLES = ("PATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
CALLER_PREFIX = "CONDA_"


def given(
    assignments: Iterable[str],
    files: Iterable[Path],
    environ: Mapping[str, str],
    problems: Problems,
) -> dict[str, str]:
    """The variables of files, then those of `-e`; the last of a name wins."""
    result: dict[str, str] = {}
    for file in files:
        with problems.collected():
            for number, line in enumerate(_lines(file), 1):
                with problems.collected(f"--env-file {file}, line {number}"):
                    result |= _of_line(line, environ)
    for text in assignments:
        with problems.collected(f"-e {_shown(text)}"):
            result |= assignment(text, environ)
    return result


def assignment(text: str, environ: Mapping[str, str]) -> dict[str, str]:
    """`K=V`, or `K` alone for the caller's value. Raises ValueError when the caller has none."""
    name, equals, value = text.partition("=")
    if not name:
        raise ValueError("a variable needs a name before '='")
    if equals:
        return {name: value}
    if name not in environ:
        shown = _shown(name)
        raise ValueError(f"'{shown}' is not set here; give it a value with {shown}=VALUE")
    return {name: environ[name]}


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise ValueError(f"--env-file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"--env-file {file} is not UTF-8 text") from error
    return [line.removesuffix("\r") for line in text.split("\n")]


def _of_line(line: str, environ: Mapping[str, str]) -> dict[str, str]:
    """As docker reads it: values as they stand, quotes and all; `#` begins a comment line."""
    text = line.lstrip()
    if not text or text.startswith("#"):
        return {}
    name, equals, _ = text.partition("=")
    if len(words := name.split()) > 1 or (equals and name != name.rstrip()):
        raise ValueError(f"'{_shown(words[0])} …' has a blank before '=': a line is NAME=VALUE")
    return assignment(text if equals else name.rstrip(), environ)


def _shown(name: str) -> str:
    """As much of a name as tells which it is: a line without `=` may be a secret."""
    return visible(name, limit=40)


def of_caller(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program needs to find itself on this very machine: PATH and the Python at hand."""
    return {
        name: value
        for name, value in environ.items()
        if name in CALLER_VARIABLES or name.startswith(CALLER_PREFIX)
    }
