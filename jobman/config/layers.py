"""Where settings come from: the layers, later ones over earlier ones.

template (shipped) < /etc/jobman/settings.json < ~/.jobman/settings.json
< ./.jobman/settings.json (job.* alone) < -s FILE < environment.
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import jobman
from jobman.config.merge import Merged
from jobman.config.problems import problems_of, unknown_keys
from jobman.config.settings import Settings
from jobman.errors import ConfigError

SITE = Path("/etc/jobman/settings.json")
IN_DIRECTORY = Path(".jobman") / "settings.json"
VARIABLES = {
    "JOBMAN_NAMESPACE": ("namespace",),
    "JOBMAN_CONTEXT": ("kubeConfig", "context"),
    "JOBMAN_FLAVOR": ("job", "resources", "default"),
    "JOBMAN_IMAGE": ("job", "defaultImage"),
    "JOBMAN_USER": ("user",),
}
OBSOLETE = {
    "datasetsEnvVar": "submit -e NAME=VALUE",
    "datasetsList": "submit -e NAME=VALUE",
    "mountPoints": "submit -f MANIFEST with volumes",
    "affinity": "a flavor's nodeSelector",
    "gpuResName": "jobsQueue.gpuResources",
    "requests": "job.resources.predefined",
    "limits": "job.resources.predefined",
}
_SECRETS = ("token", "password")


@dataclass(frozen=True)
class Source:
    """A place settings may come from. `only`: the one key that it may set."""

    name: str
    path: Path
    required: bool = False
    only: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.is_file()


@dataclass(frozen=True)
class LoadedSettings:
    """The merged settings, the layer of each value by JSON path, and what to warn of."""

    values: Settings
    provenance: Mapping[str, str]
    warnings: tuple[str, ...]
    layers: tuple[Source, ...]
    raw: Mapping[str, Any]


def template_path() -> Path:
    """The shipped layer: in the wheel, or beside the package in a checkout."""
    package = Path(jobman.__file__).parent
    installed = package / "_settings" / "template.json"
    return installed if installed.is_file() else package.parent / "settings" / "template.json"


def sources(
    file: Path | None, *, environ: Mapping[str, str], cwd: Path, site: Path = SITE
) -> list[Source]:
    """The files of all layers in their order, there or not."""
    home = Path(environ.get("HOME") or Path.home()) / IN_DIRECTORY
    here = cwd / IN_DIRECTORY
    found = [
        Source("template", template_path(), required=True),
        Source("site", site),
        Source("home", home),
    ]
    if here.resolve() != home.resolve():
        found.append(Source("directory", here, only="job"))
    named = file or (Path(environ["JOBMAN_SETTINGS"]) if environ.get("JOBMAN_SETTINGS") else None)
    if named is not None:
        found.append(Source("-s" if file else "JOBMAN_SETTINGS", named, required=True))
    return found


def load(
    file: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    site: Path = SITE,
) -> LoadedSettings:
    """The settings in force. Raises ConfigError with every problem of every file."""
    merged, warnings, problems = Merged(), list[str](), list[str]()
    layers = sources(file, environ=environ, cwd=cwd or Path.cwd(), site=site)
    for source in layers:
        try:
            layer = read(source.path) if source.required or source.exists else {}
        except ConfigError as error:
            problems.append(error.message)
            continue
        problems += [f"{source.path}: {p}" for p in check(layer)]
        warnings += [f"{source.path}: {w}" for w in _warnings(source, layer)]
        merged.put_over(_allowed(source, layer), source.name)
    for variable, path in VARIABLES.items():
        if environ.get(variable):
            merged.put_over(_nested(path, environ[variable]), variable)
    if not problems:
        problems += [f"environment and files together: {p}" for p in check(merged.value)]
    if problems:
        raise ConfigError(
            "the settings are wrong\n" + "\n".join(f"  {problem}" for problem in problems),
            hint="jobman settings path shows the files, jobman settings schema what is allowed",
        )
    return LoadedSettings(
        values=_without_hidden(Settings.model_validate(merged.value)),
        provenance=merged.origin,
        warnings=tuple(warnings),
        layers=tuple(layers),
        raw=merged.value,
    )


def read(path: Path) -> dict[str, Any]:
    """A settings file's object. Raises ConfigError naming file, line and column."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text: {error.reason}") from error
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"{path}: {where}: is not JSON: {error.msg}") from None
    except RecursionError:
        raise ConfigError(f"{path}: is nested too deeply") from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: found {type(value).__name__}: an object is needed")
    return value


def check(layer: Mapping[str, Any]) -> list[str]:
    """What is wrong with a layer, each problem with its JSON path."""
    try:
        Settings.model_validate(layer)
    except ValidationError as error:
        return [str(problem) for problem in problems_of(error, Settings)]
    return []


def _allowed(source: Source, layer: Mapping[str, Any]) -> Mapping[str, Any]:
    if source.only is None:
        return layer
    return {key: value for key, value in layer.items() if key == source.only}


def _warnings(source: Source, layer: Mapping[str, Any]) -> Iterator[str]:
    for problem in unknown_keys(Settings, layer):
        instead = OBSOLETE.get(problem.path.rpartition(".")[2])
        yield f"{problem.path}: is obsolete; use {instead}" if instead else str(problem)
    if "newVersion" in layer:
        yield "newVersion: is ignored; package installers know versions"
    if source.only is not None:
        for key in layer.keys() - {source.only}:
            yield f"{key}: is ignored here; a working directory may set {source.only}.* alone"
    if _holds_secret(layer) and _others_may_read(source.path):
        yield "holds a credential and others may read it; chmod 600 it"


def _holds_secret(layer: Mapping[str, Any]) -> bool:
    projects = layer.get("harborProjects")
    return isinstance(projects, list) and any(
        isinstance(project, dict) and any(project.get(key) for key in _SECRETS)
        for project in projects
    )


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False


def _nested(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _without_hidden(settings: Settings) -> Settings:
    """Without the flavors that a later layer hid."""
    resources = settings.job.resources
    shown = [flavor for flavor in resources.predefined if flavor.resources is not None]
    resources = resources.model_copy(update={"predefined": shown})
    job = settings.job.model_copy(update={"resources": resources})
    return settings.model_copy(update={"job": job})
