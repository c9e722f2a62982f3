"""The machine forms of a result: JSON, YAML, CSV, one name a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext


_UNSAFE = re.compile(r"[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What the terminal acts on or what reorders text; all in the basic plane."""


def binary(app: AppContext) -> BinaryIO:
    """Stdout for bytes; what was written to it as text before comes first."""
    app.out.flush()
    stream: BinaryIO = app.out.buffer
    return stream


def write_json(app: AppContext, value: Any) -> None:
    """One JSON document, indented; msgspec Structs in the order of their fields."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(value), indent=2)
    document = _for_reader(text, to_terminal=app.out_is_terminal)
    binary(app).write(document + b"\n")


def write_json_rows(app: AppContext, rows: Iterable[Any]) -> None:
    """A JSON list with one row a line: quick to write, easy to grep."""
    import msgspec

    out, encoder = binary(app), msgspec.json.Encoder()
    to_terminal = app.out_is_terminal
    separator = b"[\n"
    for row in rows:
        out.write(separator + _for_reader(encoder.encode(row), to_terminal=to_terminal))
        separator = b",\n"
    out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def _for_reader(document: bytes, *, to_terminal: bool) -> bytes:
    """On a terminal, control characters that JSON lets through are written as its escapes."""
    if not to_terminal or document.isascii():
        return document
    return _UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", document.decode()).encode()


def write_yaml(app: AppContext, value: Any) -> None:
    """One YAML document; keys stay in their order."""
    import msgspec

    write_documents(app, [msgspec.to_builtins(value, builtin_types=())])


def write_documents(app: AppContext, plain: Sequence[Any]) -> None:
    """Plain values as YAML documents."""
    from jobman.cli.render.yaml_text import dump

    text = dump(plain)
    shown = visible(text, newlines=True) if app.out_is_terminal else text
    binary(app).write(shown.encode())


def write_csv(
    app: AppContext,
    titles: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    header: bool = True,
) -> None:
    """Comma-separated values, under a header, as the csv module quotes them."""
    writer = csv.writer(app.out, lineterminator="\n")
    if header:
        writer.writerow(titles)
    writer.writerows([visible(str(cell)) for cell in row] for row in rows)


def write_lines(app: AppContext, names: Iterable[str]) -> None:
    """One name a line."""
    app.out.writelines(f"{visible(name)}\n" for name in names)
