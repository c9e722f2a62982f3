"""`jobman local`: the cluster that jobman itself runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobman.cli.command import Group, app_context, command
from jobman.cli.context import AppContext
from jobman.errors import NotFoundError, UsageError
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.local.control import DaemonFacts

_HELP = "The embedded cluster: a Kubernetes API on this machine, whose node is this machine."
_SIMULATED = "local.jobman/simulated"
_MOST = 99_999


def register(app: typer.Typer) -> None:
    """Add the commands `jobman local …`."""
    family = typer.Typer(cls=Group, no_args_is_help=True, help=_HELP)
    for name, function in (
        ("start", start),
        ("stop", stop),
        ("reset", reset),
        ("kubeconfig", kubeconfig),
        ("user", user),
    ):
        command(family, name)(function)
    command(family, "status", forms=(Output.TABLE, Output.JSON))(status)
    app.add_typer(family, name="local", help=_HELP)


def start(
    ctx: typer.Context,
    simulate_nodes: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            max=_MOST,
            help="Simulate N nodes, whose pods end without a process (0: none).",
        ),
    ] = None,
    cpu: Annotated[str, typer.Option(metavar="QUANTITY", help="Of each simulated node.")] = "64",
    memory: Annotated[
        str, typer.Option(metavar="QUANTITY", help="Of each simulated node.")
    ] = "512Gi",
    gpus: Annotated[
        int, typer.Option(metavar="N", min=0, max=_MOST, help="Of each simulated node.")
    ] = 0,
    gpu_product: Annotated[
        str, typer.Option(metavar="NAME", help="Of each simulated node.")
    ] = "A100",
) -> None:
    """Start the embedded cluster unless it runs, and print its kubeconfig's path."""
    from jobman.local import control

    app = app_context(ctx)
    if simulate_nodes is None:
        _refuse_given(ctx, "cpu", "memory", "gpus", "gpu_product")
    for flag, amount in (("--cpu", cpu), ("--memory", memory)):
        _check_quantity(flag, amount)
    place = _state(app)
    path = control.ensure_started(place)
    if simulate_nodes is not None:
        data = {"nodes": str(simulate_nodes), "cpu": cpu, "memory": memory}
        control.simulate(place, data | {"gpus": str(gpus), "gpu_product": gpu_product})
    app.write(str(path))


def _refuse_given(ctx: typer.Context, *names: str) -> None:
    """This machine is as it is."""
    for name in names:
        source = ctx.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            flag = "--" + name.replace("_", "-")
            raise UsageError(f"{flag} is that of simulated nodes: it needs --simulate-nodes")


def _check_quantity(flag: str, amount: str) -> None:
    from jobman.values.quantity import parse

    try:
        parse(amount)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error


def stop(
    ctx: typer.Context,
    kill: Annotated[bool, typer.Option("--kill", help="End the running containers too.")] = False,
) -> None:
    """Stop the embedded cluster's daemon. Running jobs go on; the next start finds them again."""
    from jobman.local import control

    app = app_context(ctx)
    left = control.stop(_state(app), kill=kill)
    if left and kill:
        app.warn(f"{left} containers could not be ended")
    elif left:
        noun = "container goes" if left == 1 else "containers go"
        app.say(f"stopped; {left} running {noun} on (`jobman local stop --kill` ends them)")
    else:
        app.say("stopped")


def reset(
    ctx: typer.Context,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """End every job of the embedded cluster and delete all of its state."""
    from jobman.local import control

    app = app_context(ctx)
    place = _state(app)
    if not place.exists():
        app.say(f"nothing to delete: there is no {place}")
        return
    if not yes:
        _confirm(app, f"End all jobs of the embedded cluster and delete {place}?")
    control.reset(place)
    app.say(f"deleted {place}")


def kubeconfig(ctx: typer.Context) -> None:
    """Print the path of the running cluster's kubeconfig."""
    from jobman.local import control

    app = app_context(ctx)
    path = control.find(_state(app))
    if path is None:
        raise _not_running()
    app.write(str(path))


def status(ctx: typer.Context) -> None:
    """Say whether the embedded cluster runs, since when, where, and what it has to give."""
    from jobman.local import control

    app = app_context(ctx)
    place = _state(app)
    running = control.status(place)
    if running is None:
        raise _not_running()
    facts = _facts(place, running)
    if app.output() is Output.JSON:
        import json

        app.write(json.dumps(facts, indent=2))
        return
    for line in _status_lines(facts):
        app.write(line)


def user(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")],
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="A group; repeatable.")
    ] = None,
) -> None:
    """Make a user to rehearse roles with, and print the path of the user's kubeconfig.

    A rehearsal, no boundary: all pods run as the cluster's owner. The cluster is started unless
    it runs. The user goes with the Secret of the file's name, `user-…` in kube-system.
    """
    from jobman.local import control

    app = app_context(ctx)
    place = _state(app)
    control.ensure_started(place)
    app.write(str(control.make_user(place, name, group or [])))
    app.say("a rehearsal, no boundary: pods of every user run as the owner of the cluster")


def _state(app: AppContext) -> Path:
    from jobman.local import control

    return control.state_dir(app.environ)


def _not_running() -> NotFoundError:
    return NotFoundError(
        "the embedded cluster is not running", hint="`jobman local start` starts it"
    )


def _confirm(app: AppContext, question: str) -> None:
    if not app.stdin.isatty():
        raise UsageError("this deletes jobs and needs -y", hint="or run it on a terminal")
    if not app.agreed(question):
        raise typer.Exit(1)


def _facts(place: Path, running: DaemonFacts) -> dict[str, Any]:
    """What `status` tells, as its JSON form has it."""
    from jobman.local import control

    everything = control.ask(running, "/api/v1/nodes")["items"]
    nodes = [node for node in everything if _SIMULATED not in node["metadata"].get("labels", {})]
    own = next(filter(_is_here, nodes), None)
    pods = control.ask(running, "/api/v1/pods?fieldSelector=status.phase%3DRunning")["items"]
    return {
        "pid": running.pid,
        "version": running.version,
        "since": running.since,
        "address": running.address,
        "state": str(place),
        "kubeconfig": str(place / "kubeconfig"),
        "simulatedNodes": len(everything) - len(nodes),
        "node": own["metadata"]["name"] if own else None,
        "allocatable": own["status"].get("allocatable", {}) if own else {},
        "podsRunning": len(pods),
    }


def _is_here(node: dict[str, Any]) -> bool:
    """Whether a Node is this machine, and not one that somebody made."""
    from jobman.local.places import machine_id

    info = node.get("status", {}).get("nodeInfo", {})
    return bool(info.get("machineID") == machine_id())


def _status_lines(facts: dict[str, Any]) -> list[str]:
    from datetime import UTC, datetime

    from jobman.values.duration import format_age, parse_rfc3339
    from jobman.values.quantity import format_free, parse

    age = (datetime.now(UTC) - parse_rfc3339(facts["since"])).total_seconds()
    room = facts["allocatable"]
    parts = [f"cpu {room.get('cpu', '0')}"]
    parts.append(f"memory {format_free(int(parse(room.get('memory', '0')).value))}")
    parts += [f"{name} {amount}" for name, amount in room.items() if "/" in name]
    lines = [
        f"pid         {facts['pid']}",
        f"version     {facts['version']}",
        f"since       {facts['since']} ({format_age(age)})",
        f"address     {facts['address']}",
        f"state       {facts['state']}",
        f"kubeconfig  {facts['kubeconfig']}",
        f"node        {facts['node']}: {', '.join(parts)}",
        f"running     {facts['podsRunning']} pods",
    ]
    if facts["simulatedNodes"]:
        lines.append(f"simulated   {facts['simulatedNodes']} nodes; no pod runs for real")
    return lines
