"""YAML that both PyYAML and kubectl read as the values it was written from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

_BASE = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_WIDTH = 100


class _Dumper(_BASE):  # type: ignore[misc, valid-type]
    """Quotes text that kubectl would read as a number or a boolean and PyYAML would not.

    Equal parts are written out in full: an anchor is hard to edit.
    """

    def ignore_aliases(self, _data: Any) -> bool:
        return True


for _tag, _pattern, _first in (
    ("float", r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("int", r"[-+]?0[xob]?[0-9a-fA-F_]+", "-+0"),
    ("bool", r"[yYnN]", "yYnN"),
):
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^{_pattern}$"), _first)


def dump(documents: Sequence[Any]) -> str:
    """The documents, keys in their order; several begin with `---` each."""
    return str(
        yaml.dump_all(
            documents,
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            width=_WIDTH,
            explicit_start=len(documents) > 1,
        )
    )
