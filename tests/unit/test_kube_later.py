"""What few commands use of the kubernetes package is imported when they use it."""

from __future__ import annotations

import subprocess
import sys

LATER = """
import sys
import jobman.kube.access
from kubernetes.config import kube_config

rare = ("oauthlib", "requests_oauthlib", "requests", "websocket", "kubernetes.stream")
brought = [name for name in rare if name in sys.modules]
assert not brought, brought
from kubernetes.stream.ws_client import get_websocket_url, websocket_proxycare
import kubernetes
assert kubernetes.stream.ws_client.get_websocket_url is get_websocket_url
assert kube_config.OAuth2Session(client_id="c").client_id == "c"
import oauthlib.oauth2, requests_oauthlib
wrong = kube_config.oauthlib.oauth2.rfc6749.errors.InvalidClientIdError
assert wrong is oauthlib.oauth2.rfc6749.errors.InvalidClientIdError
"""
THERE = """
import requests_oauthlib
import jobman.kube.access
from kubernetes.config import kube_config

assert kube_config.OAuth2Session is requests_oauthlib.OAuth2Session
"""


def test_they_come_when_they_are_used() -> None:
    subprocess.run([sys.executable, "-c", LATER], check=True)


def test_those_that_are_there_already_are_taken() -> None:
    subprocess.run([sys.executable, "-c", THERE], check=True)
