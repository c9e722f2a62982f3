"""Flavors as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from jobman.cli.render.table import Column
from jobman.config.flavors import Flavor
from jobman.config.resources import is_gpu
from jobman.values import quantity

COLUMNS = (
    Column("NAME"),
    Column("CPU", right=True),
    Column("MEMORY", right=True),
    Column("GPUS", right=True),
)
DESCRIPTION = Column("DESCRIPTION", fold=True)
WIDE_COLUMNS = (
    Column("OTHER", fold=True),
    Column("IMAGE", fold=True),
    Column("NODES", fold=True),
    Column("TIME LIMIT", right=True),
    Column("FROM"),
)


class FlavorRow(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One flavor, as `jobman flavors -o json` prints it; the order of the fields is kept.

    `default` is whether jobs that name no flavor get this one. `gpus` are those of all vendors.
    `layer` is where it comes from, as in `jobman settings path`; null for a flavor that is given
    as JSON or a file.
    """

    name: str
    default: bool
    description: str
    gpus: int
    requests: dict[str, str]
    limits: dict[str, str]
    image: str | None
    node_selector: dict[str, str]
    tolerations: list[dict[str, Any]]
    priority_class_name: str | None
    runtime_class_name: str | None
    local_queue: str | None
    time_limit: str | None
    layer: str | None


def row(
    flavor: Flavor, *, default: bool, layer: str | None, gpu_resources: Iterable[str] | None
) -> FlavorRow:
    """The row of a flavor; `gpu_resources` are what counts as a GPU, None: what is named so."""
    amounts = {**flavor.requests, **flavor.limits}
    return FlavorRow(
        name=flavor.name,
        default=default,
        description=flavor.description,
        gpus=sum(quantity.parse(amounts[name]).int_ceil for name in _gpus(amounts, gpu_resources)),
        requests=dict(flavor.requests),
        limits=dict(flavor.limits),
        image=flavor.image,
        node_selector=flavor.node_selector,
        tolerations=flavor.tolerations,
        priority_class_name=flavor.priority_class_name,
        runtime_class_name=flavor.runtime_class_name,
        local_queue=flavor.local_queue,
        time_limit=flavor.time_limit,
        layer=layer,
    )


def cells(
    flavor: FlavorRow, *, gpu_resources: Iterable[str] | None, wide: bool = False
) -> list[str]:
    """A row's cells, for COLUMNS and DESCRIPTION, and with `wide` for WIDE_COLUMNS."""
    amounts = {**flavor.requests, **flavor.limits}
    shown = {name: amount(flavor.requests, flavor.limits, name) for name in amounts}
    gpus = _gpus(amounts, gpu_resources)
    one_gpu = gpus if len(gpus) == 1 else []
    own = [
        flavor.name + (" (default)" if flavor.default else ""),
        shown.get("cpu", "-"),
        shown.get("memory", "-"),
        shown[one_gpu[0]] if one_gpu else str(flavor.gpus or "-"),
        flavor.description or "-",
    ]
    if not wide:
        return own
    known = {"cpu", "memory", *one_gpu}
    others = [f"{name} {text}" for name, text in shown.items() if name not in known]
    nodes = [f"{key}={value}" for key, value in flavor.node_selector.items()]
    return [
        *own,
        ", ".join(others) or "-",
        flavor.image or "-",
        ", ".join(nodes) or "-",
        flavor.time_limit or "-",
        flavor.layer or "-",
    ]


CSV_TITLES = ("name", "default", "cpu", "memory", "gpus", "description", "layer")


def csv_cells(flavor: FlavorRow) -> list[str]:
    """The cells under CSV_TITLES; nothing requested is empty."""
    cpu, memory = (
        amount(flavor.requests, flavor.limits, name).removeprefix("-") for name in ("cpu", "memory")
    )
    return [
        *(flavor.name, str(flavor.default).lower(), cpu, memory, str(flavor.gpus)),
        *(flavor.description, flavor.layer or ""),
    ]


def amount(requests: Mapping[str, str], limits: Mapping[str, str], resource: str) -> str:
    """How much of a resource: `2`, or `2/4` where request and limit differ, or `-`."""
    request, limit = requests.get(resource), limits.get(resource)
    if request is None or limit is None:
        return request or limit or "-"
    same = quantity.parse(request) == quantity.parse(limit)
    return request if same else f"{request}/{limit}"


def _gpus(amounts: Mapping[str, str], gpu_resources: Iterable[str] | None) -> list[str]:
    known = None if gpu_resources is None else frozenset(gpu_resources)
    return [name for name in amounts if (is_gpu(name) if known is None else name in known)]
