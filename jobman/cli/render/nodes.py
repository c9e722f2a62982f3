"""Nodes as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jobman.cli.render.table import Column, write_table
from jobman.values.quantity import format_free, parse

if TYPE_CHECKING:
    from jobman.cli.context import AppContext
    from jobman.queue.node_rows import Holder, NodeRow, ProductRow

CORDON = "node.kubernetes.io/unschedulable"
"""The taint of a cordoned node; its state says so already."""

NODE_TITLES = (
    "name",
    "state",
    "gpuProduct",
    "gpus",
    "gpusUsed",
    "gpusFree",
    "cpu",
    "cpuFree",
    "memory",
    "memoryFree",
    "taints",
)
PRODUCT_TITLES = (
    "gpuProduct",
    "nodes",
    "nodesReady",
    "nodesCordoned",
    "gpus",
    "gpusUsed",
    "gpusFree",
    "gpusUnusable",
    "largestFree",
    "cpu",
    "cpuFree",
    "memory",
    "memoryFree",
)


def write_nodes(app: AppContext, rows: Sequence[NodeRow], *, wide: bool) -> None:
    """A line per node, taints where there are some; beneath it who holds the GPUs, if asked for."""
    tainted = any(_taints(row) for row in rows)
    columns = [
        Column("NODE"),
        Column("STATE", colored=True),
        Column("GPU", fold=True),
        Column("GPUS", right=True),
        Column("USED", right=True),
        Column("FREE", right=True, style="bold"),
        Column("CPU FREE", right=True),
        Column("MEM FREE", right=True),
        *([Column("TAINTS", fold=True)] if tainted else []),
    ]
    write_table(app, columns, [_cells(row, tainted=tainted, wide=wide) for row in rows])
    held = [_holder(row.name, holder) for row in rows for holder in row.holders or ()]
    if held:
        app.write("")
        write_table(app, HOLDERS, held)


def _cells(row: NodeRow, *, tainted: bool, wide: bool) -> list[str]:
    return [
        row.name or "-",
        row.state.replace("SchedulingDisabled", "cordoned"),
        row.gpu_product or "-",
        str(row.gpus) if row.gpus else "-",
        _known(row.gpus_used) if row.gpus else "-",
        _known(row.gpus_free) if row.gpus else "-",
        f"{_known(row.cpu_free)} of {row.cpu}" if wide else _known(row.cpu_free),
        f"{_size(row.memory_free)} of {_size(row.memory)}" if wide else _size(row.memory_free),
        *([_taints(row) or "-"] if tainted else []),
    ]


def _taints(row: NodeRow) -> str:
    return ", ".join(taint for taint in row.taints if not taint.startswith(CORDON))


HOLDERS = (
    Column("NODE"),
    Column("GPUS", right=True),
    Column("USER", fold=True),
    Column("NAMESPACE", fold=True),
    Column("POD", fold=True),
)


def _holder(node: str, holder: Holder) -> list[str]:
    return [node, str(holder.gpus), holder.user or "-", holder.namespace, holder.pod]


def write_products(app: AppContext, rows: Sequence[ProductRow]) -> None:
    """A line per kind of GPU."""
    columns = [
        Column("GPU", fold=True),
        *(
            Column(title, right=True)
            for title in (
                "NODES",
                "READY",
                "CORDONED",
                "GPUS",
                "USED",
                "FREE",
                "UNUSABLE",
                "LARGEST",
                "CPU FREE",
                "MEM FREE",
            )
        ),
    ]
    write_table(app, columns, [_product_cells(row) for row in rows])


def _product_cells(row: ProductRow) -> list[str]:
    return [
        row.gpu_product or "<no GPU>",
        str(row.nodes),
        str(row.nodes_ready),
        str(row.nodes_cordoned or "-"),
        str(row.gpus or "-"),
        _known(row.gpus_used) if row.gpus else "-",
        _known(row.gpus_free) if row.gpus else "-",
        str(row.gpus_unusable or "-"),
        _known(row.largest_free) if row.gpus else "-",
        _known(row.cpu_free),
        _size(row.memory_free),
    ]


def _known(value: str | int | None) -> str:
    return "?" if value is None else str(value)


def _size(text: str | None) -> str:
    return "?" if text is None else format_free(int(parse(text).value))


def csv_cells(rows: Sequence[Any], titles: Sequence[str]) -> list[list[str]]:
    """The fields of `titles`, as in JSON; null is empty, a list is joined by blanks."""
    import msgspec

    plain = msgspec.to_builtins(rows, builtin_types=())
    return [[_csv(row[key]) for key in titles] for row in plain]


def _csv(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)
