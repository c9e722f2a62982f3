"""The options of `jobman map`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from jobman.cli import completion
from jobman.cli.submit_options import PodOptions
from jobman.map.braces import MOST

ITEMS = "Items"
FLOW = "Flow"
LOGS = "Logs"


@dataclass(frozen=True, kw_only=True)
class MapOptions(PodOptions):
    """What was given on the command line, as it was given."""

    items: Annotated[
        str | None,
        typer.Option(
            "-i",
            "--items",
            metavar="FILE|-",
            help="An item per line.",
            rich_help_panel=ITEMS,
        ),
    ] = None
    json_items: Annotated[
        str | None,
        typer.Option(
            "-j",
            "--json",
            metavar="FILE|-",
            help="A JSON list of texts or of objects.",
            rich_help_panel=ITEMS,
        ),
    ] = None
    braces: Annotated[
        str | None,
        typer.Option(
            "-b",
            "--braces",
            metavar="TEXT",
            help="What bash makes of it: 'shard-{000..999}'.",
            rich_help_panel=ITEMS,
        ),
    ] = None
    params: Annotated[
        str | None,
        typer.Option(
            "-p",
            "--params",
            metavar="CSV|-",
            help="A row per item; the first one names the values.",
            rich_help_panel=ITEMS,
        ),
    ] = None
    seq: Annotated[
        int | None,
        typer.Option(
            "--seq",
            min=1,
            max=MOST,
            metavar="N",
            help="0 to N-1; in words also {i}.",
            rich_help_panel=ITEMS,
        ),
    ] = None
    image: Annotated[
        str | None,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help="The container's image; a short name is looked for on Harbor first.",
            autocompletion=completion.images,
        ),
    ] = None
    max_pending: Annotated[
        int | None,
        typer.Option(
            "--max-pending",
            "--maxpending",
            min=1,
            metavar="N",
            help="Pods that wait, at most; by default as many as start quickly.",
            rich_help_panel=FLOW,
        ),
    ] = None
    max_running: Annotated[
        int,
        typer.Option(
            "--max-running",
            "--maxrunning",
            min=1,
            metavar="N",
            help="Pods, at most.",
            rich_help_panel=FLOW,
        ),
    ] = 100_000
    retries: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Run an item again whose pod vanished (evicted, deleted), N times.",
            rich_help_panel=FLOW,
        ),
    ] = 3
    pace: Annotated[
        float,
        typer.Option(
            min=0.0, metavar="SECONDS", help="Wait between two pods.", rich_help_panel=FLOW
        ),
    ] = 0.0
    keep_going: Annotated[
        bool,
        typer.Option(
            "--keep-going",
            help="Go on when everything fails of the same cause.",
            rich_help_panel=FLOW,
        ),
    ] = False
    no_wait: Annotated[
        bool,
        typer.Option(
            "--no-wait",
            "--nowait",
            help="End when all pods are made; the same command brings the logs home.",
            rich_help_panel=FLOW,
        ),
    ] = False
    log_dir: Annotated[
        Path,
        typer.Option(
            "--log-dir",
            "--logdir",
            metavar="DIR",
            help="Where the logs go, and what is known of the run.",
            rich_help_panel=LOGS,
        ),
    ] = Path("JOBMAN")
    stream_logs: Annotated[
        bool,
        typer.Option(
            "--stream-logs",
            help="Read the logs while the pods run: a rotation takes only what is not read yet.",
            rich_help_panel=LOGS,
        ),
    ] = False
    keep_pods: Annotated[
        bool, typer.Option("--keep-pods", help="Delete no pod.", rich_help_panel=LOGS)
    ] = False
    keep_failed_pods: Annotated[
        bool,
        typer.Option("--keep-failed-pods", help="Delete none that failed.", rich_help_panel=LOGS),
    ] = False
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Run again what failed.", rich_help_panel=LOGS),
    ] = False
    retry_reason: Annotated[
        list[str] | None,
        typer.Option(
            "--retry-reason",
            metavar="REASON|ID",
            help="Run again what failed for this reason, or of the cause that is called so.",
            rich_help_panel=LOGS,
        ),
    ] = None
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run everything again.", rich_help_panel=LOGS)
    ] = False
    detach: Annotated[
        bool,
        typer.Option(
            "--detach",
            help="Have it carried out inside the cluster; print the run's id.",
            rich_help_panel=FLOW,
        ),
    ] = False
    print_only: Annotated[
        bool, typer.Option("-P", "--print", help="Print each pod and create nothing.")
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", "--dryrun", help="Say what would be done, and do nothing."),
    ] = False
