"""How an item ended."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Outcome(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An item's end; `reason` is Kubernetes' own term, `exit_code` None where nothing ran.

    `item` is the item's text and `values` its named values, both as they were given;
    `last_line` is that of the log, `incomplete` tells that its beginning may be missing.
    """

    index: int
    name: str
    succeeded: bool
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    node: str = ""
    attempts: int = 1
    last_line: str = ""
    incomplete: bool = False
    item: str = ""
    values: Mapping[str, object] = {}
