"""`jobman doctor`: what jobman needs, a line each: ok, or what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from jobman.cli.command import app_context, command
from jobman.values.enums import Output

if TYPE_CHECKING:
    from jobman.cli.checkup import Finding
    from jobman.cli.context import AppContext

FORMS = (Output.TABLE, Output.JSON, Output.YAML)
MARKS = {"ok": "ok", "note": "note", "missing": "MISSING"}
STYLES = {"ok": "32", "note": "33", "missing": "31"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "doctor", forms=FORMS)(doctor)


def doctor(ctx: typer.Context) -> None:
    """Check what jobman needs: settings, cluster, identity, rights, quota, Harbor, Kueue.

    A line each: ok, or what to do. Ends with 1 when something needed is missing.
    """
    app = app_context(ctx)
    from jobman.cli.checkup import checkup
    from jobman.cli.render import forms

    found: list[Finding] = []
    for finding in checkup(app):
        found.append(finding)
        if app.output() is Output.TABLE:
            _write(app, finding)
    if app.output() is Output.JSON:
        forms.write_json(app, found)
    elif app.output() is Output.YAML:
        forms.write_yaml(app, found)
    raise typer.Exit(int(any(finding.state == "missing" for finding in found)))


def _write(app: AppContext, finding: Finding) -> None:
    from jobman.values.text import visible

    mark = f"{MARKS[finding.state]:7}"
    if app.color:
        mark = f"\x1b[{STYLES[finding.state]}m{mark}\x1b[0m"
    app.write(f"{mark} {finding.about:12} {visible(finding.text)}")
    if finding.advice:
        app.write(f"{'':20} -> {visible(finding.advice)}")
    app.out.flush()
