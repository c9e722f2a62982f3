"""Why a pod could not be made: may it be made later, or never? Pure."""

from __future__ import annotations

import re

from jobman.values.quantity import Quantity, parse

_REFUSED = re.compile(r"is forbidden|is invalid", re.IGNORECASE)
_EXCEEDED = re.compile(r"exceeded quota: [^,]+, requested: (\S+), used: \S+, limited: (\S+)")


def can_never_be_created(message: str) -> bool:
    """Whether a FailedCreate's message names a refusal that waiting does not lift.

    A quota lifts when others free it, unless more is asked than it ever allows. Trouble of the
    server itself (a webhook that does not answer) may pass.
    """
    exceeded = _EXCEEDED.search(message)
    if exceeded is None:
        return _REFUSED.search(message) is not None
    asked, allowed = (_amounts(side) for side in exceeded.groups())
    return any(name in allowed and amount > allowed[name] for name, amount in asked.items())


def _amounts(text: str) -> dict[str, Quantity]:
    """`cpu=1,requests.nvidia.com/gpu=2` as quantities; what cannot be read is left out."""
    amounts: dict[str, Quantity] = {}
    for part in text.rstrip(",").split(","):
        name, _, amount = part.partition("=")
        try:
            amounts[name] = parse(amount)
        except ValueError:
            continue
    return amounts
