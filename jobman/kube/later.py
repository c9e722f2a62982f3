"""What the kubernetes package imports at its start and few commands use, imported when they do.

These are its streams, for `exec`, and what renews an OIDC login: with the packages that they bring
in, a quarter of all that a command would have to import.
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
    """What is imported inside has stand-ins for them; afterwards they are there to be imported.

    Those of a login bring in what they stand for when they are used.
    """
    given = {name: made for name, made in _stand_ins().items() if name not in sys.modules}
    sys.modules.update(given)
    try:
        yield
    finally:
        for name in given:
            del sys.modules[name]


def _stand_ins() -> dict[str, ModuleType]:
    names = ("kubernetes.stream", "oauthlib", "oauthlib.oauth2", "requests_oauthlib")
    made = {name: ModuleType(name) for name in names}
    of_package = {"__path__": [], "__getattr__": lambda name: import_module(f"oauthlib.{name}")}
    vars(made["oauthlib"]).update(of_package)
    vars(made["requests_oauthlib"]).update(OAuth2Session=_session)
    return made


def _session(*args: Any, **options: Any) -> Any:
    return import_module("requests_oauthlib").OAuth2Session(*args, **options)
