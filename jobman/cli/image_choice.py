"""Which image a job gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobman.errors import UsageError

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.config.flavors import Flavor


def choose(app: AppContext, given: str | None, flavor: Flavor) -> str:
    """The image of `-i`, else the flavor's, else the settings', as the cluster is to pull it."""
    text = given or flavor.image or app.settings.values.job.default_image
    if not text:
        raise UsageError("no image: give -i, or set job.defaultImage in the settings")
    return resolve_image(app, text)


def resolve_image(app: AppContext, text: str) -> str:
    """The full reference that `text` means: behind job.imagePrefix unless it names a registry.

    Raises UsageError for what is no image reference.
    """
    from jobman.images.reference import Reference

    prefix = app.settings.values.job.image_prefix
    return str(Reference.parse(text).with_prefix(prefix))
