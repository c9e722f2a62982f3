"""What a login with OIDC needs is imported when it is needed."""

from __future__ import annotations

import subprocess
import sys

LATER = """
import sys
import jobman.kube.access
from kubernetes.config import kube_config

brought = {name.partition(".")[0] for name in sys.modules}
assert not brought & {"oauthlib", "requests_oauthlib"}, brought
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


def test_the_packages_of_a_login_come_when_they_are_used() -> None:
    subprocess.run([sys.executable, "-c", LATER], check=True)


def test_those_that_are_there_already_are_taken() -> None:
    subprocess.run([sys.executable, "-c", THERE], check=True)
