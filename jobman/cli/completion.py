"""What the shell offers: names of jobs, flavors, namespaces and images.

Quick, and silent whatever goes wrong; the embedded cluster is asked where it runs and never
started.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

import typer

from jobman.cli.cluster import connect_quickly
from jobman.cli.context import AppContext, GlobalOptions
from jobman.errors import JobmanError
from jobman.values.names import LAST

if TYPE_CHECKING:
    from jobman.images.models import Image

PATIENCE_S = 2.0
"""How long a shell waits at most; what is not there by then is not offered."""


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of my jobs, and LAST."""
    return [name for name in _soon(_jobs, ctx) if name.startswith(incomplete)]


def flavors(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of the flavors."""
    return [name for name in _soon(_flavors, ctx) if name.startswith(incomplete)]


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names of the namespaces, where I may list them."""
    return [name for name in _soon(_namespaces, ctx) if name.startswith(incomplete)]


def images(ctx: typer.Context, incomplete: str) -> list[str]:
    """The images on Harbor as they were last seen; behind a colon their tags."""
    names = _soon(_tagged if ":" in incomplete else _images, ctx)
    return [name for name in names if name.startswith(incomplete)]


def _soon(ask: Callable[[AppContext], list[str]], ctx: typer.Context) -> list[str]:
    """What `ask` answers within PATIENCE_S; nothing where it fails or takes longer."""
    answer: list[str] = []

    def run() -> None:
        try:
            answer.extend(ask(_quiet_app(ctx)))
        except (JobmanError, OSError, ValueError):
            return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    return list(answer)


def _quiet_app(ctx: typer.Context) -> AppContext:
    """The app's context of the options typed so far, with nowhere to talk to."""
    given: dict[str, Any] = {}
    levels: list[Any] = []
    level: Any = ctx
    while level is not None:
        levels.append(level)
        level = level.parent
    for level in reversed(levels):
        for name in ("settings", "context", "namespace", "local"):
            if level.params.get(name):
                given[name] = level.params[name]
    options = GlobalOptions().overlaid(given)
    return AppContext(out=io.StringIO(), err=io.StringIO(), options=options)


def _jobs(app: AppContext) -> list[str]:
    from jobman.jobs.find import selector_of
    from jobman.kube.identity import who_am_i
    from jobman.kube.resources import JOBS

    client = connect_quickly(app)
    if client is None:
        return []
    user = who_am_i(client, app.settings.values.user, app.environ)
    first_page = islice(client.pages(JOBS, labels=selector_of(user)), 1)
    return [LAST, *sorted(job.metadata.name for page in first_page for job in page.items)]


def _flavors(app: AppContext) -> list[str]:
    return sorted(flavor.name for flavor in app.settings.values.job.resources.predefined)


def _namespaces(app: AppContext) -> list[str]:
    from jobman.kube.resources import NAMESPACES

    client = connect_quickly(app)
    first_page = islice(client.pages(NAMESPACES), 1) if client else ()
    return [namespace.metadata.name for page in first_page for namespace in page.items]


def _images(app: AppContext) -> list[str]:
    return [image.name for image in _known(app)]


def _tagged(app: AppContext) -> list[str]:
    return [f"{image.name}:{tag.name}" for image in _known(app) for tag in image.tags]


def _known(app: AppContext) -> list[Image]:
    """What is kept of the Harbor projects, which are not asked."""
    from jobman.cli.image_choice import cache_directory
    from jobman.images.projects import Project, configured

    projects = configured(app.settings.values)
    kept = (Project(p, app.environ, cache_directory()).known(max_age_s=None) for p in projects)
    return [image for found in kept for image in found or ()]
