"""jobman's own form of a published queue: groups and capacity, no names. Pure.

Nodes that are alike are one entry, with what is free on each kind of them, less what is kept for
pods that wait; labels that would tell a single node are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice, repeat
from typing import Any

import msgspec

from jobman.kube.objects import Taint, Toleration
from jobman.queue import amounts
from jobman.queue.amounts import ONE_POD, Amounts
from jobman.queue.claims import Shapes
from jobman.queue.group import Counts, Group, Key
from jobman.queue.nodes import NodeView, counted_for
from jobman.queue.rules import Wanted
from jobman.values.duration import format_rfc3339
from jobman.values.quantity import Quantity
from jobman.values.quantity import parse as parse_quantity

FORMAT = "jobman-queue/1"
USUAL_PRIORITY = 0
MOST_VALUES = 40
"""Different values of a label that nodes may have for it to be published."""


class PublishedGroup(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Equal pods: `requests` of one of them as quantities, and how many do what."""

    flavor: str | None = None
    requests: dict[str, str] = {}
    node_selector: dict[str, str] = {}
    affinity: list[dict[str, Any]] | None = None
    tolerations: list[Toleration] = []
    tolerations_final: bool = False
    waiting: int = 0
    starting: int = 0
    running: int = 0
    stuck: int = 0
    suspended: int = 0
    jobman: int = 0
    oldest: str = ""


class PublishedNodes(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """Nodes alike: `free` is how many of them have left what, as quantities."""

    labels: dict[str, str] = {}
    taints: list[tuple[str, str, str]] = []
    cordoned: bool = False
    not_ready: bool = False
    allocatable: dict[str, str] = {}
    capacity: dict[str, str] = {}
    free: list[tuple[int, dict[str, str]]] = []


class PublishedQueue(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """The document. `morePods` are those of groups that were left out for its size."""

    format: str = ""
    updated: str = ""
    groups: list[PublishedGroup] = []
    nodes: list[PublishedNodes] | None = None
    more_pods: int = 0
    notes: list[str] = []


def document(
    groups: Sequence[Group],
    nodes: Sequence[NodeView] | None,
    notes: Sequence[str],
    *,
    now: datetime,
    most_bytes: int,
) -> str:
    """The document, with less detail where it would be too big: coarser nodes, fewer groups."""
    published = [_published(group) for group in groups]
    published.sort(key=_pods, reverse=True)
    for coarse in (False, True):
        queue = PublishedQueue(
            format=FORMAT,
            updated=stamp(now),
            groups=published,
            nodes=None if nodes is None else _alike(nodes, coarse=coarse),
            notes=[*notes],
        )
        text_ = msgspec.json.encode(queue)
        if len(text_) <= most_bytes:
            return text_.decode()
    while len(text_) > most_bytes and queue.groups:
        kept = len(queue.groups) * most_bytes // (len(text_) + 1)
        queue.more_pods += sum(_pods(group) for group in queue.groups[kept:])
        queue.groups = queue.groups[:kept]
        text_ = msgspec.json.encode(queue)
    return text_.decode()


def _pods(group: PublishedGroup) -> int:
    return group.waiting + group.starting + group.running + group.stuck + group.suspended


def _published(group: Group) -> PublishedGroup:
    usual, counts, key = group.usual_shape, group.counts, group.key
    wanted = usual.wanted if usual else None
    asked = {"cpu": key.cpu, "memory": key.memory, **dict(key.gpus)}
    return PublishedGroup(
        flavor=key.name,
        requests=quantities({name: amount for name, amount in asked.items() if amount}),
        node_selector=dict(wanted.node_selector) if wanted else {},
        affinity=[dict(term) for term in wanted.affinity]
        if wanted and wanted.affinity is not None
        else None,
        tolerations=[t for t in wanted.tolerations if t.toleration_seconds is None]
        if wanted
        else [],
        tolerations_final=wanted is not None and wanted.tolerations_final,
        waiting=counts.waiting,
        starting=counts.starting,
        running=counts.running,
        stuck=counts.stuck,
        suspended=counts.suspended,
        jobman=group.managed,
        oldest=group.oldest,
    )


def group_of(published: PublishedGroup, shapes: Shapes) -> Group:
    """The group that was published."""
    asked = amounts.of(published.requests)
    affinity = None if published.affinity is None else tuple(published.affinity)
    wanted = Wanted(
        {**asked, **ONE_POD},
        published.node_selector,
        affinity,
        tuple(published.tolerations),
        tolerations_final=published.tolerations_final,
    )
    shape = shapes.of_wanted(wanted)
    counts = Counts(
        published.waiting,
        published.starting,
        published.running,
        published.stuck,
        published.suspended,
    )
    holding = counts.running + counts.starting + counts.stuck
    return Group(
        key=Key(published.flavor, shape.cpu, shape.memory, shape.gpus),
        counts=counts,
        managed=published.jobman,
        oldest=published.oldest,
        holding={name: amount * holding for name, amount in shape.gpus} if holding else {},
        wanting={name: amount * counts.waiting for name, amount in shape.gpus}
        if counts.waiting
        else {},
        shapes=Counter({shape: counts.total}),
    )


def _alike(nodes: Sequence[NodeView], *, coarse: bool) -> list[PublishedNodes]:
    """The nodes put together; `coarse` rounds what is free down to cores and Gi."""
    kept = _telling_labels(nodes)
    found: defaultdict[tuple[object, ...], list[NodeView]] = defaultdict(list)
    for node in nodes:
        labels = tuple(sorted((k, v) for k, v in node.labels.items() if k in kept))
        has = tuple(sorted(node.allocatable.items())), tuple(sorted(node.capacity.items()))
        found[labels, node.taints, node.schedulable, node.ready, *has].append(node)
    return [_class(group, kept, coarse=coarse) for group in found.values()]


def _telling_labels(nodes: Sequence[NodeView]) -> frozenset[str]:
    """The labels that many nodes share values of."""
    values: defaultdict[str, set[str]] = defaultdict(set)
    names = {node.name for node in nodes}
    for node in nodes:
        for key, value in node.labels.items():
            values[key].add(value)
    return frozenset(
        key for key, found in values.items() if len(found) <= MOST_VALUES and not found & names
    )


def _class(nodes: Sequence[NodeView], kept: frozenset[str], *, coarse: bool) -> PublishedNodes:
    one = nodes[0]
    free = Counter(_frozen(_unreserved(node), coarse=coarse) for node in nodes)
    return PublishedNodes(
        labels={key: value for key, value in one.labels.items() if key in kept},
        taints=[(taint.key, taint.value, taint.effect) for taint in one.taints],
        cordoned=not one.schedulable,
        not_ready=not one.ready,
        allocatable=quantities(one.allocatable),
        capacity={} if one.capacity == one.allocatable else quantities(one.capacity),
        free=[(count, quantities(dict(left))) for left, count in sorted(free.items())],
    )


def _unreserved(node: NodeView) -> Amounts:
    """What is free and kept for no pod that waits, as it is to pods of the usual priority."""
    if not node.nominated:
        return node.free
    (counted,) = counted_for(USUAL_PRIORITY, [node])
    # what is kept may still be in use by those who are to make way
    return {name: max(left, min(node.free[name], 0)) for name, left in counted.free.items()}


_STEPS = {"cpu": 1000, "memory": 1000 * 2**30, "ephemeral-storage": 1000 * 2**30}


def _frozen(free: Amounts, *, coarse: bool) -> tuple[tuple[str, int], ...]:
    if not coarse:
        return tuple(sorted(free.items()))
    return tuple(
        (name, amount // _STEPS.get(name, 1) * _STEPS.get(name, 1))
        for name, amount in sorted(free.items())
        if name != "ephemeral-storage"
    )


def nodes_of(published: Iterable[PublishedNodes] | None) -> list[NodeView] | None:
    """The nodes that were published, without names."""
    if published is None:
        return None
    found = (
        node
        for alike in published
        for count, free in alike.free
        for node in repeat(_node(alike, amounts.of(free)), max(count, 0))
    )
    return [*islice(found, MOST_NODES)]


MOST_NODES = 100_000
"""Nodes that are taken from a document: what is read may be malformed."""


def _node(alike: PublishedNodes, free: Amounts) -> NodeView:
    allocatable = amounts.of(alike.allocatable)
    return NodeView(
        name="",
        labels=alike.labels,
        taints=tuple(Taint(*taint) for taint in alike.taints),
        schedulable=not alike.cordoned,
        ready=not alike.not_ready,
        allocatable=allocatable,
        used={name: has - free.get(name, has) for name, has in allocatable.items()},
        capacity=amounts.of(alike.capacity) if alike.capacity else allocatable,
    )


def quantities(found: Mapping[str, int]) -> dict[str, str]:
    """Thousandths as Kubernetes' quantities."""
    return {name: text(name, amount) for name, amount in found.items()}


def text(resource: str, amount: int) -> str:
    """Thousandths as Kubernetes writes them: bytes in powers of two."""
    quantity = parse_quantity(f"{amount}m", allow_negative=True)
    return str(Quantity(quantity.value, "BinarySI" if _is_bytes(resource) else "DecimalSI"))


def _is_bytes(resource: str) -> bool:
    return resource.endswith(("memory", "storage")) or "hugepages-" in resource


def stamp(moment: datetime) -> str:
    """The time of a document, to the second."""
    return format_rfc3339(moment.replace(microsecond=0))
