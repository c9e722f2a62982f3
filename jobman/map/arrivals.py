"""What a change of a pod means for its item, until the item has an outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from jobman.errors import JobmanError, UnavailableError, UnreachableError
from jobman.jobs import mounts
from jobman.jobs import pods as pod_views
from jobman.jobs.pods import PodView
from jobman.kube.labels import SUBMISSION
from jobman.kube.objects import Event, Pod
from jobman.kube.resources import EVENTS
from jobman.map import board as states
from jobman.map import homecoming
from jobman.map import pods as run_pods
from jobman.map.board import Live
from jobman.map.homecoming import Ended
from jobman.map.items import Item
from jobman.map.logs import Follower, LogFile
from jobman.map.opening import Opening
from jobman.map.outcome import Outcome
from jobman.map.parting import Parting
from jobman.map.pods import Stage
from jobman.map.progress import Waiting
from jobman.map.result import Staying
from jobman.map.submission import Submission
from jobman.map.work import Work
from jobman.values.enums import State

LOOK_S = 5.0
"""How often pods that wait are looked at: time alone turns waiting into trouble."""
EVENTS_AFTER_S = 30.0
"""A pod that has a node and does not start for this long may have an event that says why."""
TELLING_S = 2.0
"""A pod that waits no longer than this has nothing to tell."""
MOST_FOLLOWED = 48
"""Logs that are followed at a time; those of further pods are read when they end."""


class Arrivals:
    """Takes in the changes of pods; `ended` is told each item's outcome."""

    def __init__(
        self, work: Work, submission: Submission, *, ended: Callable[[Outcome], None]
    ) -> None:
        self._work = work
        self._submission = submission
        self._parting = Parting(work, ended=ended, vanished=self._vanished)
        self._disruptions: Counter[int] = Counter()
        self._followed = 0
        self._events: dict[str, list[Event]] = {}
        self._asking_events = False
        self._oldest: Live | None = None
        submission.adopt = self.see
        submission.vanished = self._vanished

    @property
    def staying(self) -> Staying:
        """The pods that could not be deleted."""
        return self._parting.staying

    @property
    def oldest(self) -> Waiting | None:
        """The pod that had waited longest at the last look, if it still waits."""
        live = self._oldest
        if live is None or live.pod is None or live.view is None:
            return None
        if live.stage is not Stage.PENDING or not self._work.board.has(live):
            return None
        events = self._events.get(live.uid, ())
        return Waiting(live.pod, live.view, events, time.monotonic() - live.made_at)

    def begin(self, found: Opening) -> None:
        """Take up the pods that an earlier runner left."""
        for item, pod in found.adopted:
            self.see(self._add(item, pod), pod)
        for item, pod in found.old:
            live = self._add(item, pod)
            live.again = True
            self._delete(live)
        for item, pod, succeeded in found.left:
            live = self._add(item, pod)
            self._work.board.move(live, Stage.SUCCEEDED if succeeded else Stage.FAILED)
            self._parting.let_go(live, succeeded)

    def _add(self, item: Item, pod: Pod) -> Live:
        attempt = run_pods.attempt_of(pod)
        live = Live(item, pod.metadata.name, time.monotonic(), attempt=attempt)
        live.uid, live.adopted = pod.metadata.uid, True
        self._work.board.add(live)
        return live

    def changed(self, change: str, pod: Pod) -> None:
        """A change of any of the run's pods."""
        index = run_pods.index_of(pod, len(self._work.board.states))
        live = self._work.board.live.get(index) if index is not None else None
        if live is None:
            return
        if not live.uid:
            self._before_the_answer(live, change, pod)
        if live.uid != pod.metadata.uid:
            return
        if change == "DELETED":
            self._gone(live, pod)
        else:
            self.see(live, pod)

    def _before_the_answer(self, live: Live, change: str, pod: Pod) -> None:
        """The watch may be ahead of the creation's answer, or tell of an earlier pod."""
        if change == "DELETED":
            live.gone.add(pod.metadata.uid)
        elif pod.metadata.annotations.get(SUBMISSION) == run_pods.submission(
            self._work.ledger.run, live.item.index, live.attempt
        ):
            live.uid = pod.metadata.uid

    def see(self, live: Live, pod: Pod) -> None:
        """The pod as it is now."""
        if live.ending or live.again:
            return
        uid = pod.metadata.uid
        view = pod_views.view(pod, self._events.get(uid, ()), now=_now())
        live.pod, live.view = pod, view
        before, stage = live.stage, run_pods.stage(view)
        if stage is before:
            return
        board = self._work.board
        if before is Stage.PENDING and stage is not Stage.LEAVING:
            waited = time.monotonic() - live.made_at
            self._submission.bound.started(waited, board.pending)
        board.move(live, stage)
        if stage.over:
            self._over(live)
        elif stage is Stage.RUNNING:
            self._follow(live, pod)

    def _over(self, live: Live) -> None:
        if live.stage is Stage.DISRUPTED and self._work.over:
            self._work.board.settle(live, states.AGAIN)
            return
        if live.stage is Stage.DISRUPTED and self._may_run_again(live):
            live.again = True
            self._delete(live)
            return
        self._parting.begin(live, self._as_ended(live))

    def _may_run_again(self, live: Live) -> bool:
        index = live.item.index
        if self._disruptions[index] >= self._work.plan.retries or self._work.over:
            return False
        self._disruptions[index] += 1
        return True

    def _as_ended(self, live: Live) -> Ended:
        view = live.view or PodView(name=live.name, state=State.PENDING)
        follower = self._let_go(live)
        attempts = self._work.ledger.attempts.counts[live.item.index]
        return Ended(live.item, live.stage, live.pod, view, live.attempt, attempts, follower)

    def _follow(self, live: Live, pod: Pod) -> None:
        work = self._work
        if work.plan.stream_logs and self._followed < MOST_FOLLOWED and live.follower is None:
            partial_log = work.ledger.partial(live.item.index, live.attempt)
            log = LogFile(partial_log, followed=not live.adopted)
            live.follower = Follower(work.client, pod, log)
            self._followed += 1

    def _let_go(self, live: Live) -> Follower | None:
        follower, live.follower = live.follower, None
        self._followed -= follower is not None
        return follower

    def _gone(self, live: Live, pod: Pod) -> None:
        if live.again:
            self._back(live)
        elif not live.ending:
            live.pod = pod
            self._vanished(live)

    def _vanished(self, live: Live) -> None:
        """The pod is no more, and its log was not read."""
        if not self._work.board.has(live):
            return
        if live.again or self._may_run_again(live):
            self._back(live)
            return
        if self._work.over:
            self._work.board.settle(live, states.AGAIN)
            return
        self._parting.write_off(live, self._as_ended(live), *_why_gone(live.view))

    def _back(self, live: Live) -> None:
        work = self._work
        if (follower := self._let_go(live)) is not None:
            work.workers.do(lambda: follower.stop().close())
        work.board.settle(live, states.AGAIN)
        self._submission.again(live.item)

    def _delete(self, live: Live) -> None:
        """Have the pod deleted; when it is gone its item goes on."""
        self._work.board.move(live, Stage.LEAVING)
        self._work.workers.do(partial(self._remove, live), urgent=True)

    def _remove(self, live: Live) -> None:
        """In the pool."""
        work = self._work
        try:
            homecoming.remove(work.client, live.name, live.uid)
        except (UnavailableError, UnreachableError):
            work.post(partial(work.inbox.later, LOOK_S, partial(self._delete, live)))
        except JobmanError as error:
            work.post(partial(work.fail, error))

    def look(self) -> None:
        """Look at the pods that have not started: time alone makes them slow, or stuck."""
        now = time.monotonic()
        oldest_s, slow = 0.0, []
        self._oldest = None
        for live in self._work.board.live.values():
            if live.stage is Stage.PENDING and not live.creating:
                waits_s = now - live.made_at
                if waits_s > max(oldest_s, TELLING_S):
                    self._oldest = live
                oldest_s = max(oldest_s, waits_s)
                if waits_s > EVENTS_AFTER_S and live.pod and live.pod.spec.node_name:
                    slow.append(live)
        self._submission.bound.look(oldest_s, now)
        if slow and not self._asking_events:
            self._asking_events = True
            uids = {live.uid for live in slow}
            self._work.workers.do(partial(self._ask_events, uids))
        for live in slow:
            if live.pod is not None:
                self.see(live, live.pod)
        self._work.inbox.later(LOOK_S, self.look)

    def _ask_events(self, uids: set[str]) -> None:
        """In the pool: what is said about these pods."""
        found: dict[str, list[Event]] = {}
        work = self._work
        try:
            where = work.plan.namespace
            pages = work.client.pages(EVENTS, namespace=where, fields=mounts.TELLING)
            for event in (event for page in pages for event in page.items):
                if event.involved_object.uid in uids:
                    found.setdefault(event.involved_object.uid, []).append(event)
        except JobmanError:
            found = {}
        work.post(partial(self._told, found))

    def _told(self, events: dict[str, list[Event]]) -> None:
        self._events = events
        self._work.inbox.later(EVENTS_AFTER_S, self._ask_again)

    def _ask_again(self) -> None:
        self._asking_events = False


def _why_gone(view: PodView | None) -> tuple[str, str]:
    """Reason and message for a pod that is no more."""
    if view is not None and run_pods.disrupted(view.reason):
        return view.reason, view.message
    return "Deleted", "the pod was deleted before its log was read"


def _now() -> datetime:
    return datetime.now(UTC)
