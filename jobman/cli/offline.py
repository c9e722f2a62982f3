"""What a dry run may know of the cluster: nothing is started, nothing is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobman.errors import JobmanError

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.kube.connect import Choice


def choice(app: AppContext) -> Choice | None:
    """The cluster that would be used; None where the configuration is wrong."""
    from jobman.kube.connect import decide

    settings = app.settings.values
    try:
        return decide(
            kube_config=settings.kube_config,
            context=app.options.context,
            local=app.options.local,
            local_enabled=settings.local.enabled,
            environ=app.environ,
        )
    except JobmanError:
        return None


def is_embedded(app: AppContext, *, by_default: bool) -> bool:
    """Whether that is the embedded cluster.

    `by_default` counts it also where it is chosen only because nothing else is there.
    """
    from jobman.kube.connect import Embedded, Kubeconfig
    from jobman.local.places import State, state_dir

    chosen = choice(app)
    if isinstance(chosen, Kubeconfig):
        return chosen.files == (str(State(state_dir(app.environ)).kubeconfig),)
    return isinstance(chosen, Embedded) and (by_default or not chosen.by_default)


def user(app: AppContext) -> str:
    """The user's name: as set, else as the kubeconfig or the system has it."""
    from jobman.kube import offline
    from jobman.kube.connect import Kubeconfig
    from jobman.kube.identity import system_user

    if app.settings.values.user:
        return app.settings.values.user
    chosen = choice(app)
    named = offline.user(chosen.files, chosen.context) if isinstance(chosen, Kubeconfig) else None
    return named or system_user(app.environ)
