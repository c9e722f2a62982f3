"""The flavor to take when one did not have enough of something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jobman.config.flavors import Flavor, is_gpu
from jobman.values import quantity
from jobman.values.quantity import Quantity


def next_bigger(
    flavors: Iterable[Flavor], amounts: Mapping[str, str], resource: str = "memory"
) -> Flavor | None:
    """The smallest flavor with more of `resource` than `amounts`, and no fewer GPUs of each kind.

    Where several have the same of it, that with the fewest GPUs; None where there is none.
    """
    fitting = [
        (more, flavor.gpu_count, position, flavor)
        for position, flavor in enumerate(flavors)
        if (more := _amount(_of(flavor), resource)) is not None
        and (have := _amount(amounts, resource)) is not None
        and more > have
        and _has_gpus(_of(flavor), amounts)
    ]
    return min(fitting, key=lambda entry: entry[:3], default=(None, 0, 0, None))[3]


def _of(flavor: Flavor) -> dict[str, str]:
    """What a container of the flavor may use."""
    return {**flavor.requests, **flavor.limits}


def _has_gpus(offered: Mapping[str, str], amounts: Mapping[str, str]) -> bool:
    return all(
        (_amount(offered, name) or _NOTHING) >= (_amount(amounts, name) or _NOTHING)
        for name in amounts
        if is_gpu(name)
    )


def _amount(amounts: Mapping[str, str], resource: str) -> Quantity | None:
    try:
        return quantity.parse(amounts[resource])
    except (KeyError, ValueError):
        return None


_NOTHING = quantity.parse("0")
