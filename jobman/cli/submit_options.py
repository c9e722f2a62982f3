"""The options of `jobman submit`, and those that whatever makes pods takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jobman.cli import completion
from jobman.values.enums import ImagePullPolicy

FlavorOption = Annotated[
    str | None,
    typer.Option(
        "-r",
        "--resources-flavor",
        "--flavor",
        metavar="NAME|JSON|FILE",
        help="The resources: a flavor's name, its JSON, or a file with it.",
        autocompletion=completion.flavors,
    ),
]
SetResource = Annotated[
    list[str] | None,
    typer.Option(
        "--set-resource", metavar="KEY=QUANTITY,…", help="Any resources, over the flavor's."
    ),
]


@dataclass(frozen=True, kw_only=True)
class PodOptions:
    """What a pod is to be, as it was given on the command line."""

    image: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--image",
            metavar="IMAGE",
            help="The container's image; a short name is looked for on Harbor first.",
            autocompletion=completion.images,
        ),
    ] = None
    no_image_check: Annotated[
        bool,
        typer.Option(
            "--no-image-check",
            help="Go on with an image that Harbor lacks, or when Harbor does not answer.",
        ),
    ] = False
    flavor: FlavorOption = None
    command: Annotated[
        bool,
        typer.Option(
            "-c", "--command", help="The words replace the image's entrypoint, not its arguments."
        ),
    ] = False
    env: Annotated[
        list[str] | None,
        typer.Option(
            "-e", "--env", metavar="K[=V]", help="A variable; K alone passes its value from here."
        ),
    ] = None
    env_file: Annotated[
        list[Path] | None,
        typer.Option("--env-file", metavar="FILE", help="Variables, a line each: K=V or K."),
    ] = None
    workdir: Annotated[
        str | None,
        typer.Option("-w", "--workdir", metavar="DIR", help="The directory to run in."),
    ] = None
    cpu: Annotated[
        str | None, typer.Option("--cpu", metavar="QUANTITY", help="CPU, over the flavor's.")
    ] = None
    memory: Annotated[
        str | None, typer.Option("--memory", metavar="QUANTITY", help="Memory, over the flavor's.")
    ] = None
    gpus: Annotated[
        str | None, typer.Option("--gpus", metavar="N", help="GPUs, over the flavor's.")
    ] = None
    set_resource: SetResource = None
    label: Annotated[list[str] | None, typer.Option("--label", metavar="K=V", help="A label.")] = (
        None
    )
    annotation: Annotated[
        list[str] | None, typer.Option("--annotation", metavar="K=V", help="An annotation.")
    ] = None
    annotations: Annotated[
        str | None,
        typer.Option("-a", "--annotations", metavar="JSON", help="Annotations as a JSON object."),
    ] = None
    image_pull_policy: Annotated[
        ImagePullPolicy | None,
        typer.Option("--image-pull-policy", help="When the image is pulled."),
    ] = None
    image_pull_secret: Annotated[
        list[str] | None,
        typer.Option("--image-pull-secret", metavar="NAME", help="A Secret to pull it with."),
    ] = None
    time_limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="DURATION",
            help="Stop the pod after 90 (seconds), 2h30m, 1-12:00:00; its log stays.",
        ),
    ] = None
    priority_class: Annotated[
        str | None, typer.Option("--priority-class", metavar="NAME", help="The PriorityClass.")
    ] = None
    node_selector: Annotated[
        list[str] | None,
        typer.Option("--node-selector", metavar="K=V", help="Only nodes with this label."),
    ] = None
    gpu_product: Annotated[
        str | None,
        typer.Option("--gpu-product", metavar="NAME", help="Only nodes with this kind of GPU."),
    ] = None
    toleration: Annotated[
        list[str] | None,
        typer.Option(
            "--toleration", metavar="KEY[=VALUE][:EFFECT]", help="Also nodes with this taint."
        ),
    ] = None
    volume: Annotated[
        list[str] | None,
        typer.Option("--volume", metavar="CLAIM:/PATH[:ro]", help="Mount a PersistentVolumeClaim."),
    ] = None
    shm: Annotated[
        str | None,
        typer.Option("--shm", metavar="QUANTITY", help="The size of /dev/shm, of its memory."),
    ] = None
    secret_env: Annotated[
        list[str] | None,
        typer.Option("--secret-env", metavar="NAME", help="All keys of a Secret as variables."),
    ] = None
    service_account: Annotated[
        str | None,
        typer.Option("--service-account", metavar="NAME", help="Who the pod is to the API."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class SubmitOptions(PodOptions):
    """What was given on the command line, as it was given."""

    job_name: Annotated[
        str | None,
        typer.Option(
            "-j",
            "--job-name",
            metavar="NAME",
            help="The job's name; else job- and five random characters.",
        ),
    ] = None
    file: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--file",
            metavar="FILE",
            help="Submit the Jobs (and Pods, as Jobs) of a manifest; - is stdin.",
        ),
    ] = None
    retries: Annotated[
        int,
        typer.Option("--retries", min=0, metavar="N", help="Try again after a failure, N times."),
    ] = 0
    array: Annotated[
        str | None,
        typer.Option(
            "--array",
            metavar="N[%K]",
            help="N tasks, K at a time; each finds its number in JOB_COMPLETION_INDEX.",
        ),
    ] = None
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl", metavar="DURATION", help="Have the job deleted this long after its end."
        ),
    ] = None
    hold: Annotated[
        bool, typer.Option("--hold", help="Submit it suspended: it runs once it is released.")
    ] = False
    local_queue: Annotated[
        str | None, typer.Option("--local-queue", metavar="NAME", help="Kueue's LocalQueue.")
    ] = None
    force: Annotated[
        bool, typer.Option("--force", help="Submit also what no node can ever take.")
    ] = False
    wait: Annotated[
        bool,
        typer.Option("--wait/--no-wait", help="Wait for the end; exit with the job's exit code."),
    ] = False
    follow: Annotated[
        bool, typer.Option("--follow", help="The same, and print the log as it comes.")
    ] = False
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="DURATION", help="Wait no longer (exit 124); the job goes on."
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the manifest and submit nothing; asks no cluster."),
    ] = False
    server_dry_run: Annotated[
        bool,
        typer.Option(
            "--server-dry-run", help="Have the server check it; print what it would make of it."
        ),
    ] = False
