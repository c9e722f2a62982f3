"""The jobs of one `jobman submit`, of a command or of a file, before they have name and stamp."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobman.cli.problems import Problems

if TYPE_CHECKING:
    from jobman.errors import JobmanError
    from jobman.jobs.request import SubmitRequest
    from jobman.jobs.stamp import Stamp


@dataclass(frozen=True)
class Draft:
    """A job to be: `build` makes the manifest of a name and a stamp.

    Without a `name` it takes `new_name`'s, and another one if that is taken. `where` is its place
    in the file that it is of.
    """

    build: Callable[[str, Stamp], dict[str, Any]]
    name: str | None
    new_name: Callable[[], str]
    where: str = ""

    def refused(self, error: JobmanError) -> JobmanError:
        """The error, with the place of what it is about."""
        error.message = f"{self.place}{error.message}"
        return error

    @property
    def place(self) -> str:
        """Where in its file it is and how it is called, to begin a sentence with."""
        named = f" ({self.name})" if self.name else ""
        return f"{self.where}{named}: " if self.where else ""

    def manifest(self, stamp: Stamp, *, namespace: str | None = None) -> dict[str, Any]:
        """The manifest, in `namespace` where it names none itself.

        Raises UsageError where it is too big for a server.
        """
        from jobman.jobs.rules import manifest_problems

        made = self.build(self.name or self.new_name(), stamp)
        problems = Problems()
        problems.extend(manifest_problems(made))
        problems.report()
        metadata = dict(made["metadata"])
        place = {"namespace": namespace} if namespace and not metadata.get("namespace") else {}
        return {**made, "metadata": {"name": metadata.pop("name"), **place, **metadata}}


def of_request(made: SubmitRequest) -> Draft:
    """The job that the command line describes."""
    from jobman.jobs import manifest
    from jobman.jobs.request import default_name

    def build(name: str, stamp: Stamp) -> dict[str, Any]:
        return manifest.job(made, name, stamp)

    return Draft(build, made.name, default_name)
