"""`jobman nodes`: what the machines have, what is free, and who holds the GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli.command import app_context, command
from jobman.cli.queue import gpu_rule, query
from jobman.errors import ForbiddenError, NotFoundError, UsageError
from jobman.values import names as words
from jobman.values.enums import Output, QueueBy
from jobman.values.text import visible

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.queue.snapshot import Snapshot

FORMS = (Output.TABLE, Output.WIDE, Output.JSON, Output.YAML, Output.NAME, Output.CSV)
_BY = (QueueBy.NODE, QueueBy.GPU)


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "nodes", forms=FORMS)(nodes)


def nodes(
    ctx: typer.Context,
    patterns: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATTERN", help="Names or globs ('gpu-*'); none: all."),
    ] = None,
    by: Annotated[
        str, typer.Option(metavar="WORD", help=f"A row is one of: {', '.join(_BY)}.")
    ] = QueueBy.NODE,
    gpu_only: Annotated[
        bool, typer.Option("--gpu-only", help="Only nodes that have GPUs.")
    ] = False,
    holders: Annotated[
        bool, typer.Option("--holders", "-v", help="Also the pods that hold the GPUs.")
    ] = False,
) -> None:
    """List the nodes: GPUs, cpu and memory that are free, state, taints, who holds the GPUs."""
    app = app_context(ctx)
    if by.lower() not in _BY:
        raise UsageError(f"--by: no such rows as '{by}'", hint=f"all: {', '.join(_BY)}")
    if holders and by.lower() == QueueBy.GPU:
        raise UsageError("--holders goes with --by node alone")
    from jobman.kube.resources import NODES

    for word in patterns or []:
        NODES.check_name(word)
    snapshot = _read(app, holders=holders)
    _require_names(snapshot, patterns or [])
    narrowed = _narrowed(snapshot, patterns or [], gpu_only, app)
    if by.lower() == QueueBy.GPU:
        _write_products(app, narrowed)
    else:
        _write_nodes(app, narrowed)
    if app.output() in (Output.TABLE, Output.WIDE):
        _say_what_is_missing(app, narrowed)
        if holders and narrowed.holders is None:
            app.say("who holds the GPUs cannot be known: not all pods of the cluster may be read")
    _require(snapshot, patterns or [])


def _read(app: AppContext, *, holders: bool) -> Snapshot:
    from jobman.queue import asking

    begun = asking.begin(app.client, jobs=False, quotas=False)
    from jobman.queue import sources  # what counts is loaded while the server answers

    asked = query(app, QueueBy.FLAVOR, nodes_alone=True, holders=holders)
    snapshot = sources.read(app.client, asked, begun, now=app.now())
    if snapshot.nodes is None:
        raise ForbiddenError(
            "the nodes may not be read, and no published queue tells of them",
            code=403,
            hint="an administrator can publish it: jobman queue publish; see docs/multi-user.md",
        )
    return snapshot


def _narrowed(snapshot: Snapshot, patterns: list[str], gpu_only: bool, app: AppContext) -> Snapshot:
    from dataclasses import replace

    from jobman.queue.gpus import gpu_resources

    is_gpu = gpu_rule(app)
    kept = [
        node
        for node in snapshot.nodes or ()
        if (not patterns or any(words.means(word, node.name) for word in patterns))
        and (not gpu_only or gpu_resources(node, is_gpu))
    ]
    return replace(snapshot, nodes=kept)


def _require_names(snapshot: Snapshot, patterns: Sequence[str]) -> None:
    """Raise NotFoundError where nodes are asked for by names that they do not have."""
    nodes = snapshot.nodes or ()
    if patterns and nodes and not any(node.name for node in nodes):
        raise NotFoundError(
            f"published nodes have no names: none of them is called {_or(patterns)}",
            hint="jobman nodes shows all of them, --by gpu the kinds",
        )


def _require(snapshot: Snapshot, patterns: Sequence[str]) -> None:
    """Raise NotFoundError for a name that no node has."""
    known = {node.name for node in snapshot.nodes or ()}
    plain = [word for word in dict.fromkeys(patterns) if not words.is_glob(word)]
    if missing := [word for word in plain if word not in known]:
        raise NotFoundError(f"no node is called {_or(missing)}", hint="all: jobman nodes")


def _or(names: Sequence[str]) -> str:
    return " or ".join(visible(name, limit=80) for name in names)


def _write_nodes(app: AppContext, snapshot: Snapshot) -> None:
    from jobman.cli.render import nodes as render
    from jobman.queue import node_rows

    found = node_rows.rows(snapshot, gpu_rule(app))
    if app.output() is Output.NAME:
        from jobman.cli.render import forms

        forms.write_lines(app, (row.name for row in found))
    elif not _write_plain(app, found, render.NODE_TITLES) and found:
        render.write_nodes(app, found, wide=app.output() is Output.WIDE)


def _write_products(app: AppContext, snapshot: Snapshot) -> None:
    from jobman.cli.render import nodes as render
    from jobman.queue import node_rows

    found = node_rows.by_product(snapshot, gpu_rule(app))
    if app.output() is Output.NAME:
        raise UsageError("-o name goes with --by node alone")
    if not _write_plain(app, found, render.PRODUCT_TITLES) and found:
        render.write_products(app, found)


def _write_plain(app: AppContext, rows: list[Any], titles: tuple[str, ...]) -> bool:
    """Write the forms that are the same for all rows; False for tables."""
    from jobman.cli.render import forms
    from jobman.cli.render.nodes import csv_cells

    match app.output():
        case Output.JSON:
            forms.write_json_rows(app, rows)
        case Output.YAML:
            forms.write_yaml(app, rows)
        case Output.CSV:
            forms.write_csv(app, titles, csv_cells(rows, titles))
        case _:
            return False
    return True


def _say_what_is_missing(app: AppContext, snapshot: Snapshot) -> None:
    from jobman.cli.render.queue import source_lines

    if not snapshot.nodes:
        app.say("no such nodes")
    if any(source.origin != "cluster" or source.missing for source in snapshot.sources):
        for line in [*source_lines(snapshot.sources, app.now()), *snapshot.notes]:
            app.say(line)
