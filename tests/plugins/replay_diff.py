"""Two answers compared, but for what no two servers can have alike."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# Times, uids, and the ends of generated names.
_OWN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|(?:(?<=-)|(?<=[a-z0-9-]{58}))[bcdfghjklmnpqrstvwxz2456789]{5}\b"
)
_AGE = re.compile(r"\b(?:\d+[ydhms])+\b")
_LEFT_OUT = frozenset({"managedFields"})
# Rules are gathered from memory, in an order that is another one at each start.
_UNORDERED = frozenset({"resourceRules", "nonResourceRules"})
_MOST, _SHOWN = 6, 300


@dataclass
class Comparison:
    """Field by field; a uid or a name's end of ours stands for the same of theirs throughout."""

    pairs: dict[str, str] = field(default_factory=dict)

    def differences(self, ours: Any, theirs: Any) -> list[str]:
        """`path: ours, not theirs`, a line each; empty where they are alike."""
        found = [*self._compared("", ours, theirs)]
        return found[:_MOST]

    def _compared(self, path: str, ours: Any, theirs: Any, *, cut: bool = False) -> Iterator[str]:
        if isinstance(ours, dict) and isinstance(theirs, dict):
            yield from self._maps(path, ours, theirs, cut=cut or "cut" in theirs)
        elif isinstance(ours, list) and isinstance(theirs, list):
            if len(ours) != len(theirs):
                yield f"{path}: {len(ours)} elements, not {len(theirs)}"
            for index, (one, other) in enumerate(zip(ours, theirs, strict=False)):
                yield from self._compared(f"{path}[{index}]", one, other, cut=cut)
        elif isinstance(ours, str) and isinstance(theirs, str):
            if not self._alike(path, ours, theirs):
                yield f"{path}: {ours[:_SHOWN]!r}, not {theirs[:_SHOWN]!r}"
        elif ours != theirs or isinstance(ours, bool) != isinstance(theirs, bool):
            yield f"{path}: {str(ours)[:_SHOWN]!r}, not {str(theirs)[:_SHOWN]!r}"

    def _maps(
        self, path: str, ours: dict[str, Any], theirs: dict[str, Any], *, cut: bool
    ) -> Iterator[str]:
        """`cut`: of theirs only some fields were recorded."""
        names = theirs.keys() - {"cut"} if cut else ours.keys() | theirs.keys()
        for name in sorted(names - _LEFT_OUT):
            if name not in theirs:
                yield f"{path}.{name}: {str(ours[name])[:_SHOWN]!r}, not there"
            elif name not in ours:
                yield f"{path}.{name}: missing, not {str(theirs[name])[:_SHOWN]!r}"
            else:
                pair = [ours[name], theirs[name]]
                one, other = (sorted(x, key=str) for x in pair) if name in _UNORDERED else pair
                yield from self._compared(f"{path}.{name}", one, other, cut=cut)

    def _alike(self, path: str, ours: str, theirs: str) -> bool:
        if ".cells[" in path:
            ours, theirs = _AGE.sub("*", ours), _AGE.sub("*", theirs)
        if ours == theirs:
            return True
        if _OWN.sub("*", ours) != _OWN.sub("*", theirs):
            return False
        pairs = zip(_OWN.findall(ours), _OWN.findall(theirs), strict=True)
        return all(self._stands_for(one, other) for one, other in pairs)

    def _stands_for(self, ours: str, theirs: str) -> bool:
        if "T" in ours:
            return "T" in theirs
        return self.pairs.setdefault(ours, theirs) == theirs
