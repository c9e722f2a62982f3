"""The annotations of a job that are not jobman's own: which of several sources wins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jobman.config.flavors import Flavor
from jobman.config.settings import JobAnnotation, JobSettings


def merged(
    settings: JobSettings,
    flavor: Flavor,
    environ: Mapping[str, str],
    *given: Mapping[str, str],
) -> dict[str, str]:
    """The flavor's name under the settings' label < the settings' annotations < `given`, in order.

    An annotation of type `env` whose variable is not set is left out.
    """
    label = settings.resources.label
    result = {label: flavor.name} if label else {}
    result |= of_settings(settings.annotations, environ)
    for chosen in given:
        result |= chosen
    return result


def of_settings(annotations: Sequence[JobAnnotation], environ: Mapping[str, str]) -> dict[str, str]:
    """`job.annotations`, with the values of environment variables filled in."""
    result = {}
    for annotation in annotations:
        if annotation.value_type == "string":
            result[annotation.key] = annotation.value
        elif annotation.value in environ:
            result[annotation.key] = environ[annotation.value]
    return result
