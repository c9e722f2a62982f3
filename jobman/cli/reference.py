"""docs/commands.md, written from the command line itself.

python -m jobman.cli.reference docs/commands.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
import typer

from jobman.cli.app import application
from jobman.cli.command import GLOBALS_PANEL
from jobman.cli.render.flavors import FlavorRow
from jobman.images.models import Image
from jobman.jobs.listing import JobRow
from jobman.queue.node_rows import NodeRow

SHAPES: dict[tuple[str, ...], type[msgspec.Struct]] = {
    ("jobman", "flavors"): FlavorRow,
    ("jobman", "images"): Image,
    ("jobman", "image-details"): Image,
    ("jobman", "list"): JobRow,
    ("jobman", "nodes"): NodeRow,
}
JSON_WORDS = {
    int: "number",
    bool: "true or false",
    datetime: "time (RFC 3339)",
    list: "list",
    dict: "object",
    Mapping: "object",
    type(None): "null",
}

HEAD = """# Commands

Written by `make docs` from the command line itself; `jobman COMMAND --help` says the same.

Exit codes: 0 done; 1 failed; 2 usage or bad input; 3 not found; 4 not allowed; 5 cluster or
registry unreachable; 124 `--timeout` ran out; 130 interrupted; 141 closed pipe; 143 ended by
SIGTERM. Waiting for one job ends with the job's own exit code.
"""


def markdown() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(application())
    parts = [HEAD, *_globals(root)]
    for path, command in _commands(root, ("jobman",)):
        parts.append(_section(path, command))
    return "\n".join(parts)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The commands that help shows, in the order of their names."""
    for name in sorted(group.commands):
        command = group.commands[name]
        if command.hidden:
            continue
        if hasattr(command, "commands"):
            if command.invoke_without_command:
                yield (*path, name), command
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def _section(path: tuple[str, ...], command: Any) -> str:
    context = typer.Context(command, info_name=" ".join(path))
    params = [p for p in command.get_params(context) if not getattr(p, "hidden", False)]
    own = [p for p in params if not _is_global(p)]
    usage = " ".join(command.collect_usage_pieces(context))
    blocks = [
        f"## {' '.join(path)}\n",
        f"    {' '.join(path)} {usage}\n",
        _text(command.help),
        *_table("Argument", (p for p in own if p.param_type_name == "argument"), context),
        *_table("Option", (p for p in own if p.param_type_name == "option"), context),
    ]
    shape = SHAPES.get(path)
    return "\n".join(block for block in [*blocks, _shape(shape) if shape else ""] if block)


def _shape(struct: type[msgspec.Struct]) -> str:
    """The fields of a row of `-o json` and `-o yaml`, in their order."""
    fields = msgspec.structs.fields(struct)
    lines = [f"| `{field.encode_name}` | {_kind(field.type)} |" for field in fields]
    return "\n".join(
        [
            "A row of `-o json` and `-o yaml`:\n",
            *("| Field | |", "|---|---|"),
            *lines,
            f"\n{inspect.cleandoc(struct.__doc__ or '')}\n",
        ]
    )


def _kind(annotation: Any) -> str:
    """A field's type in JSON's words."""
    members = get_args(annotation) if get_origin(annotation) is UnionType else (annotation,)
    kinds = (get_origin(member) or member for member in members)
    return " or ".join(JSON_WORDS.get(kind, "string") for kind in kinds)


def _is_global(param: Any) -> bool:
    return getattr(param, "rich_help_panel", None) == GLOBALS_PANEL and param.name != "output"


def _globals(root: Any) -> list[str]:
    context = typer.Context(root, info_name="jobman")
    params = [p for p in root.get_params(context) if _is_global(p)]
    lead = "## Options of every command\n\nThey stand before or after the command's name.\n"
    return [lead, *_table("Option", params, context)]


def _text(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return "\n".join(line.strip() for line in lines) + "\n" if lines else ""


def _table(title: str, params: Iterable[Any], context: Any) -> list[str]:
    rows = [row for row in (_row(param, context) for param in params) if row]
    if not rows:
        return []
    lines = [f"| {title} | |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows)]
    return ["\n".join(lines) + "\n"]


def _row(param: Any, context: Any) -> tuple[str, str] | None:
    record = param.get_help_record(context)
    if record is None or param.name == "help":
        return None
    name, text = (" ".join(str(part).split()).replace("|", "\\|") for part in record)
    is_argument = param.param_type_name == "argument"
    return (param.metavar or param.name.upper()) if is_argument else name, text


def main(path: str) -> None:
    """Write the page to `path`."""
    Path(path).write_text(markdown(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
