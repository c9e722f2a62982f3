"""Each way to get no answer: what is said, and whether trying again makes sense."""

# ruff: noqa: E501 - one row, one line

from __future__ import annotations

import errno
import socket
import ssl
from typing import Any

import pytest
from urllib3 import exceptions as http

from jobman.errors import ConfigError, UnreachableError
from jobman.kube.failures import failure_of

SERVER = "https://c:6443"
POOL: Any = None


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def unverified() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


def unresolved(number: int) -> http.NameResolutionError:
    reason = socket.gaierror(number, "no name")
    return caused(http.NameResolutionError("c", POOL, reason), reason)  # type: ignore[return-value]


ALERT = ssl.SSLError(1, "[SSL: SSLV3_ALERT_CERTIFICATE_EXPIRED] sslv3 alert certificate expired")
NO_ROUTE = caused(
    http.NewConnectionError(POOL, "Failed to establish"), OSError(errno.EHOSTUNREACH, "No route")
)


@pytest.mark.parametrize(
    ("error", "kind", "said", "hint", "sent", "lasting"),
    [
        (http.SSLError(unverified()), UnreachableError, "not trusted: self-signed", "certificate-authority", False, True),
        (http.SSLError(ALERT), UnreachableError, "TLS with https://c:6443 failed", "client certificate", True, False),
        (http.SSLError("EOF"), UnreachableError, "TLS with https://c:6443 failed: EOF", "with https?", True, False),
        (http.LocationParseError("c:x"), ConfigError, "is no address", None, False, True),
        (http.URLSchemeUnknown("ftp"), ConfigError, "is no address", None, False, True),
        (http.ProxyError("no tunnel", OSError("Tunnel connection failed: 403 Forbidden")), UnreachableError, "the proxy http://p does not let", "NO_PROXY", False, False),
        (unresolved(socket.EAI_NONAME), UnreachableError, "name of https://c:6443 cannot be resolved", "VPN", False, True),
        (unresolved(socket.EAI_AGAIN), UnreachableError, "cannot be resolved", "VPN", False, False),
        (NO_ROUTE, UnreachableError, "cannot be reached: No route", "--context", False, False),
        (http.ConnectTimeoutError(POOL, "timed out"), UnreachableError, "does not answer", "firewall", False, False),
        (http.ReadTimeoutError(POOL, "/", "timed out"), UnreachableError, "in time", "firewall", True, False),
        (http.ProtocolError("aborted", ConnectionResetError(104, "Connection reset by peer")), UnreachableError, "was lost: Connection reset by peer", "try again", True, False),
        (http.IncompleteRead(3, 5), UnreachableError, "was lost", "try again", True, False),
        (http.MaxRetryError(POOL, "/", http.ConnectTimeoutError(POOL, "x")), UnreachableError, "does not answer", "firewall", False, False),
        (ConnectionResetError(104, "Connection reset by peer"), UnreachableError, "was lost: Connection reset", "try again", True, False),
        (OSError(), UnreachableError, "was lost: OSError", "try again", True, False),
    ],
    ids=[
        "certificate", "client certificate", "TLS", "address", "scheme", "proxy", "no name",
        "no name now", "no route", "silent", "slow", "reset", "cut", "wrapped", "system", "bare",
    ],
)  # fmt: skip
def test_failure(
    error: Exception, kind: type, said: str, hint: str | None, sent: bool, lasting: bool
) -> None:
    failure = failure_of(error, SERVER, proxy="http://p")
    assert type(failure.error) is kind
    assert said in failure.error.message
    assert (hint or "") in (failure.error.hint or "")
    assert (failure.sent, failure.lasting) == (sent, lasting)
    assert "object at 0x" not in failure.error.message


def test_the_kubernetes_packages_wrapping_is_taken_off() -> None:
    from kubernetes.client.exceptions import ApiException

    wrapped = ApiException(status=0, reason="SSLError")
    wrapped.__context__ = http.SSLError(unverified())
    assert "is not trusted" in failure_of(wrapped, SERVER).error.message
