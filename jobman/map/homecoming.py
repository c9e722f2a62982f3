"""Saving the log of an item whose pod is over, and deleting the pod; in the pool's threads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobman.errors import ApiNotFoundError, ConflictError
from jobman.jobs.pods import PodView
from jobman.kube.client import Client
from jobman.kube.objects import Pod
from jobman.kube.resources import PODS
from jobman.map import logs
from jobman.map.items import Item
from jobman.map.ledger import Ledger
from jobman.map.logs import Follower, LogFile
from jobman.map.outcome import Outcome
from jobman.map.pods import Stage
from jobman.values.duration import format_rfc3339


@dataclass(frozen=True)
class Ended:
    """A pod that is over, and the item it was for.

    `pod` is None where it is gone; `follower` has read some of its log.
    """

    item: Item
    stage: Stage
    pod: Pod | None
    view: PodView
    attempt: int
    attempts: int
    follower: Follower | None = None


def save(client: Client, ledger: Ledger, ended: Ended) -> Outcome:
    """Put the item's log on disk; ApiNotFoundError when the pod is gone before it was read."""
    log = _log(ledger, ended)
    incomplete = False
    try:
        if ended.pod is not None and ended.stage is not Stage.STUCK:
            incomplete = logs.bring_home(client, ended.pod, log)
    finally:
        log.close()
    outcome = _outcome(ended, logs.last_line(log.path), incomplete)
    if not outcome.succeeded and not log.path.stat().st_size:
        log.path.write_text(_known(ended.view), "utf-8", "replace")
    ledger.keep(outcome, log.path)
    return outcome


def save_what_is_known(ledger: Ledger, ended: Ended) -> Outcome:
    """The end of an item whose log cannot be had: what was read of it, and what is known."""
    log = _log(ledger, ended)
    outcome = _outcome(ended, "", incomplete=True)
    log.write(_known(ended.view))
    log.close()
    ledger.keep(outcome, log.path)
    return outcome


def _log(ledger: Ledger, ended: Ended) -> LogFile:
    if ended.follower is not None:
        return ended.follower.finish()
    return LogFile(ledger.partial(ended.item.index, ended.attempt))


def remove(client: Client, name: str, uid: str) -> None:
    """Delete the pod, if it is still that one."""
    try:
        client.delete(PODS, name, uid=uid)
    except (ApiNotFoundError, ConflictError):
        return


def _outcome(ended: Ended, last_line: str, incomplete: bool) -> Outcome:
    view = ended.view
    return Outcome(
        index=ended.item.index,
        name=ended.view.name,
        succeeded=ended.stage is Stage.SUCCEEDED,
        reason=view.reason,
        message=view.message,
        exit_code=view.exit_code,
        node=view.node,
        attempts=ended.attempts,
        last_line=last_line,
        incomplete=incomplete,
        item=ended.item.text,
        values=dict(ended.item.values),
    )


def _known(view: PodView) -> str:
    """What is known of a pod that left no words of its own."""
    said = f"{view.message}\n" if view.message else ""
    return f"pod {view.name} failed: {view.reason or 'Error'}\n{said}{_facts(view)}"


def _facts(view: PodView) -> str:
    facts = {
        "exit code": view.exit_code,
        "node": view.node,
        "created": _moment(view.created_at),
        "started": _moment(view.started_at),
        "ended": _moment(view.finished_at),
    }
    return "".join(f"{name}: {value}\n" for name, value in facts.items() if value not in (None, ""))


def _moment(moment: datetime | None) -> str:
    return format_rfc3339(moment) if moment else ""
