"""The packages with which the kubernetes package renews an OIDC login, imported when it does.

It imports them at its start, where they are an eighth of all that a command has to import.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any


@contextmanager
def imported_later() -> Iterator[None]:
    """What is imported inside has stand-ins for them, which bring them in when they are used."""
    given = {name: made for name, made in _stand_ins().items() if name not in sys.modules}
    sys.modules.update(given)
    try:
        yield
    finally:
        for name in given:
            del sys.modules[name]


def _stand_ins() -> dict[str, ModuleType]:
    package, sessions = ModuleType("oauthlib"), ModuleType("requests_oauthlib")
    vars(package).update(__path__=[], __getattr__=lambda name: import_module(f"oauthlib.{name}"))
    vars(sessions).update(OAuth2Session=_session)
    errors = ModuleType("oauthlib.oauth2")
    return {module.__name__: module for module in (package, errors, sessions)}


def _session(*args: Any, **options: Any) -> Any:
    return import_module("requests_oauthlib").OAuth2Session(*args, **options)
