"""The table of all settings in docs/settings.md, written from the models.

python -m jobman.config.reference docs/settings.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jobman.config.flavors import Flavor
from jobman.config.layers import FILE_VARIABLE, VARIABLES
from jobman.config.problems import json_path
from jobman.config.settings import Settings

BEGIN, END = "<!-- written by make docs: begin -->", "<!-- written by make docs: end -->"


def page(text: str) -> str:
    """The page with its generated part as the models have it now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}{END}{after}"


def tables() -> str:
    """All settings, and the variables that set some of them, as Markdown tables."""
    keys = [f"| `{path}` | {default} | {text} |" for path, default, text in _rows(Settings, "")]
    variables = [
        f"| `{name}` | {f'`{json_path(at)}`' if at else 'a settings file, as `-s` does'} |"
        for name, at in [(FILE_VARIABLE, ()), *VARIABLES.items()]
    ]
    parts = [
        "| key | default | meaning |",
        "|---|---|---|",
        *keys,
        "",
        "| variable | sets |",
        "|---|---|",
        *variables,
    ]
    return "\n".join(parts) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Path, default and meaning of each key that is no object itself."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        inner = _model(field.annotation)
        if inner is None or issubclass(inner, Flavor):
            meaning = (field.description or "").replace("|", "\\|").replace("*/", "\\*/")
            more = " See [flavors](flavors.md)." if inner else ""
            yield path, _default(field), meaning + more
        else:
            many = "[]" if get_origin(field.annotation) is list else ""
            yield from _rows(inner, f"{path}{many}.")


def _model(annotation: Any) -> type[BaseModel] | None:
    """The model that a key holds: itself, or null, or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = [part for part in get_args(annotation) if part is not type(None)]
    return _model(inner[0]) if inner and get_origin(annotation) is not Union else None


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "" if field.default in (None, []) else f"`{json.dumps(field.default)}`"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(page(target.read_text(encoding="utf-8")), encoding="utf-8")
