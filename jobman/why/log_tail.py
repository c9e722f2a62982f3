"""The last lines of a pod's log."""

from __future__ import annotations

import io

from jobman.errors import JobmanError
from jobman.jobs.logs import LogCopy, copy_log
from jobman.kube.client import Client
from jobman.kube.objects import Pod

LONGEST = 500


def read(client: Client, pod: Pod, lines: int = 10) -> list[str]:
    """The last lines; none where there is no log any more."""
    out = io.BytesIO()
    try:
        copy_log(client, pod, LogCopy(out), tail=lines, since_s=None)
    except JobmanError:
        return []
    return [line[:LONGEST] for line in out.getvalue().decode("utf-8", "replace").splitlines()]
