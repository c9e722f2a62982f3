"""What is asked for: one job, with every choice made.

Flavor, image, settings and the user's flags are merged before; nothing here is looked up.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobman.jobs import rules
from jobman.jobs.stamp import OWN_ANNOTATIONS, OWN_LABELS
from jobman.values import names
from jobman.values.enums import ImagePullPolicy

if TYPE_CHECKING:
    from jobman.config.flavors import Flavor

ARRAY_MAX = 100_000
"""More indexes than this need rules of their own in Kubernetes."""
COUNT_MAX = 2**31 - 1
"""The largest whole number of Kubernetes' counts and seconds."""
SHM = "/dev/shm"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True)
class Array:
    """Tasks 0 to `size` - 1, each a pod; `at_once` None runs all together."""

    size: int
    at_once: int | None = None

    @classmethod
    def parse(cls, text: str) -> Array:
        """`N` or `N%K`, as Slurm writes it. Raises ValueError with a plain reason."""
        match = re.fullmatch(r"(\d{1,99})(?:%(\d{1,99}))?", text, re.ASCII)
        if match is None:
            raise ValueError("N or N%K is needed: N tasks, K at a time")
        return cls(int(match[1]), int(match[2]) if match[2] else None)


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim in the container's file tree."""

    claim: str
    path: str
    read_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Volume:
        """`CLAIM:/PATH` or `CLAIM:/PATH:ro`. Raises ValueError with a plain reason."""
        claim, _, rest = text.partition(":")
        path, colon, mode = rest.partition(":")
        if not path or (colon and mode not in ("ro", "rw")):
            raise ValueError("CLAIM:/PATH or CLAIM:/PATH:ro is needed")
        return cls(claim, path, mode == "ro")


@dataclass(frozen=True)
class Toleration:
    """A taint that the pod puts up with; without `value` any value of the key."""

    key: str
    value: str | None = None
    effect: str | None = None

    @classmethod
    def parse(cls, text: str) -> Toleration:
        """`KEY[=VALUE][:EFFECT]`, as kubectl writes taints. Raises ValueError."""
        rest, _, effect = text.partition(":")
        key, equals, value = rest.partition("=")
        problem = names.label_key_problem(key) or names.label_value_problem(value)
        if problem:
            raise ValueError(f"KEY[=VALUE][:EFFECT] is needed: {problem}")
        if effect and effect not in EFFECTS:
            raise ValueError(f"the effect '{effect}' is none of {', '.join(EFFECTS)}")
        return cls(key, value if equals else None, effect or None)


@dataclass(frozen=True, kw_only=True)
class SubmitRequest:
    """A job to submit.

    `words` are the container's args, or its command where `as_command`. `env` outranks
    `caller_env`, what the program needs of the caller's where it runs beside it. `labels` and
    `annotations` are the user's and the settings', without jobman's own. `tolerations` add to
    the flavor's, `node_selector`, `priority_class` and `local_queue` outrank it. `security_context`
    is the pod's, in Kubernetes' own form.
    """

    flavor: Flavor
    image: str
    name: str | None = None
    words: tuple[str, ...] = ()
    as_command: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    caller_env: Mapping[str, str] = field(default_factory=dict)
    workdir: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    image_pull_policy: ImagePullPolicy | None = None
    image_pull_secrets: tuple[str, ...] = ()
    security_context: Mapping[str, Any] = field(default_factory=dict)
    priority_class: str | None = None
    local_queue: str | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    service_account: str | None = None
    secret_env: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    shm: str | None = None
    time_limit_s: int | None = None
    ttl_s: int | None = None
    retries: int = 0
    array: Array | None = None
    hold: bool = False


def validate(request: SubmitRequest) -> list[str]:
    """Everything that a server, or Linux, would refuse; a text per problem, none when fine."""
    return [
        *_name_problems(request),
        *_command_problems(request),
        *rules.env_problems({**request.caller_env, **request.env}),
        *rules.own_key_problems(request.labels, OWN_LABELS, "label"),
        *rules.label_problems(request.labels, "label"),
        *rules.own_key_problems(request.annotations, OWN_ANNOTATIONS, "annotation"),
        *rules.annotation_problems(request.annotations, "annotation"),
        *rules.label_problems({**request.node_selector}, "node selector"),
        *_reference_problems(request),
        *_volume_problems(request),
        *_number_problems(request),
    ]


def default_name() -> str:
    """`job-` and five random characters."""
    return f"job-{names.random_suffix()}"


def name_problem(name: str) -> str | None:
    """Why a job cannot be called so; shorter than Kubernetes' 63, to leave pod names whole."""
    if name == names.LAST:
        return "it stands for the job submitted last"
    return names.dns_label_problem(name, longest=names.JOB_NAME_MAX)


def _name_problems(request: SubmitRequest) -> Iterator[str]:
    name = request.name
    if name is not None and (problem := name_problem(name)):
        yield f"job name '{name}': {problem}"


def _command_problems(request: SubmitRequest) -> Iterator[str]:
    yield from rules.word_problems(request.words)
    if request.as_command and not request.words:
        yield "-c/--command: there are no words to take as the container's command"
    if request.as_command and request.words[:1] == ("",):
        yield "-c/--command: the first word is empty, it names no program"
    workdir = request.workdir
    if workdir is None:
        return
    if problem := rules.text_problem(workdir):
        yield f"working directory '{workdir}' {problem}"
    if not workdir.startswith("/"):
        yield f"working directory '{workdir}': in a container it must begin with '/'"


def _reference_problems(request: SubmitRequest) -> Iterator[str]:
    """Names of other objects."""
    named = [
        *(("image pull secret", name) for name in request.image_pull_secrets),
        *(("secret", name) for name in request.secret_env),
        *(("volume claim", volume.claim) for volume in request.volumes),
        ("priority class", request.priority_class),
        ("service account", request.service_account),
    ]
    for what, name in named:
        if name is not None and (problem := names.dns_subdomain_problem(name)):
            yield f"{what} '{name}': {problem}"
    queue = request.local_queue
    if queue is not None and (problem := names.dns_subdomain_problem(queue, longest=63)):
        yield f"local queue '{queue}': {problem}"


def _volume_problems(request: SubmitRequest) -> Iterator[str]:
    seen = {SHM} if request.shm else set[str]()
    for volume in request.volumes:
        if not volume.path.startswith("/") or ":" in volume.path:
            yield f"volume '{volume.claim}': its path '{volume.path}' must be absolute, without ':'"
        if volume.path in seen:
            yield f"volume '{volume.claim}': something is mounted at '{volume.path}' already"
        seen.add(volume.path)


def _number_problems(request: SubmitRequest) -> Iterator[str]:
    counts = {
        "time limit": (request.time_limit_s, 1),
        "time to live": (request.ttl_s, 0),
        "retries": (request.retries, 0),
    }
    for what, (number, least) in counts.items():
        if number is not None and not least <= number <= COUNT_MAX:
            yield f"{what}: {number} is not between {least} and {COUNT_MAX}"
    array = request.array
    if array is None:
        return
    if not 1 <= array.size <= ARRAY_MAX:
        yield f"array: {array.size} tasks, 1 to {ARRAY_MAX} are allowed"
    if array.at_once is not None and array.at_once < 1:
        yield f"array: {array.at_once} at a time, at least one must run"
