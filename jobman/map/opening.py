"""How a run begins: what is done already, what still runs, and what stands in its way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from jobman.errors import UsageError
from jobman.kube.client import Client
from jobman.kube.lists import Listing
from jobman.kube.meta import KubeObject
from jobman.kube.objects import Pod
from jobman.kube.resources import PODS, Resource
from jobman.map import board, failures
from jobman.map.board import Board
from jobman.map.homecoming import remove
from jobman.map.items import Item
from jobman.map.ledger import Ledger
from jobman.map.outcome import Outcome
from jobman.map.plan import Plan
from jobman.map.pods import attempt_of, foreign_selector, index_of, selector


class Named(KubeObject, frozen=True):
    """A pod of which the name is all that counts."""


NAMES = Resource("v1", "pods", "Pod", Named)
UNKNOWN = "Unknown"
"""The reason of an .err that no run of ours wrote."""
_SHOWN = 5


@dataclass
class Opening:
    """What was found.

    `adopted` are items with the pod they have, `old` pods of items that are to be run again, and
    `left` such with the pod of an outcome that is on disk, and whether it is a success.
    """

    pods: Listing[Pod]
    adopted: list[tuple[Item, Pod]] = field(default_factory=list)
    old: list[tuple[Item, Pod]] = field(default_factory=list)
    left: list[tuple[Item, Pod, bool]] = field(default_factory=list)


def open_run(client: Client, plan: Plan, ledger: Ledger, items: Board) -> Opening:
    """Look at the cluster and at the disk; UsageError where foreign pods have items' names."""
    foreign = foreign_names(client, plan.namespace, ledger.run)
    if ledger.file.rerun:
        _clear(client, plan, ledger)
    pods = client.list(PODS, namespace=plan.namespace, labels=selector(ledger.run))
    found = Opening(pods)
    look = _Look(plan, ledger, items, found)
    if foreign or look.finds_anything:
        look.at_all(foreign)
    return found


def foreign_names(client: Client, namespace: str, run: str) -> set[str]:
    """The names of the namespace's pods that are not the run's."""
    pages = client.pages(NAMES, namespace=namespace, labels=foreign_selector(run))
    return {pod.metadata.name for page in pages for pod in page.items}


class _Look:
    """One pass over the items."""

    def __init__(self, plan: Plan, ledger: Ledger, items: Board, found: Opening) -> None:
        self._plan = plan
        self._ledger = ledger
        self._board = items
        self._found = found
        count = plan.items.count
        by_index = ((index_of(pod, count), pod) for pod in found.pods.items)
        self._pods = {index: pod for index, pod in by_index if index is not None}
        self._ended = ledger.ended()
        self._failures = {o.index: o.attempts for o in ledger.failures()}
        self._wanted = self._of_reasons(plan.retry_reasons) if plan.retry_reasons else set()

    @property
    def finds_anything(self) -> bool:
        """Whether an item has a pod or an outcome."""
        return bool(self._pods or self._ended)

    def at_all(self, foreign: set[str]) -> None:
        """Mark what is done, sort the pods, and refuse a name that is taken."""
        taken: list[str] = []
        for item in self._plan.items:
            name = self._plan.template.name(item)
            if name in foreign:
                taken.append(name)
                continue
            self._at(item, name)
        if taken:
            raise _taken(taken, self._plan.namespace)

    def _at(self, item: Item, name: str) -> None:
        seen = hash(name) in self._ended
        succeeded = self._ledger.outcome_on_disk(name) if seen else None
        pod = self._pods.get(item.index)
        if pod is not None and self._is_newer(pod, item.index, succeeded):
            self._found.adopted.append((item, pod))
        elif succeeded or (succeeded is False and not self._is_wanted(item.index)):
            self._note(item, name, succeeded)
            if pod is None:
                self._board.mark(item.index, board.SUCCEEDED if succeeded else board.FAILED)
            else:
                self._found.left.append((item, pod, succeeded))
        elif pod is not None:
            self._found.old.append((item, pod))

    def _is_newer(self, pod: Pod, index: int, succeeded: bool | None) -> bool:
        """Whether the pod is of an attempt that the outcome on disk does not tell of."""
        if succeeded is None:
            return True
        return not succeeded and attempt_of(pod) > self._failures.get(index, 0)

    def _of_reasons(self, reasons: frozenset[str]) -> set[int]:
        """The items that failed for one of these reasons, or of a cause that is called so."""
        return {
            outcome.index
            for outcome in self._ledger.failures()
            if outcome.reason in reasons or failures.id_of(outcome) in reasons
        }

    def _is_wanted(self, index: int) -> bool:
        """Whether an item that failed is to be run again."""
        if self._plan.retry_failed or index in self._wanted:
            return True
        return UNKNOWN in self._plan.retry_reasons and index not in self._failures

    def _note(self, item: Item, name: str, succeeded: bool) -> None:
        """An .err that somebody else wrote belongs into failed.csv, too."""
        if succeeded or item.index in self._failures:
            return
        self._ledger.note_failure(
            Outcome(
                index=item.index,
                name=name,
                succeeded=False,
                reason=UNKNOWN,
                attempts=self._ledger.attempts.counts[item.index],
                item=item.text,
                values=dict(item.values),
            )
        )


def _clear(client: Client, plan: Plan, ledger: Ledger) -> None:
    """Everything is run again: no pod and no log of before may be left."""
    of_run = selector(ledger.run)
    pods = client.list(PODS, namespace=plan.namespace, labels=of_run)
    left = {pod.metadata.uid for pod in pods.items}
    for pod in pods.items:
        remove(client, pod.metadata.name, pod.metadata.uid)
    if left:
        with client.watch(
            PODS,
            namespace=plan.namespace,
            labels=of_run,
            resource_version=pods.resource_version,
            known=pods.items,
        ) as changes:
            for change in changes:
                if change.type == "DELETED":
                    left.discard(change.object.metadata.uid)
                if not left:
                    break
    for item in plan.items:
        ledger.forget(plan.template.name(item))
    ledger.cleared()


def _taken(names: list[str], namespace: str) -> UsageError:
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return UsageError(
        f"namespace {namespace} has pods of these names that are not of this run: {shown}{more}",
        hint="delete them, or give the template's metadata.name another beginning",
    )


def todo(plan: Plan, items: Board) -> Iterator[Item]:
    """The items that nothing was done about, as they are wanted."""
    for item in plan.items:
        if items.states[item.index] == board.TODO:
            yield item
