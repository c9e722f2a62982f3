"""Where settings come from: the layers, later ones over earlier ones.

template (shipped) < /etc/jobman/settings.json < ~/.jobman/settings.json
< ./.jobman/settings.json (job.* alone) < -s FILE < environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import realpath
from pathlib import Path
from typing import Any

import jobman
from jobman.config import files
from jobman.config.merge import Merged
from jobman.config.problems import Problem
from jobman.config.settings import WHOLE, Settings
from jobman.errors import ConfigError
from jobman.values.home import home
from jobman.values.names import nearest

SITE = Path("/etc/jobman/settings.json")
IN_DIRECTORY = Path(".jobman") / "settings.json"
FILE_VARIABLE = "JOBMAN_SETTINGS"
VARIABLES = {
    "JOBMAN_NAMESPACE": ("namespace",),
    "JOBMAN_CONTEXT": ("kubeConfig", "context"),
    "JOBMAN_FLAVOR": ("job", "resources", "default"),
    "JOBMAN_IMAGE": ("job", "defaultImage"),
    "JOBMAN_USER": ("user",),
}
"""The setting that each variable sets, by its JSON path."""


@dataclass(frozen=True)
class Source:
    """A place settings may come from. `only`: the one key that it may set."""

    name: str
    path: Path
    required: bool = False
    only: str | None = None

    @property
    def exists(self) -> bool:
        """Whether there is something at its path; what cannot be looked at counts as there."""
        try:
            self.path.lstat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        except OSError:
            return True
        return True

    def read(self) -> files.Layer:
        """What it sets; nothing where there is no such file and it need not be there."""
        if not self.required and not self.exists:
            return files.Layer()
        return files.read(self.path, only=self.only)


@dataclass(frozen=True)
class LoadedSettings:
    """The merged settings, the layer of each value by JSON path, and what to warn of.

    `raw` is the merged JSON, hidden flavors included.
    """

    values: Settings
    provenance: Mapping[str, str]
    warnings: tuple[str, ...]
    layers: tuple[Source, ...]
    raw: Mapping[str, Any]

    def place(self, path: str) -> str:
        """The file or variable that a value came from, to begin what is said of it with."""
        return place(path, self.provenance, self.layers)


def place(path: str, origin: Mapping[str, str], layers: Sequence[Source]) -> str:
    """Where the value at a JSON path came from ("FILE: "); empty where no layer set it."""
    layer = origin.get(path, "")
    files = {source.name: str(source.path) for source in layers}
    return f"{files.get(layer, layer)}: " if layer else ""


def shipped(name: str, package: Path | None = None) -> Path:
    """A file of `settings/`: in the wheel, or beside the package in a checkout."""
    package = package or Path(jobman.__file__).parent
    installed = package / "_settings"
    return (installed if installed.is_dir() else package.parent / "settings") / name


def sources(
    file: Path | None, *, environ: Mapping[str, str], cwd: Path | None, site: Path = SITE
) -> list[Source]:
    """The files of all layers in their order, there or not. `cwd` None: it was deleted."""
    mine = home_file(environ)
    found = [
        Source("template", shipped("template.json"), required=True),
        Source("site", site),
        Source("home", mine),
    ]
    if cwd is not None and realpath(cwd / IN_DIRECTORY) != realpath(mine):
        found.append(Source("directory", cwd / IN_DIRECTORY, only="job"))
    if file is not None:
        found.append(Source("-s", file, required=True))
    elif environ.get(FILE_VARIABLE):
        found.append(Source(FILE_VARIABLE, Path(environ[FILE_VARIABLE]), required=True))
    return found


def home_file(environ: Mapping[str, str]) -> Path:
    """The user's own settings file."""
    return home(environ) / IN_DIRECTORY


def working_directory() -> Path | None:
    """The working directory, where it has not been deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def load(
    file: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path | None = None,
    site: Path = SITE,
) -> LoadedSettings:
    """The settings in force. Raises ConfigError with every problem of every file."""
    found = sources(file, environ=environ, cwd=cwd or working_directory(), site=site)
    layers = [(source.name, source.read()) for source in found]
    layers += _of_environment(environ)
    merged = Merged()
    for name, layer in layers:
        if not layer.problems:
            merged.put_over(layer.values, name)
    problems = [problem for _, layer in layers for problem in layer.problems]
    problems = problems or [
        f"{place(problem.path, merged.origin, found)}{problem}"
        for problem in files.check(merged.value, whole=True)
    ]
    warnings = [warning for _, layer in layers for warning in layer.warnings]
    if problems:
        raise refused([*problems, *(f"warning: {warning}" for warning in warnings)])
    values = Settings.model_validate(merged.value, context=WHOLE)
    return LoadedSettings(
        values=_without_hidden(values),
        provenance=merged.origin,
        warnings=tuple(warnings),
        layers=tuple(found),
        raw=merged.value,
    )


def refused(problems: list[str]) -> ConfigError:
    """The error that tells all problems of settings."""
    lines = "\n".join(f"  {problem}" for problem in problems)
    return ConfigError(
        f"the settings are wrong\n{lines}",
        hint="jobman settings path shows the files, jobman settings schema what is allowed",
    )


def default_problem(settings: Settings) -> Problem | None:
    """Why the default flavor is none of the flavors, or None. JSON and files are not looked at."""
    default = settings.job.resources.default
    names = [flavor.name for flavor in settings.job.resources.predefined]
    if not default or default in names or default.lstrip().startswith("{") or "/" in default:
        return None
    close = nearest(default, names)
    known = f"did you mean '{close}'?" if close else f"flavors: {', '.join(names) or 'none'}"
    at = ("job", "resources", "default")
    return Problem(at, f"no flavor is called '{default}'; {known}")


def _of_environment(environ: Mapping[str, str]) -> Iterator[tuple[str, files.Layer]]:
    for variable, path in VARIABLES.items():
        if environ.get(variable):
            yield variable, files.of_values(_nested(path, environ[variable]), variable)


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
