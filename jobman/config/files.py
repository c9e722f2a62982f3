"""One settings file: reading it, and all that is wrong or doubtful with it."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jobman.config.problems import SECRETS, Problem, known_part, problems_of
from jobman.config.settings import WHOLE, Settings
from jobman.errors import ConfigError

OBSOLETE = {
    "datasetsEnvVar": "submit -e NAME=VALUE",
    "datasetsList": "submit -e NAME=VALUE",
    "mountPoints": "submit -f MANIFEST with volumes",
    "affinity": "a flavor's nodeSelector",
    "gpuResName": "jobsQueue.gpuResources",
    "requests": "job.resources.predefined",
    "limits": "job.resources.predefined",
}


@dataclass
class Layer:
    """What a place sets: the keys that jobman knows, and what to say about the others."""

    values: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def read(path: Path, *, only: str | None = None) -> Layer:
    """A settings file. `only`: the one key that it may set; others are ignored with a word."""
    layer = Layer()
    try:
        whole = _object(path, layer)
    except ConfigError as error:
        layer.problems.append(error.message)
        return layer
    if _holds_secret(whole) and _others_may_read(path):
        layer.warnings.append(f"{path}: holds a credential and others may read it; chmod 600 it")
    whole.pop("$schema", None)  # for editors
    ignored = [key for key in whole if only is not None and key != only]
    layer.warnings += [
        f"{path}: {key}: is ignored here; a working directory may set {only}.* alone"
        for key in ignored
    ]
    _take(layer, {k: value for k, value in whole.items() if k not in ignored}, str(path))
    return layer


def of_values(values: Mapping[str, Any], name: str) -> Layer:
    """A layer that is no file, such as an environment variable; `name` begins its problems."""
    layer = Layer()
    _take(layer, values, name)
    return layer


def check(values: Mapping[str, Any], *, whole: bool = False) -> list[Problem]:
    """What is wrong with settings; `whole`: with all layers."""
    try:
        Settings.model_validate(values, context=WHOLE if whole else None)
    except ValidationError as error:
        return problems_of(error, Settings)
    return []


def _take(layer: Layer, values: Mapping[str, Any], name: str) -> None:
    unknown: list[Problem] = []
    layer.values = known_part(Settings, dict(values), unknown)
    layer.warnings += [f"{name}: {_about_unknown(problem)}" for problem in unknown]
    if "newVersion" in values:
        layer.warnings.append(f"{name}: newVersion: is ignored; package installers know versions")
    layer.problems += [f"{name}: {problem}" for problem in check(layer.values)]


def _about_unknown(problem: Problem) -> str:
    instead = OBSOLETE.get(str(problem.at[-1]))
    return f"{problem.path}: is obsolete; use {instead}" if instead else str(problem)


def _object(path: Path, layer: Layer) -> dict[str, Any]:
    """The file's object. Raises ConfigError naming file, line and column."""
    text = _text(path)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice = {key: None for index, key in enumerate(keys) if key in keys[:index]}
        layer.warnings += [f"{path}: '{key}' is there twice; the last one counts" for key in twice]
        return dict(pairs)

    try:
        value = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{path}: {where}: is not JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{path}: is not JSON: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: an object is needed, like {{}}")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error.reason}") from error
    except ValueError as error:  # a NUL in the name
        raise ConfigError(f"{str(path)!r}: {error}") from error


def _holds_secret(values: Mapping[str, Any]) -> bool:
    projects = values.get("harborProjects")
    return isinstance(projects, list) and any(
        isinstance(project, dict) and any(project.get(key) for key in SECRETS)
        for project in projects
    )


def _others_may_read(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & (stat.S_IRGRP | stat.S_IROTH))
