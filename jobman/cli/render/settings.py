"""Settings as rows and as one value, with credentials masked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobman.cli.render.flavors import amount
from jobman.cli.render.table import Column
from jobman.config.layers import LoadedSettings, Source
from jobman.config.merge import NAMED_LISTS, entry_path
from jobman.config.problems import SECRETS, Path, json_path

MASK = "***"
COLUMNS = (Column("SETTING"), Column("VALUE", fold=True), Column("FROM"))
PATH_COLUMNS = (Column("LAYER"), Column("FILE", fold=True), Column("STATE"))
BUILT_IN = "default"
"""The layer of a value that no layer sets."""
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def shown(loaded: LoadedSettings) -> dict[str, Any]:
    """The settings in force as JSON, those that no layer sets with their defaults, masked."""
    settings = loaded.values.model_dump(by_alias=True, mode="json")
    flavors = [flavor.seed_json() for flavor in loaded.values.job.resources.predefined]
    settings["job"]["resources"]["predefined"] = flavors
    return dict(masked(settings))


def masked(value: Any) -> Any:
    """`value` without credentials: those under their keys, and those in URLs."""
    if isinstance(value, Mapping):
        return {
            key: MASK if key in SECRETS and item is not None else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return _USERINFO.sub(MASK, value) if isinstance(value, str) else value


def rows(loaded: LoadedSettings) -> Iterator[tuple[str, str, str]]:
    """JSON path, value and layer of each setting; entries of named lists are one row each."""
    for at, path, value in _leaves(shown(loaded), ()):
        yield path, value, _layer(loaded.provenance, at, path)


def _leaves(value: Any, at: Path) -> Iterator[tuple[Path, str, str]]:
    path = json_path(at)
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*at, key))
    elif path in NAMED_LISTS and value:
        for entry in value:
            yield at, entry_path(path, entry["name"]), _entry(entry)
    else:
        yield at, path, _scalar(value)


def _entry(entry: Mapping[str, Any]) -> str:
    """An entry of a named list in a few words: of a flavor its amounts come first."""
    left_out = ("name", "description", "resources")
    rest = {k: item for k, item in entry.items() if k not in left_out and item is not None}
    resources = entry.get("resources") or {}
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    amounts = [f"{name} {amount(requests, limits, name)}" for name in {**requests, **limits}]
    return ", ".join([*amounts, *(f"{key} {_scalar(item)}" for key, item in rest.items())]) or "-"


def _scalar(value: Any) -> str:
    if value is None or value in ([], {}):
        return "-"
    return value if isinstance(value, str) else _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _layer(provenance: Mapping[str, str], at: Path, path: str) -> str:
    """The layer of a path, or of what it is a part of."""
    above = [json_path(at[:end]) for end in range(len(at), 0, -1)]
    return next((provenance[p] for p in (path, *above) if p in provenance), BUILT_IN)


def state(source: Source) -> str:
    """What became of a layer's file."""
    if not source.exists:
        return "missing" if source.required else "not there"
    return "wrong" if source.read().problems else "read"
