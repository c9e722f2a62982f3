"""Layers of JSON put over one another, remembering where each value came from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobman.config.problems import Path, json_path

# Lists of things with a name: an entry of a later layer replaces the entry of that name.
NAMED_LISTS = frozenset({"job.resources.predefined", "harborProjects"})


class Merged:
    """A JSON object made of layers; `origin` tells each leaf's layer by its JSON path.

    Layers are sound: entries of named lists are objects with a name.
    """

    def __init__(self) -> None:
        self.value: dict[str, Any] = {}
        self._origin: dict[str, str] = {}

    def put_over(self, layer: Mapping[str, Any], name: str) -> None:
        """Put a layer over what is there: objects by key, named lists by name, else whole."""
        self.value = self._merged(self.value, layer, (), name)

    @property
    def origin(self) -> dict[str, str]:
        """JSON path of each leaf (for a named list: of each entry, by name) to its layer."""
        return dict(sorted(self._origin.items()))

    def _merged(self, below: Any, above: Any, at: Path, name: str) -> Any:
        path = json_path(at)
        if isinstance(above, Mapping):
            base = below if isinstance(below, dict) else self._replaced(path, {})
            return base | {
                key: self._merged(base.get(key), item, (*at, key), name)
                for key, item in above.items()
            }
        if path in NAMED_LISTS and isinstance(above, list):
            base = below if isinstance(below, list) else self._replaced(path, [])
            return self._by_name(base, above, path, name)
        self._replaced(path, None)
        self._origin[path] = name
        return above

    def _by_name(self, below: list[Any], above: list[Any], path: str, name: str) -> list[Any]:
        entries = {entry["name"]: entry for entry in below}
        for entry in above:
            entries[entry["name"]] = entry
            self._origin[entry_path(path, entry["name"])] = name
        return list(entries.values())

    def _replaced(self, path: str, value: Any) -> Any:
        """Forget where everything at and below `path` came from; the new `value`."""
        below = (f"{path}.", f"{path}[")
        self._origin = {
            key: layer
            for key, layer in self._origin.items()
            if key != path and not key.startswith(below)
        }
        return value


def entry_path(path: str, name: str) -> str:
    """The path of an entry of a named list: `harborProjects[science]`."""
    return f"{path}[{name}]"
