"""Amounts and counts in words."""

from __future__ import annotations

from collections.abc import Sequence

from jobman.queue.amounts import UNIT
from jobman.values.quantity import format_bytes

_BYTES = ("memory", "ephemeral-storage")
SHOWN = 3


def amount(resource: str, thousandths: int) -> str:
    """`4 nvidia.com/gpu`, `1.5 cpu`, `12 GiB of memory`."""
    if resource in _BYTES or resource.startswith("hugepages-"):
        return f"{format_bytes(thousandths // UNIT, digits=4)} of {resource}"
    return f"{thousandths / UNIT:g} {resource}"


def node(name: str) -> str:
    """A node's name; published nodes have none."""
    return name or "one node"


def nodes(names: Sequence[str]) -> str:
    """`gpu-07`, or `3 nodes (a, b, c)`; of nodes without names their number."""
    if len(names) == 1:
        return node(names[0])
    if not all(names):
        return count(len(names), "node")
    more = ", …" if len(names) > SHOWN else ""
    return f"{len(names)} nodes ({', '.join(names[:SHOWN])}{more})"


def count(number: int, what: str) -> str:
    """`1 node`, `3 nodes`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
