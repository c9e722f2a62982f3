"""Which item gets a pod when, and what the server's answer means."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any

from jobman.errors import (
    ApiError,
    ApiNotFoundError,
    ConflictError,
    ForbiddenError,
    JobmanError,
    UnavailableError,
    UnreachableError,
    UsageError,
)
from jobman.jobs.quota import can_never_be_created
from jobman.kube.labels import RUN
from jobman.kube.objects import Pod
from jobman.kube.resources import PODS
from jobman.kube.transport import LostWriteError
from jobman.map import board as states
from jobman.map import flow, opening
from jobman.map import pods as run_pods
from jobman.map.board import Live
from jobman.map.items import Item
from jobman.map.work import Work

WORKERS = 16
"""Requests under way at a time."""
BATCH = 100
"""Pods begun at a time."""
BACKLOG = 4 * WORKERS
"""Ended pods not yet brought home, at which nothing more is begun."""


class Submission:
    """Makes pods as fast as the bounds and the server allow."""

    def __init__(self, work: Work, *, may_create: Callable[[], bool]) -> None:
        plan = work.plan
        self.bound = flow.PendingBound(plan.max_pending)
        self.all_begun = False
        self._work = work
        self._may_create = may_create
        self._hold = flow.Hold()
        self._ceiling = flow.Ceiling()
        self._again: deque[Item] = deque()
        self._rest: Iterator[Item] = opening.todo(plan, work.board)
        self._next_at = 0.0
        self.adopt: Callable[[Live, Pod], None] = lambda _live, _pod: None
        self.vanished: Callable[[Live], None] = lambda _: None

    @property
    def reason_to_wait(self) -> str:
        """Why nothing is created; empty where nothing but the bounds is in the way."""
        return self._hold.reason or self._ceiling.reason

    def again(self, item: Item) -> None:
        """The item is to be begun once more."""
        self._again.append(item)
        self.all_begun = False

    def begin_some(self) -> None:
        """Begin as many items as there is room for now."""
        if self._work.over or self.all_begun or not self._may_create():
            return
        now = time.monotonic()
        room = min(self._room(now), BATCH)
        if room <= 0:
            return
        batch = self._next_items(room)
        self.all_begun = len(batch) < room
        if not batch:
            return
        self._next_at = now + self._work.plan.pace_s
        self._work.ledger.attempts.begin(item.index for item in batch)
        for item in batch:
            self._begin(item, now)

    def wait_s(self) -> float:
        """Seconds after which there may be room without anything happening."""
        now = time.monotonic()
        moments = (self._hold.until, self._ceiling.until, self._next_at)
        return min((at - now for at in moments if at > now), default=5.0)

    def _next_items(self, most: int) -> list[Item]:
        items = [self._again.popleft() for _ in range(min(most, len(self._again)))]
        return items + list(islice(self._rest, most - len(items)))

    def _room(self, now: float) -> int:
        board = self._work.board
        if now < max(self._hold.until, self._next_at) or board.ending >= BACKLOG:
            return 0
        room = flow.room(
            board.pending,
            board.running,
            bound=self.bound.value,
            max_running=self._work.plan.max_running,
        )
        room = min(room, self._ceiling.room(board.pending + board.running, now))
        if self._hold.probing:
            return min(room, 0 if board.creating else 1)
        return min(room, 1) if self._work.plan.pace_s else room

    def _begin(self, item: Item, now: float) -> None:
        work = self._work
        manifest = work.plan.template.expand(item)
        attempt = work.ledger.attempts.counts[item.index]
        live = Live(item, manifest["metadata"]["name"], now, creating=True, attempt=attempt)
        work.board.add(live)
        marked = run_pods.marked(
            manifest,
            run=work.ledger.run,
            index=item.index,
            attempt=attempt,
            user=work.plan.user,
        )
        work.workers.do(partial(self._create, live, marked))

    def _create(self, live: Live, manifest: dict[str, Any]) -> None:
        """In the pool."""
        work = self._work
        if work.over:
            work.post(partial(self._refused, live, None))
            return
        try:
            made = work.client.create(PODS, manifest, namespace=work.plan.namespace)
            uid = made["metadata"]["uid"]
            work.post(partial(self._created, live, uid))
        except ConflictError as error:
            self._name_is_taken(live, error)
        except JobmanError as error:
            work.post(partial(self._refused, live, error))

    def _name_is_taken(self, live: Live, error: JobmanError) -> None:
        """In the pool: by an earlier attempt that was not seen, or by somebody else's pod."""
        work = self._work
        try:
            found = work.client.get(PODS, live.name, namespace=work.plan.namespace)
        except ApiNotFoundError:
            work.post(partial(self._refused, live, error))
        except JobmanError as another:
            work.post(partial(self._refused, live, another))
        else:
            work.post(partial(self._met, live, found))

    def _created(self, live: Live, uid: str) -> None:
        board = self._work.board
        board.created(live)
        self._hold.accepted(time.monotonic())
        self._ceiling.accepted(board.pending + board.running)
        live.uid = uid
        if uid in live.gone:
            self.vanished(live)

    def _met(self, live: Live, found: Pod) -> None:
        """There is a pod of that name: adopt it, or stop."""
        work = self._work
        work.board.created(live)
        if live.uid or not work.board.has(live):
            return
        work.ledger.attempts.never_began(live.item.index)
        if found.metadata.labels.get(RUN) != work.ledger.run:
            work.board.settle(live, states.AGAIN)
            work.fail(
                UsageError(
                    f"pod {live.name} exists in namespace {found.metadata.namespace}"
                    " and is not of this run",
                    hint="delete it, or give the template's metadata.name another beginning",
                )
            )
        elif found.metadata.uid in live.gone:
            self._back(live)
        else:
            live.uid = found.metadata.uid
            self.adopt(live, found)

    def _back(self, live: Live) -> None:
        self._work.board.settle(live, states.AGAIN)
        self.again(live.item)

    def _refused(self, live: Live, error: JobmanError | None) -> None:
        work = self._work
        work.board.created(live)
        if live.uid or not work.board.has(live):
            return
        self._back(live)
        if not _may_exist(error):
            work.ledger.attempts.never_began(live.item.index)
        now = time.monotonic()
        if error is None or isinstance(error, ConflictError):
            return
        if isinstance(error, ForbiddenError) and "exceeded quota" in error.message:
            if can_never_be_created(error.message):
                work.fail(_named(error, live.name))
            self._ceiling.refused(error.message, work.board.pending + work.board.running, now)
        elif isinstance(error, (UnavailableError, UnreachableError)) and not _hopeless(error):
            self._hold.failed(error.message, now)
        else:
            work.fail(_named(error, live.name))


def _may_exist(error: JobmanError | None) -> bool:
    """Whether the pod may have been made although no good answer came."""
    if isinstance(error, LostWriteError):
        return True
    return isinstance(error, UnavailableError) and error.code >= 500


def _hopeless(error: JobmanError) -> bool:
    """Trouble of the server that is really the template's."""
    return isinstance(error, ApiError) and "too large" in error.message


def _named(error: JobmanError, name: str) -> JobmanError:
    """The refusal, with the pod that it is about."""
    if name not in error.message:
        error.message = f"pod {name}: {error.message}"
    return error
