"""A snapshot -> what `jobman queue` shows: rows with what would fit, GPU lines, and what is known.

Pure. The Structs here are also the documented JSON.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from jobman.queue.amounts import ONE_POD, PODS, UNIT, Amounts
from jobman.queue.capacity import Capacity
from jobman.queue.claims import IsGpu
from jobman.queue.compact import text
from jobman.queue.gpus import GpuLine
from jobman.queue.group import Counts, Group, Key
from jobman.queue.quotas import Quota, limited
from jobman.queue.rules import Wanted
from jobman.queue.snapshot import Snapshot, Source
from jobman.values.enums import QueueBy as By


class Requests(msgspec.Struct, frozen=True, rename="camel"):
    """What one pod asks for, as Kubernetes' quantities; GPUs by resource."""

    cpu: str
    memory: str
    gpus: dict[str, str]


class QueueRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One row of the queue; all counts are pods.

    `name` is the flavor, user, namespace, node or kind of GPU; null where there is none.
    `running` does not include `starting`. `requests`, `fits` and `fitsQuota` are null unless the
    rows are flavors; `fits` (on the nodes) and `fitsQuota` (in my namespace) also where that
    cannot be known or nothing limits it. `jobman` is how many of the pods jobman made.
    `gpusHeld` and `gpusWanted` are GPUs of all its pods, of those with a node and of those that
    wait. `conflict`: another row has the same name and other requests.
    """

    name: str | None
    requests: Requests | None
    waiting: int
    starting: int
    running: int
    stuck: int
    suspended: int
    yours: Counts
    jobman: int
    oldest_waiting_since: datetime | None
    oldest_wait_seconds: int | None
    fits: int | None
    fits_quota: int | None
    gpus_held: dict[str, int]
    gpus_wanted: dict[str, int]
    conflict: bool

    @property
    def total(self) -> int:
        """All its pods."""
        return self.waiting + self.starting + self.running + self.stuck + self.suspended


class QuotaLine(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A limit of a ResourceQuota of my namespace, as Kubernetes' quantities.

    `scope` says which pods it is for, empty: all.
    """

    quota: str
    scope: str
    resource: str
    used: str
    hard: str


class QueueView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The queue, as `jobman queue -o json` prints it."""

    at: datetime
    by: By
    rows: list[QueueRow]
    gpus: list[GpuLine]
    quotas: list[QuotaLine]
    sources: list[Source]
    notes: list[str]


@dataclass(frozen=True)
class KnownFlavor:
    """A flavor of the settings: what its pods would ask for."""

    name: str
    wanted: Wanted


@dataclass(frozen=True)
class Choice:
    """Which rows: `flavors` are the settings', `all_flavors` shows those without a pod too."""

    by: By = By.FLAVOR
    mine_only: bool = False
    gpu_only: bool = False
    all_flavors: bool = False
    flavors: Sequence[KnownFlavor] = ()


def of(snapshot: Snapshot, choice: Choice, is_gpu: IsGpu, *, now: datetime) -> QueueView:
    """The view of a snapshot."""
    found = [*snapshot.groups]
    if choice.by is By.FLAVOR and choice.all_flavors:
        found = with_flavors(found, choice.flavors, is_gpu)
    conflicting = _conflicts(found) if choice.by is By.FLAVOR else {}
    found = [group for group in found if _is_meant(group, choice)]
    judge = _Judge(snapshot, choice.flavors)
    return QueueView(
        at=now,
        by=choice.by,
        rows=[
            _row(group, judge if choice.by is By.FLAVOR else None, conflicting, now)
            for group in _in_order(found, choice)
        ],
        gpus=list(snapshot.gpus),
        quotas=[line for quota in snapshot.quotas for line in _quota_lines(quota, is_gpu)],
        sources=[*snapshot.sources],
        notes=[*snapshot.notes, *_conflict_notes(conflicting)],
    )


def with_flavors(
    found: Sequence[Group], flavors: Iterable[KnownFlavor], is_gpu: IsGpu
) -> list[Group]:
    """The groups and, empty, those of flavors that no pod has."""
    known = {group.key for group in found}
    keys = [_key(flavor, is_gpu) for flavor in flavors]
    return [*found, *(Group(key=key) for key in keys if key not in known)]


def _key(flavor: KnownFlavor, is_gpu: IsGpu) -> Key:
    amounts = flavor.wanted.amounts
    gpus = tuple((name, amounts[name]) for name in sorted(amounts) if is_gpu(name))
    return Key(flavor.name, amounts.get("cpu", 0), amounts.get("memory", 0), gpus)


def _is_meant(group: Group, choice: Choice) -> bool:
    if choice.mine_only and not group.yours.total:
        return False
    if not choice.gpu_only:
        return True
    return bool(group.key.gpus or group.holding or group.wanting)


def _in_order(found: Iterable[Group], choice: Choice) -> list[Group]:
    """The settings' flavors in their order, then the others as they came."""
    places = {flavor.name: place for place, flavor in enumerate(choice.flavors)}
    return sorted(found, key=lambda group: places.get(group.key.name or "", len(places)))


class _Judge:
    """Says how many more pods of a group would fit."""

    def __init__(self, snapshot: Snapshot, flavors: Iterable[KnownFlavor]) -> None:
        known = snapshot.usage_known and snapshot.nodes is not None
        self._capacity = Capacity(snapshot.nodes or ()) if known else None
        self._flavors = {flavor.name: flavor.wanted for flavor in flavors}
        self._quotas = snapshot.quotas

    def fits(self, group: Group) -> int | None:
        """On the nodes; None where they are not known."""
        return self._capacity.how_many(self._wanted(group)) if self._capacity else None

    def fits_quota(self, group: Group) -> int | None:
        """In my namespace; None where no quota limits it."""
        asked = self._wanted(group)
        rooms = [room for quota in self._quotas for room in quota.rooms(asked)]
        return min(rooms, default=None)

    def _wanted(self, group: Group) -> Wanted:
        """As the settings' flavor has it, if it is the same; else as most of its pods do."""
        asked = _amounts(group.key)
        known = self._flavors.get(group.key.name or "")
        usual = group.usual_shape
        if known is not None and all(known.amounts.get(k, 0) == v for k, v in asked.items()):
            return _as_admitted(known, usual.wanted) if usual else known
        return usual.wanted if usual else Wanted(asked, {}, None, ())


def _as_admitted(flavor: Wanted, pod: Wanted) -> Wanted:
    """The flavor with what its pods show: priority, and the tolerations that this cluster adds."""
    flavor = msgspec.structs.replace(flavor, priority=pod.priority)
    if not pod.tolerations_final:
        return flavor
    added = [each for each in pod.tolerations if each.key in flavor.amounts]
    tolerations = (*flavor.tolerations, *added)
    return msgspec.structs.replace(flavor, tolerations=tolerations, tolerations_final=True)


def _amounts(key: Key) -> Amounts:
    return {"cpu": key.cpu, "memory": key.memory, **dict(key.gpus), **ONE_POD}


def _row(
    group: Group, judge: _Judge | None, conflicting: Mapping[str, object], now: datetime
) -> QueueRow:
    since = _moment(group.oldest)
    counts = group.counts
    return QueueRow(
        name=group.key.name,
        requests=_requests(group.key) if judge else None,
        waiting=counts.waiting,
        starting=counts.starting,
        running=counts.running,
        stuck=counts.stuck,
        suspended=counts.suspended,
        yours=group.yours,
        jobman=group.managed,
        oldest_waiting_since=since,
        oldest_wait_seconds=max(int((now - since).total_seconds()), 0) if since else None,
        fits=judge.fits(group) if judge else None,
        fits_quota=judge.fits_quota(group) if judge else None,
        gpus_held=_whole(group.holding),
        gpus_wanted=_whole(group.wanting),
        conflict=group.key.name in conflicting if judge else False,
    )


def _requests(key: Key) -> Requests:
    return Requests(
        cpu=text("cpu", key.cpu),
        memory=text("memory", key.memory),
        gpus={name: text(name, amount) for name, amount in key.gpus},
    )


def _whole(amounts: Amounts) -> dict[str, int]:
    return {name: -(-amount // UNIT) for name, amount in sorted(amounts.items())}


def _moment(text_: str) -> datetime | None:
    """RFC 3339 as a time; None where it is none."""
    try:
        moment = datetime.fromisoformat(text_)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _quota_lines(quota: Quota, is_gpu: IsGpu) -> list[QuotaLine]:
    """What a quota says of the queue's resources and of pods."""
    told = ("cpu", "memory", PODS)
    return [
        QuotaLine(
            quota=quota.name,
            scope=quota.scope,
            resource=limit,
            used=text(limit, quota.used.get(limit, 0)),
            hard=text(limit, hard),
        )
        for limit, hard in sorted(quota.hard.items())
        for name in [limited(limit)]
        if name in told or is_gpu(name)
    ]


def _conflicts(found: Iterable[Group]) -> dict[str, list[Group]]:
    """The names that mean different requests, with their groups."""
    by_name: defaultdict[str, list[Group]] = defaultdict(list)
    for group in found:
        if group.key.name is not None:
            by_name[group.key.name].append(group)
    return {name: same for name, same in sorted(by_name.items()) if len(same) > 1}


def _conflict_notes(conflicting: Mapping[str, Sequence[Group]]) -> list[str]:
    return [
        f"conflict: flavor '{name}' means different requests: "
        + "; ".join(f"{describe(group.key)} ({_pods(group)})" for group in same)
        for name, same in conflicting.items()
    ]


def _pods(group: Group) -> str:
    total = group.counts.total
    if not total:
        return "in the settings"
    return "1 pod" if total == 1 else f"{total} pods"


def describe(key: Key) -> str:
    """The amounts of a group in a few words."""
    parts = [f"cpu {text('cpu', key.cpu)}", f"memory {text('memory', key.memory)}"]
    parts += [f"{name} {text(name, amount)}" for name, amount in key.gpus]
    return ", ".join(parts)
