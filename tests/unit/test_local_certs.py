"""The cluster's certificates: kept, renewed in time, trusted by those who pin the CA alone."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from jobman.local import certs, kubeconfig

NOW = datetime.now(UTC)


def served(certificates: certs.Certificates, client: ssl.SSLContext, name: str) -> None:
    """One TLS handshake. Raises ssl.SSLError when the client does not trust the server."""
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            certificates.server_context().wrap_socket(left, server_side=True).close()
        except (ssl.SSLError, OSError):
            left.close()

    server = threading.Thread(target=serve)
    server.start()
    try:
        client.wrap_socket(right, server_hostname=name).close()
    finally:
        right.close()
        server.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_the_pinned_ca_is_enough(tmp_path: Path, name: str) -> None:
    found = certs.ensure(tmp_path / "pki", NOW)
    served(found, ssl.create_default_context(cafile=found.ca), name)


def test_nobody_else_is_trusted(tmp_path: Path) -> None:
    found = certs.ensure(tmp_path / "one", NOW)
    other = certs.ensure(tmp_path / "two", NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        served(other, ssl.create_default_context(cafile=found.ca), "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        served(found, ssl.create_default_context(cafile=found.ca), "example.org")


def test_they_are_kept_until_shortly_before_their_end(tmp_path: Path) -> None:
    first = certs.ensure(tmp_path / "pki", NOW).ca.read_bytes()
    assert certs.ensure(tmp_path / "pki", NOW + timedelta(days=3000)).ca.read_bytes() == first
    assert certs.ensure(tmp_path / "pki", NOW + timedelta(days=3630)).ca.read_bytes() != first


@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "server.key"])
@pytest.mark.parametrize("damage", [b"", b"not a certificate"])
def test_damaged_ones_are_made_again(tmp_path: Path, name: str, damage: bytes) -> None:
    found = certs.ensure(tmp_path / "pki", NOW)
    (tmp_path / "pki" / name).write_bytes(damage)
    certs.ensure(tmp_path / "pki", NOW)
    served(found, ssl.create_default_context(cafile=found.ca), "127.0.0.1")


def test_the_key_is_private(tmp_path: Path) -> None:
    found = certs.ensure(tmp_path / "pki", NOW)
    assert found.key.stat().st_mode & 0o077 == 0


def test_a_kubeconfig_is_yaml_whatever_the_names() -> None:
    text = kubeconfig.text(
        address="https://127.0.0.1:1", ca=b"CA", user='a: "b"\n#', token="t-1", namespace="no"
    )
    found = yaml.safe_load(text)
    assert found["users"] == [{"name": 'a: "b"\n#', "user": {"token": "t-1"}}]
    (context,) = found["contexts"]
    assert context["name"] == found["current-context"]
    assert context["context"]["namespace"] == "no"
    cluster = found["clusters"][0]["cluster"]
    assert cluster == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "Q0E=",
    }
