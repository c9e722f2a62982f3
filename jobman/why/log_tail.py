"""The last lines of a pod's log."""

from __future__ import annotations

import io

from jobman.errors import JobmanError
from jobman.jobs.logs import LogCopy, copy_log
from jobman.kube.client import Client
from jobman.kube.objects import Pod

LONGEST = 500
"""How much of a line is kept, in characters."""


def read(client: Client, pod: Pod, lines: int = 10) -> list[str]:
    """The last lines as text, cut where they are long; none where there is no log any more.

    What came before a connection was lost is kept: an end that lacks something beats none.
    """
    out = io.BytesIO()
    try:
        copy_log(client, pod, LogCopy(out), tail=lines, since_s=None)
    except JobmanError:
        if not out.getvalue():
            return []
    text = out.getvalue().decode("utf-8", "replace")
    return [line.rstrip("\r")[:LONGEST] for line in text.rstrip("\n").split("\n")] if text else []
