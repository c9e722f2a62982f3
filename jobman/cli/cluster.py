"""The connection of a command: settings, kubeconfig and the embedded cluster put together."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jobman.cli.context import AppContext
from jobman.errors import JobmanError, UnreachableError

if TYPE_CHECKING:
    from jobman.kube.client import Client
    from jobman.kube.connect import Connection

BY_DEFAULT = (
    "note: no cluster configured; using the embedded cluster on this machine (jobman local --help)"
)


def connect(app: AppContext) -> Client:
    """The client of the chosen cluster; starts the embedded one where that is it."""
    from jobman.kube.client import Client

    connection = _connection(app, lambda: _started(app))
    if connection.by_default:
        app.say(BY_DEFAULT)
    log = app.say if app.options.verbose else None
    if log is not None:
        log(f"{connection.server} ({connection.origin}), namespace {connection.namespace}")
    return Client(connection, log=log, warn=app.warn)


def connect_quickly(app: AppContext) -> Client | None:
    """A client for shell completion: silent, impatient, starts nothing; None where there is none.

    Its calls raise JobmanError as any client's do. A credential plugin may take its time.
    """
    from jobman.kube.client import Client
    from jobman.kube.retry import HURRIED

    silent = replace(app, err=io.StringIO())
    try:
        return Client(_connection(silent, lambda: _running(app)), patience=HURRIED)
    except (JobmanError, OSError):
        return None


def _started(app: AppContext) -> Path:
    from jobman.local.control import ensure_started, state_dir

    return ensure_started(state_dir(app.environ))


def _running(app: AppContext) -> Path:
    from jobman.local.control import find, state_dir

    kubeconfig = find(state_dir(app.environ))
    if kubeconfig is None:
        raise UnreachableError("the embedded cluster is not running")
    return kubeconfig


def _connection(app: AppContext, start_local: Callable[[], Path]) -> Connection:
    from jobman.kube.connect import connect as connect_to
    from jobman.local.places import State, state_dir

    settings = app.settings.values
    return connect_to(
        kube_config=settings.kube_config,
        context=app.options.context,
        namespace=app.options.namespace or settings.namespace,
        local=app.options.local,
        local_enabled=settings.local.enabled,
        start_local=start_local,
        environ=app.environ,
        local_file=State(state_dir(app.environ)).kubeconfig,
    )
