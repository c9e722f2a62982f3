"""Every test: an environment of its own. Options of the end-to-end tests."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

_CLEARED = (
    "KUBECONFIG",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "DOCKER_CONFIG",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
)
_PLACES = ("CONFIG", "CACHE", "DATA", "STATE", "RUNTIME")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("jobman")
    group.addoption(
        "--kubeconfig",
        metavar="FILE",
        help="run tests/e2e on this cluster, and what tests/bench has for one",
    )
    group.addoption(
        "--image",
        metavar="IMAGE",
        default="docker.io/library/python:3.13-alpine",
        help="an image with sh and python3 that the cluster can pull",
    )
    group.addoption(
        "--timeout-scale",
        metavar="FACTOR",
        type=float,
        default=1.0,
        help="stretch the time limits of tests/e2e, for a slow cluster",
    )


def pytest_configure() -> None:
    """What a test may rest on, however the suite was started and however slow the machine is.

    A suite started in the background ignores SIGINT; the commands under test must not.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    patient = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("patient", settings.default, **patient)
    settings.load_profile("patient")


@pytest.fixture(autouse=True)
def environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own configuration, and a home with a space in its name."""
    for name in os.environ:
        if name.startswith("JOBMAN_") or name.lower().endswith("_proxy") or name in _CLEARED:
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home of a user")
    monkeypatch.setenv("HOME", str(home))
    for place in _PLACES:
        suffix = "DIR" if place == "RUNTIME" else "HOME"
        monkeypatch.setenv(f"XDG_{place}_{suffix}", str(home / place.lower()))
