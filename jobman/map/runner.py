"""The run: pods are made, watched, brought home and deleted, until every item has an outcome.

One thread decides; it alone touches the board. The watch, the pool's requests, the lease and
Ctrl-C post to it what has happened.
"""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from jobman.errors import ForbiddenError, JobmanError
from jobman.kube.client import Client
from jobman.kube.lists import Listing
from jobman.kube.objects import Pod
from jobman.kube.resources import PODS
from jobman.map import board as states
from jobman.map import failures, flow, homecoming, opening, record, result
from jobman.map.arrivals import Arrivals
from jobman.map.board import Board, Live
from jobman.map.inbox import Inbox
from jobman.map.lease import CancelledError, HeldError, RunLease
from jobman.map.ledger import Ledger, RunFile, Source, Totals
from jobman.map.outcome import Outcome
from jobman.map.plan import Plan
from jobman.map.pods import Stage, selector
from jobman.map.progress import Progress
from jobman.map.record import Record
from jobman.map.result import Ask, Left, Leftover, Result
from jobman.map.submission import WORKERS, Submission
from jobman.map.work import Work
from jobman.map.workers import Workers

WRITE_S = 30.0
"""How often run.json is written meanwhile."""
REPORT_S = 0.2
"""How often progress is told at most."""
LONGEST_REFUSAL = 1000
"""How much of the server's words the lease tells."""


def run(
    client: Client,
    plan: Plan,
    *,
    report: Callable[[Progress], None],
    ask: Ask,
    note: Callable[[str], None],
) -> Result:
    """Carry out `plan` as far as it has not been yet, and say how it ended.

    `report` is told how it stands, a few times a second at most; `ask` what is to become of the
    pods after Ctrl-C; `note` what the user should know, of pods that go on without it, too. Raises
    what keeps the run from going on.
    """
    fresh = run_file(client, plan)
    ledger = Ledger.open(plan.log_dir, fresh)
    if ledger.run != plan.run:
        raise HeldError(f"another runner has begun in {plan.log_dir}, just now")
    with ExitStack() as stack:
        run_ = _Run(client, plan, ledger, report, ask, note)
        _hold_lease(client, plan, ledger, run_, note, stack)
        ledger.take_up(fresh)
        known = plan.retry_reasons - {opening.UNKNOWN}
        if unmet := failures.unmet(known, ledger.failures()):
            note(unmet)
        stack.callback(ledger.close)
        if plan.rerun:
            ledger.begin_anew()
        return run_.carry_out()


def run_file(client: Client, plan: Plan) -> RunFile:
    """What run.json says of a run that begins."""
    source = Source(plan.items.count, plan.items.digest, plan.template.digest, plan.namespace)
    return RunFile(
        run=plan.run,
        source=source,
        template=plan.template.document,
        server=client.connection.server,
        settings=plan.settings,
        command=list(plan.command.all),
        retry=list(plan.command.retry),
        directory=plan.command.directory,
    )


def _hold_lease(
    client: Client,
    plan: Plan,
    ledger: Ledger,
    run_: _Run,
    note: Callable[[str], None],
    stack: ExitStack,
) -> None:
    lease = RunLease(
        client,
        ledger.run,
        lost=run_.lost_lease,
        user=plan.user,
        told=run_.told,
        owner=plan.template.owner,
    )
    try:
        lease.acquire()
    except ForbiddenError as error:
        note(f"nothing keeps a second jobman map off this run: {error.message}")
        return
    stack.enter_context(lease.held(over=run_.is_done_with))
    run_.lease = lease


class _Run:
    """A run from its opening to its end."""

    def __init__(
        self,
        client: Client,
        plan: Plan,
        ledger: Ledger,
        report: Callable[[Progress], None],
        ask: Ask,
        note: Callable[[str], None],
    ) -> None:
        self.lease: RunLease | None = None
        self._note = note
        self._report = report
        self._ask = ask
        self._inbox = Inbox()
        board = Board(plan.items.count)
        workers = Workers(WORKERS, lambda error: self._inbox.post(partial(self._broken, error)))
        self._work = Work(client, plan, ledger, board, self._inbox, workers)
        self._submission = Submission(self._work, may_create=self._may_create)
        self._arrivals = Arrivals(self._work, self._submission, ended=self._ended)
        self._breaker = flow.Breaker(enabled=not plan.keep_going)
        self._began = time.monotonic()
        self._counts: Totals | None = None
        self._refusal = ""
        self._skipped = 0
        self._stopped = ""
        self._asks = False
        self._delete: Callable[[Live], bool] | None = None
        self._last_failures: list[Outcome] = []

    def carry_out(self) -> Result:
        """All of it."""
        work = self._work
        found = opening.open_run(work.client, work.plan, work.ledger, work.board)
        self._skipped = work.board.over + len(found.left)
        self._breaker.any_success = work.board.succeeded > 0 or any(good for *_, good in found.left)
        with self._watching(found.pods), self._interruptible():
            try:
                self._arrivals.begin(found)
                del found
                self._tick()
                self._write()
                self._arrivals.look()
                self._until_over()
            finally:
                work.workers.close()
                self._close()
        return self._result()

    def _until_over(self) -> None:
        work = self._work
        while not self._is_over():
            self._submission.begin_some()
            if self._is_over():
                break
            self._inbox.receive(self._submission.wait_s())
            if self._asks:
                self._interrupted()
        if self._delete is not None and work.fatal is None:
            self._remove_pods(self._delete)
        if work.fatal is not None:
            self._tell_what_goes_on(work.fatal)
            raise work.fatal

    def _tell_what_goes_on(self, error: BaseException) -> None:
        """Which pods an end before the time leaves, unless another cares for them."""
        names = [live.name for live in self._work.board.live.values() if live.uid]
        if names and not isinstance(error, (HeldError, CancelledError)):
            self._note(result.of_left(self._work.ledger.run, names))

    def _is_over(self) -> bool:
        board = self._work.board
        if self._work.over:
            return not (board.creating or board.ending)
        begun = self._submission.all_begun and not board.creating
        return begun and (not board.live or self._work.plan.no_wait)

    def _may_create(self) -> bool:
        return self.lease is None or self.lease.valid

    def told(self) -> dict[str, str]:
        """What the lease tells; read by its thread, so nothing but what `_tick` leaves."""
        ledger = self._work.ledger
        counts = self._counts or ledger.file.totals
        return Record(
            items=ledger.file.source.count,
            succeeded=counts.succeeded,
            failed=counts.failed,
            logs=record.place(ledger.directory),
            began_at=ledger.file.started_at,
            refusal=self._refusal[:LONGEST_REFUSAL],
        ).annotation

    def is_done_with(self) -> bool:
        """Whether nothing is left to be done about it, nor of it on the cluster."""
        board, begun = self._work.board, any(self._work.ledger.attempts.counts)
        succeeded = board.succeeded == len(board.states)
        pods_stay = self._work.plan.keep_pods or self._arrivals.staying.count
        return (succeeded and not pods_stay) or not begun

    def lost_lease(self, error: JobmanError) -> None:
        """Another runner has it, or the run was cancelled: this one does nothing more."""
        self._inbox.post(partial(self._work.fail, error))

    def _broken(self, error: BaseException) -> None:
        """A thread of the pool died of a mistake of ours."""
        self._work.fail(error)
        raise error

    @contextmanager
    def _watching(self, pods: Listing[Pod]) -> Iterator[None]:
        """One watch of all pods of the run, through any outage."""
        work = self._work
        watch = work.client.watch(
            PODS,
            namespace=work.plan.namespace,
            labels=selector(work.ledger.run),
            resource_version=pods.resource_version,
            known=pods.items,
            outage_s=math.inf,
        )

        def read() -> None:
            try:
                for change in watch:
                    self._inbox.post(partial(self._arrivals.changed, change.type, change.object))
            except JobmanError as error:
                self._inbox.post(partial(work.fail, error))

        threading.Thread(target=read, daemon=True, name="watch").start()
        with watch:
            yield

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """The first Ctrl-C asks, the next one ends the process at once.

        SIGTERM and a terminal that is closed leave all; not that of nohup.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {
            signal.SIGINT: self._on_interrupt,
            signal.SIGTERM: self._on_terminate,
            signal.SIGHUP: self._on_terminate,
        }
        if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
            del handlers[signal.SIGHUP]
        before = {number: signal.signal(number, handlers[number]) for number in handlers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_interrupt(self, *_: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._inbox.post(self._note_interrupt)

    def _note_interrupt(self) -> None:
        self._asks = True

    def _on_terminate(self, *_: object) -> None:
        self._inbox.post(partial(self._stop, "terminated"))

    def _interrupted(self) -> None:
        """Ask what is to become of the pods, while the pool goes on with what it has begun."""
        self._asks = False
        board = self._work.board
        answer = self._ask(Left(board.pending, board.running))
        if answer is Leftover.CONTINUE:
            signal.signal(signal.SIGINT, self._on_interrupt)
            return
        self._stop("interrupted")
        if answer is Leftover.DELETE:
            self._delete = lambda _: True

    def _stop(self, why: str) -> None:
        self._work.stopping = True
        self._stopped = self._stopped or why

    def _ended(self, outcome: Outcome) -> None:
        """An item has come to its end."""
        if outcome.succeeded:
            self._breaker.succeeded()
            return
        self._last_failures = [*self._last_failures[-4:], outcome]
        self._breaker.failed(cause(outcome))
        if self._breaker.open and not self._work.over:
            self._stop(
                f"{flow.SAME_CAUSE} items in a row failed of the same cause"
                f" ({self._breaker.cause}), and none succeeded"
            )
            self._delete = lambda live: live.stage is Stage.PENDING

    def _remove_pods(self, chosen: Callable[[Live], bool]) -> None:
        """Delete the pods of items that then count as not begun, unless they end before that."""
        board = self._work.board
        waiting = {live.item.index: live for live in board.live.values() if chosen(live)}

        def removed(live: Live, gone: bool) -> None:
            del waiting[live.item.index]
            if gone and board.has(live) and not live.ending:
                board.settle(live, states.AGAIN)

        def remove(live: Live) -> None:
            try:
                homecoming.remove(self._work.client, live.name, live.uid)
            except JobmanError:
                self._inbox.post(partial(removed, live, False))
            else:
                self._inbox.post(partial(removed, live, True))

        for live in list(waiting.values()):
            self._work.workers.do(partial(remove, live), urgent=True)
        while waiting or board.ending:
            self._inbox.receive()

    def _tick(self) -> None:
        """Tell how it stands, from time to time."""
        self._counts = self._totals()
        self._refusal = self._submission.reason_to_wait
        self._report(self._progress())
        self._inbox.later(REPORT_S, self._tick)

    def _progress(self) -> Progress:
        board = self._work.board
        return Progress(
            total=len(board.states),
            done=board.succeeded,
            failed=board.failed,
            running=board.running,
            pending=board.pending,
            skipped=self._skipped,
            elapsed_s=time.monotonic() - self._began,
            waiting_for=self._submission.reason_to_wait,
            oldest=self._arrivals.oldest,
            last_failures=tuple(self._last_failures),
        )

    def _write(self) -> None:
        if self._may_create():
            self._work.ledger.write(self._totals(), last=False)
        self._inbox.later(WRITE_S, self._write)

    def _totals(self) -> Totals:
        board = self._work.board
        return Totals(len(board.states), board.succeeded, board.failed)

    def _close(self) -> None:
        """However it ends, run.json tells how it stands, unless it is another runner's by now."""
        board = self._work.board
        self._counts = self._totals()
        if self.lease is None or self.lease.confirmed():
            finished = board.over == len(board.states)
            self._work.ledger.write(self._totals(), finished=finished)
        self._report(self._progress())

    def _result(self) -> Result:
        board = self._work.board
        return Result(
            run=self._work.ledger.run,
            items=len(board.states),
            succeeded=board.succeeded,
            failed=board.failed,
            left=len(board.live),
            elapsed_s=time.monotonic() - self._began,
            stopped=self._stopped if board.over < len(board.states) else "",
            interrupted=self._stopped == "interrupted",
            staying=self._arrivals.staying,
            ledger=self._work.ledger,
        )


def cause(outcome: Outcome) -> str:
    """What failures have in common: the reason, which has the exit code in it where one ran."""
    return outcome.reason
