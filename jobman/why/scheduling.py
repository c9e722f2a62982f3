"""Why no node takes a pod, from the nodes themselves. Pure.

In order: no node would even if it were empty (its rules, or its size), nodes would that are full
(`busy`), the free parts lie scattered (`fragmented`) or are kept for others (`reserved`), or
nothing that is judged here is against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from jobman.config.flavors import Flavor, is_gpu
from jobman.queue import amounts
from jobman.queue.amounts import UNIT
from jobman.queue.nodes import NodeView, counted_for
from jobman.queue.rules import Kind, Obstacle, Wanted, against, shortages, why_not
from jobman.why import other_flavors, words
from jobman.why.diagnosis import Diagnosis
from jobman.why.other_flavors import own_rules
from jobman.why.said import Scheduler

BUSY, FRAGMENTED, NEVER, RULES, FITS = "busy", "fragmented", "never-fits", "node-rules", "fits-now"
REFUSES, RESERVED = "scheduler", "reserved"


@dataclass(frozen=True)
class Waiting:
    """A pod that waits for a node; `since` is when it came, None: that is not known."""

    wanted: Wanted
    since: datetime | None


def diagnose(
    wanted: Wanted,
    nodes: Sequence[NodeView],
    *,
    others: Iterable[Waiting] = (),
    since: datetime | None = None,
    flavors: Sequence[Flavor] = (),
    flavor: Mapping[str, Any] | None = None,
    said: Scheduler | None = None,
) -> Diagnosis:
    """Why a pod that wants this is on no node.

    `others` wait too, `since` is when it came, `flavor` is its own as it was submitted, `flavors`
    are others that may be tried, `said` is what the scheduler says of it.
    """
    if not nodes:
        return Diagnosis(RULES, "the cluster has no node")
    counted = counted_for(wanted.priority, nodes)
    if any(not why_not(wanted, node) for node in counted):
        return _fits(wanted, counted, said)
    kept = [node for node in nodes if not why_not(wanted, node)]
    roomy = [node for node in nodes if not why_not(wanted, node, empty=True)]
    if roomy:
        found = _reserved(wanted, kept) if kept else _full(wanted, roomy)
        lines = [
            *found.evidence,
            *_rules(wanted, nodes),
            *_ahead(wanted, _fitting(others, nodes), since),
            *_left_out(wanted),
        ]
    else:
        found = _never(wanted, nodes)
        lines = [*found.evidence, *(_rules(wanted, nodes) if found.kind == NEVER else ())]
    others_fit = other_flavors.fitting(own_rules(wanted, flavor or {}), counted, flavors)
    ways = (*found.suggestions, *_smaller(wanted, counted), *others_fit)
    return replace(found, evidence=tuple(lines), suggestions=ways)


def _fits(wanted: Wanted, nodes: Sequence[NodeView], said: Scheduler | None) -> Diagnosis:
    taking = words.nodes([node.name for node in nodes if not why_not(wanted, node)])
    minds = said.minds(_broken_rules(wanted, nodes)) if said else ""
    if minds:
        sentence = f"there is room for it on {taking}, but the scheduler refuses nodes: {minds}"
        return Diagnosis(REFUSES, sentence, _left_out(wanted))
    return Diagnosis(
        FITS,
        f"it fits now on {taking}: the scheduler has not got to it yet, or minds"
        f" {' or '.join(wanted.unjudged) or 'something else'}",
        _left_out(wanted),
    )


def _reserved(wanted: Wanted, kept: Sequence[NodeView]) -> Diagnosis:
    """There is room, but the scheduler keeps it for others that wait."""
    holders = [each for node in kept for each in node.kept_from(wanted.priority)]
    one = holders[0]
    for_whom = f"pod {one.namespace}/{one.pod}" if len(holders) == 1 else f"{len(holders)} pods"
    there = words.nodes([node.name for node in kept])
    verb = "waits" if len(holders) == 1 else "wait"
    sentence = (
        f"there is room for it on {there}, but it is kept for {for_whom}, which {verb} for it"
    )
    return Diagnosis(RESERVED, sentence)


def _broken_rules(wanted: Wanted, nodes: Sequence[NodeView]) -> Mapping[str, int]:
    """How many nodes the pod's rules keep it off, by kind as the scheduler has them."""
    firsts = (found[0].kind for node in nodes if (found := against(wanted, node)))
    return Counter(_AS_THE_SCHEDULER[kind] for kind in firsts)


_AS_THE_SCHEDULER: Mapping[Kind, str] = {
    "cordoned": "cordoned",
    "not-ready": "taints",
    "taint": "taints",
    "selector": "selector",
    "affinity": "selector",
}


def _left_out(wanted: Wanted) -> tuple[str, ...]:
    """What the pod asks for besides, which may keep it off any node."""
    asks = ", ".join(wanted.unjudged)
    return (f"it asks for what is not judged here: {asks}",) if asks else ()


def _never(wanted: Wanted, nodes: Sequence[NodeView]) -> Diagnosis:
    allowed = [node for node in nodes if not against(wanted, node)]
    if not allowed:
        only = words.count(len(nodes), "node")
        return Diagnosis(RULES, f"no node may take it: {_told(wanted, nodes)} (of {only})")
    node, lacks = _nearest(wanted, allowed)
    worst = lacks[0]
    others = f" of the {words.count(len(allowed), 'node')} that may take it"
    sentence = (
        f"it can never fit: it asks for {words.amount(worst.resource, _asked(wanted, worst))},"
        f" and the nearest{others if len(allowed) > 1 else ''} has"
        f" {words.amount(worst.resource, worst.available)} in all"
        + (f" ({node.name})" if node.name else "")
    )
    missing = [
        f"{node.name or 'the nearest node'} would lack"
        f" {words.amount(each.resource, each.short_by)} even if it were empty"
        for each in lacks
    ]
    return Diagnosis(NEVER, sentence, tuple(missing))


def _nearest(wanted: Wanted, nodes: Sequence[NodeView]) -> tuple[NodeView, list[Obstacle]]:
    """The node that lacks the smallest part of what is asked, the greatest lack first."""

    def lacks(node: NodeView) -> list[Obstacle]:
        found = shortages(wanted.amounts, node, empty=True)
        return sorted(found, key=lambda each: -each.short_by / _asked(wanted, each))

    def distance(node: NodeView) -> tuple[float, str]:
        found = lacks(node)
        return sum(each.short_by / _asked(wanted, each) for each in found), node.name

    nearest = min(nodes, key=distance)
    return nearest, lacks(nearest)


def _asked(wanted: Wanted, obstacle: Obstacle) -> int:
    return wanted.amounts[obstacle.resource]


def _full(wanted: Wanted, roomy: Sequence[NodeView]) -> Diagnosis:
    """Nodes would take it if they were empty."""
    lacking = Counter(
        obstacle.resource for node in roomy for obstacle in shortages(wanted.amounts, node)
    )
    resource = max(lacking, key=lambda name: (is_gpu(name), lacking[name], name))
    asked = wanted.amounts[resource]
    free = [(max(node.free.get(resource, 0), 0), node.name) for node in roomy]
    total, (most, best) = sum(left for left, _ in free), min(free, key=_most_first)
    need = f"it needs {words.amount(resource, asked)}"
    block = f"the largest free block is {words.amount(resource, most)} on {words.node(best)}"
    evidence = [
        f"{name} is short on {words.count(count, 'node')}"
        for name, count in lacking.most_common()
        if name != resource
    ]
    if total >= asked and most < asked:
        sentence = (
            f"{need} on one node; {words.amount(resource, total)} are free, but scattered over"
            f" {words.count(sum(1 for left, _ in free if left), 'node')}: {block}"
        )
        return Diagnosis(FRAGMENTED, sentence, tuple(evidence))
    those = words.node(best) if len(roomy) == 1 else f"the {len(roomy)} nodes that could take it"
    if not total:
        return Diagnosis(BUSY, f"{need}; none is free on {those}", tuple(evidence))
    if most >= asked:
        sentence = f"{need} and more: where that is free, something else is short"
        return Diagnosis(BUSY, sentence, (block, *evidence))
    there = f"{words.amount(resource, total)} are free on"
    missing = f"{words.amount(resource, asked - most)} are missing"
    if len(roomy) == 1:
        return Diagnosis(BUSY, f"{need}; {there} {those}: {missing}", tuple(evidence))
    sentence = f"{need}; {there} {those}, {block}: {missing} there"
    return Diagnosis(BUSY, sentence, tuple(evidence))


def _most_first(free: tuple[int, str]) -> tuple[int, str]:
    """The order of nodes by what is free on them, and by name."""
    left, name = free
    return -left, name


def _rules(wanted: Wanted, nodes: Sequence[NodeView]) -> list[str]:
    told = _told(wanted, nodes)
    return [f"nodes that may not take it: {told}"] if told else []


def _told(wanted: Wanted, nodes: Sequence[NodeView]) -> str:
    """`2 lack the label gpu=a100, 1 is cordoned`; each node counts with its first obstacle."""
    firsts = Counter(_obstacle(found[0]) for node in nodes if (found := against(wanted, node)))
    return ", ".join(
        f"{count} {one if count == 1 else many}" for (one, many), count in firsts.most_common()
    )


def _obstacle(obstacle: Obstacle) -> tuple[str, str]:
    """The obstacle of one node, and of several."""
    pair = f"{obstacle.key}={obstacle.value}" if obstacle.value else obstacle.key
    match obstacle.kind:
        case "selector":
            return f"lacks the label {pair}", f"lack the label {pair}"
        case "affinity":
            return "is outside its node affinity", "are outside its node affinity"
        case "taint":
            return f"has the taint {pair}", f"have the taint {pair}"
        case "cordoned":
            return "is cordoned", "are cordoned"
        case _:
            return "is not ready", "are not ready"


def _fitting(others: Iterable[Waiting], nodes: Sequence[NodeView]) -> Iterator[Waiting]:
    """Those that some node could take; equal pods are judged once."""
    known: dict[int, bool] = {}
    for other in others:
        key = id(other.wanted)
        if key not in known:
            known[key] = any(not why_not(other.wanted, node, empty=True) for node in nodes)
        if known[key]:
            yield other


def _ahead(wanted: Wanted, others: Iterable[Waiting], since: datetime | None) -> list[str]:
    """Who wants the same and is of higher priority, or of the same and came earlier."""
    main = _main_resource(wanted)
    if main is None or since is None:
        return []
    rivals = [other for other in others if other.wanted.amounts.get(main, 0) > 0]
    if any(other.since is None for other in rivals):
        volume = _volume(main, rivals)
        return [f"waiting in all, perhaps this one too: {volume}; since when of each is not known"]
    higher = [other for other in rivals if other.wanted.priority > wanted.priority]
    equal = [other for other in rivals if other.wanted.priority == wanted.priority]
    earlier = [other for other in equal if other.since is not None and other.since < since]
    kinds = (
        (len(higher), "of higher priority"),
        (len(earlier), "came earlier, of the same priority"),
    )
    told = ", ".join(f"{count} {what}" for count, what in kinds if count)
    if told:
        volume = _volume(main, [*higher, *earlier])
        return [f"ahead of it: {volume} ({told}); Kubernetes promises no order"]
    others_at_once = sum(other.since == since for other in equal) - 1
    if others_at_once > 0:
        came = f"{words.count(others_at_once, 'other pod')} came in the same second"
        return [f"nobody is known to be ahead of it for {main}: {came}"]
    return [f"nobody is ahead of it for {main}"]


def _volume(resource: str, waiting: Sequence[Waiting]) -> str:
    """`3 pods, 10 nvidia.com/gpu`."""
    total = sum(each.wanted.amounts.get(resource, 0) for each in waiting)
    return f"{words.count(len(waiting), 'pod')}, {words.amount(resource, total)}"


def _main_resource(wanted: Wanted) -> str | None:
    """The GPU that is asked for, else what else is."""
    names = [name for name, asked in wanted.amounts.items() if asked > 0 and name != amounts.PODS]
    return min(names, key=lambda name: (not is_gpu(name), name != "cpu", name), default=None)


def _smaller(wanted: Wanted, nodes: Sequence[NodeView]) -> list[str]:
    """The smallest change that lets it start now: of one amount, else of several on one node."""
    cuts = [cut for node in nodes if not against(wanted, node) and (cut := _cut(wanted, node))]
    cuts.sort(key=_by_size)
    alone: dict[str, _Cut] = {}
    for cut in cuts:
        if len(cut.left) == 1:
            alone.setdefault(next(iter(cut.left)), cut)
    return [_smaller_text(wanted, cut) for cut in [*alone.values()] or cuts[:1]]


@dataclass(frozen=True)
class _Cut:
    """What there is instead of each amount that the node is short of; `share` is what is lost."""

    node: str
    left: Mapping[str, int]
    share: float


def _cut(wanted: Wanted, node: NodeView) -> _Cut | None:
    """What the pod would have to make do with on the node; None where there is nothing."""
    short = shortages(wanted.amounts, node)
    left = {each.resource: _askable(each.resource, each.available) for each in short}
    if amounts.PODS in left or not all(left.values()):
        return None
    return _Cut(node.name, left, sum(1 - left[name] / wanted.amounts[name] for name in left))


def _by_size(cut: _Cut) -> tuple[float, str]:
    return cut.share, cut.node


def _askable(resource: str, available: int) -> int:
    """As much of it as a person would ask for."""
    step = next((step for step in _STEPS.get(resource, ()) if step <= available), UNIT)
    return available // step * step


_GI, _MI = 1000 * 2**30, 1000 * 2**20
_STEPS = {"cpu": (100, 1), "memory": (_GI, _MI), "ephemeral-storage": (_GI, _MI)}
"""How finely an amount is asked for, in thousandths, where there is that much; else by one."""


def _smaller_text(wanted: Wanted, cut: _Cut) -> str:
    changes = [
        f"{words.amount(name, left)} instead of {words.amount(name, wanted.amounts[name])}"
        for name, left in cut.left.items()
    ]
    return f"with {' and '.join(changes)} it fits now on {words.node(cut.node)}"
