"""The command line and the settings to a SubmitRequest."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from jobman.cli import environment, image_choice, offline
from jobman.cli.problems import Problems
from jobman.cli.submit_options import SubmitOptions
from jobman.values import quantity
from jobman.values.duration import parse_duration

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.config.flavors import Flavor
    from jobman.config.settings import Settings
    from jobman.jobs.request import SubmitRequest

PRODUCT_LABEL = "nvidia.com/gpu.product"
PRODUCT_LABELS = {"amd.com/gpu": "amd.com/gpu.product-name"}
"""Where the vendors' feature discovery writes what kind of GPU a node has."""


def request(
    app: AppContext, options: SubmitOptions, words: Sequence[str], *, embedded: bool
) -> SubmitRequest:
    """The request, as the cluster does not matter yet. Raises UsageError with all that is wrong.

    `embedded` asks for words, as there no image has an entrypoint, and adds what is the caller's.
    """
    from jobman.jobs.request import validate

    problems = Problems()
    if embedded and not words:
        problems.add(
            "no command to run: on the embedded cluster no image is pulled that could have one",
            "write it behind --, as in: jobman submit -- echo hello",
        )
    settings = app.settings.values
    made = _request(app, settings, options, words, problems)
    if embedded:
        made = _beside_the_caller(made, app.environ, problems)
    problems.extend(validate(made))
    problems.report()
    return _with_image(app, made, options)


def _with_image(app: AppContext, made: SubmitRequest, options: SubmitOptions) -> SubmitRequest:
    """The request with its image as Harbor knows it, asked once all else is right."""
    named = image_choice.named(app, options.image, made.flavor)
    choice = image_choice.on_harbor(app, named, check=not options.no_image_check)
    secrets = _once(made.image_pull_secrets, [choice.pull_secret] if choice.pull_secret else None)
    return replace(made, image=choice.reference, image_pull_secrets=secrets)


def _request(
    app: AppContext,
    settings: Settings,
    options: SubmitOptions,
    words: Sequence[str],
    problems: Problems,
) -> SubmitRequest:
    """The request; something that is wrong has a stand-in, for the rest to be checked."""
    from jobman.jobs import annotations
    from jobman.jobs.request import Array, SubmitRequest, Toleration, Volume

    job = settings.job
    notes = given_annotations(options, problems)
    flavor = _flavor(settings, options, problems)
    image = ""
    with problems.collected():
        image = str(image_choice.named(app, options.image, flavor).reference)
    time_limit = problems.parse("--time-limit", _seconds, options.time_limit)
    return SubmitRequest(
        flavor=flavor,
        image=image,
        name=options.job_name,
        words=tuple(words),
        as_command=options.command,
        env=environment.given(options.env or (), options.env_file or (), app.environ, problems),
        workdir=options.workdir,
        labels=pairs("--label", options.label or (), problems),
        annotations=annotations.merged(job, flavor, app.environ, *notes),
        image_pull_policy=options.image_pull_policy or job.image_pull_policy,
        image_pull_secrets=_once(job.image_pull_secrets, options.image_pull_secret),
        security_context=_security_context(settings),
        priority_class=(
            options.priority_class or flavor.priority_class_name or job.priority_class_name
        ),
        local_queue=options.local_queue,
        node_selector=_node_selector(flavor, options, problems),
        tolerations=tuple(
            problems.parse_all("--toleration", Toleration.parse, options.toleration or ())
        ),
        service_account=options.service_account,
        secret_env=_once(options.secret_env),
        volumes=tuple(problems.parse_all("--volume", Volume.parse, options.volume or ())),
        shm=problems.parse("--shm", _size, options.shm),
        time_limit_s=time_limit if time_limit is not None else _flavor_limit(flavor),
        ttl_s=problems.parse("--ttl", _seconds, options.ttl),
        retries=options.retries,
        array=problems.parse("--array", Array.parse, options.array),
        hold=options.hold,
    )


def complete(
    app: AppContext, options: SubmitOptions, words: Sequence[str], *, dry: bool
) -> SubmitRequest:
    """The request as the chosen cluster wants it; `dry` asks no cluster."""
    embedded = offline.is_embedded(app, by_default=not dry)
    made = request(app, options, words, embedded=embedded)
    if not embedded and (configmap := app.settings.values.job.user_configmap):
        return _with_group_of(app, made, configmap, dry=dry)
    return made


def _with_group_of(
    app: AppContext, made: SubmitRequest, configmap: str, *, dry: bool
) -> SubmitRequest:
    """The request with the group that the namespace's ConfigMap gives; a dry run cannot know it."""
    from jobman.jobs.service import NoGroupError, group_of_user

    if dry:
        app.say("note: job.userConfigmap is read at submission; its group is not in here")
        return made
    try:
        return with_group(made, group_of_user(app.client, configmap))
    except NoGroupError as error:
        app.warn(f"{error.message}; the job gets no group of it")
        return made


def _beside_the_caller(
    made: SubmitRequest, environ: Mapping[str, str], problems: Problems
) -> SubmitRequest:
    """The request for the embedded cluster, whose jobs run on this very machine.

    They begin where the caller is and find the caller's programs, unless told otherwise.
    """
    from jobman.config.layers import working_directory

    workdir = made.workdir
    if workdir is None:
        cwd = working_directory()
        if cwd is None:
            problems.add("the working directory was deleted", "-w DIR names another one")
        else:
            workdir = str(cwd)
    return replace(made, caller_env=environment.of_caller(environ), workdir=workdir)


def with_group(made: SubmitRequest, group: int) -> SubmitRequest:
    """The request with one more supplemental group for the pod."""
    context = dict(made.security_context)
    groups = [*context.get("supplementalGroups", []), group]
    return replace(
        made, security_context={**context, "supplementalGroups": list(dict.fromkeys(groups))}
    )


def pairs(flag: str, texts: Iterable[str], problems: Problems) -> dict[str, str]:
    """`K=V` of a flag that may be repeated; the last of a key wins."""
    result: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            problems.add(f"{flag} {text}: KEY=VALUE is needed")
        else:
            result[key] = value
    return result


def resources(texts: Iterable[str], problems: Problems) -> dict[str, str]:
    """The quantities of --set-resource, several of them between commas."""
    parts = [part for text in texts for part in text.split(",") if part or not text]
    return pairs("--set-resource", parts, problems)


def given_annotations(options: SubmitOptions, problems: Problems) -> list[dict[str, str]]:
    """The annotations of -a and of --annotation, which outrank them."""
    of_json = problems.parse("-a", _json_annotations, options.annotations)
    return [of_json or {}, pairs("--annotation", options.annotation or (), problems)]


def _json_annotations(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError('a JSON object is needed, like \'{"key": "value"}\'')
    for key, value in found.items():
        if not isinstance(value, str):
            raise ValueError(f"the value of '{key}' is no text; write {json.dumps(str(value))}")
    return found


def _flavor(settings: Settings, options: SubmitOptions, problems: Problems) -> Flavor:
    """The flavor with the user's own quantities over it; an empty one where it is wrong."""
    from jobman.config.flavors import Flavor, Resources, resolve
    from jobman.config.layers import working_directory

    with problems.collected():
        flavor = resolve(options.flavor, settings, working_directory())
        changes = _quantities(settings, flavor, options, problems)
        return flavor.with_resources(changes) if changes else flavor
    return Flavor(name="none", resources=Resources())


def _quantities(
    settings: Settings, flavor: Flavor, options: SubmitOptions, problems: Problems
) -> dict[str, str]:
    result = resources(options.set_resource or (), problems)
    of_flags = {
        "cpu": ("--cpu", options.cpu),
        "memory": ("--memory", options.memory),
        _gpu_resource(settings, flavor): ("--gpus", options.gpus),
    }
    for key, (flag, text) in of_flags.items():
        if text is not None and key in result:
            problems.add(f"{flag} {text}: --set-resource sets {key} too")
        elif text is not None:
            result[key] = text
    return result


def _gpu_resource(settings: Settings, flavor: Flavor) -> str:
    """The GPU of the flavor; of one without, the first that the site has."""
    known = settings.jobs_queue.gpu_resources
    return known[0] if known and not flavor.gpu_count else flavor.gpu_resource


def _node_selector(flavor: Flavor, options: SubmitOptions, problems: Problems) -> dict[str, str]:
    """The labels of --node-selector and the one by which GPU nodes tell their product."""
    result = pairs("--node-selector", options.node_selector or (), problems)
    if options.gpu_product is not None:
        result[PRODUCT_LABELS.get(flavor.gpu_resource, PRODUCT_LABEL)] = options.gpu_product
    return result


def _once(*parts: Iterable[str] | None) -> tuple[str, ...]:
    """All of the parts in their order, each once."""
    return tuple(dict.fromkeys(text for part in parts for text in part or ()))


def _security_context(settings: Settings) -> dict[str, Any]:
    context = settings.job.security_context
    return context.model_dump(by_alias=True, exclude_none=True) if context else {}


def _flavor_limit(flavor: Flavor) -> int | None:
    return None if flavor.time_limit is None else _seconds(flavor.time_limit)


def _seconds(text: str) -> int:
    """Whole seconds, rounded up."""
    return math.ceil(parse_duration(text))


def _size(text: str) -> str:
    quantity.parse(text)
    return text
