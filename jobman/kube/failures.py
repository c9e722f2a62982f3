"""What goes wrong on the way to the server, turned into errors that say what to do.

A failure also tells whether the request can have reached the server: a write that can have is
not sent again.
"""

from __future__ import annotations

import socket
import ssl

import msgspec
from urllib3 import exceptions as http

from jobman.errors import ConfigError, JobmanError, UnreachableError


class Failure(msgspec.Struct, frozen=True):
    """A request without an answer.

    `sent`: the server may have acted on it. `lasting`: trying again cannot help.
    """

    error: JobmanError
    sent: bool = True
    lasting: bool = False


def failure_of(error: Exception, server: str, *, proxy: str | None = None) -> Failure:
    """Classify an exception of urllib3, of the kubernetes package or of the socket."""
    cause = _cause(error)
    certificate = _in_chain(cause, ssl.SSLCertVerificationError)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return Failure(_untrusted(server, certificate), sent=False, lasting=True)
    if isinstance(cause, (http.SSLError, ssl.SSLError)):
        return Failure(_bad_tls(server, cause))
    if isinstance(cause, (http.LocationParseError, http.LocationValueError, http.URLSchemeUnknown)):
        message = f"the kubeconfig's server is no address: {server}"
        return Failure(ConfigError(message), sent=False, lasting=True)
    if isinstance(cause, http.ProxyError):
        return Failure(_bad_proxy(proxy, cause), sent=False)
    if isinstance(cause, http.NameResolutionError):
        return _unknown_name(server, cause)
    if isinstance(cause, http.NewConnectionError):
        return Failure(_refused(server, cause), sent=False)
    if isinstance(cause, http.ConnectTimeoutError):
        return Failure(_silent(server, "does not answer"), sent=False)
    if isinstance(cause, http.ReadTimeoutError):
        return Failure(_silent(server, "accepted the request, but does not answer in time"))
    reason = _said(cause)
    return Failure(
        UnreachableError(f"the connection to {server} was lost: {reason}", hint=_TRY_AGAIN)
    )


_TRY_AGAIN = "try again; if it stays so, check the network and the cluster"
_CHECK_SERVER = "is the cluster up, and is this its address? --context names another one"


def _cause(error: BaseException) -> BaseException:
    """The exception inside the wrappers of urllib3 and of the kubernetes package."""
    if isinstance(error, http.MaxRetryError) and error.reason is not None:
        return _cause(error.reason)
    if isinstance(error, http.HTTPError) or error.__context__ is None:
        return error
    if type(error).__name__ == "ApiException":
        return _cause(error.__context__)
    return error


def _in_chain(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, kind):
            return error
        nested = next((a for a in error.args if isinstance(a, BaseException)), None)
        error = nested or error.__cause__ or error.__context__
        seen += 1
    return None


def _untrusted(server: str, error: ssl.SSLCertVerificationError) -> UnreachableError:
    return UnreachableError(
        f"the certificate of {server} is not trusted: {error.verify_message}",
        hint="does the kubeconfig's certificate-authority belong to this cluster?"
        " A cluster that was made anew has a new one",
    )


def _bad_tls(server: str, error: BaseException) -> UnreachableError:
    said = str(error)
    hint = "is this the address of a Kubernetes API, with https?"
    if "alert" in said and "certificate" in said:
        hint = "the server refuses the kubeconfig's client certificate; has it expired?"
    return UnreachableError(f"TLS with {server} failed: {_said(error)}", hint=hint)


def _bad_proxy(proxy: str | None, error: http.ProxyError) -> UnreachableError:
    return UnreachableError(
        f"the proxy {proxy or ''} does not let the request through: {_said(error)}".replace(
            "  ", " "
        ),
        hint="check HTTPS_PROXY, NO_PROXY and the kubeconfig's proxy-url",
    )


def _unknown_name(server: str, error: http.NameResolutionError) -> Failure:
    found = _in_chain(error, socket.gaierror)
    passing = isinstance(found, socket.gaierror) and found.errno == socket.EAI_AGAIN
    return Failure(
        UnreachableError(
            f"the name of {server} cannot be resolved",
            hint="check the network (VPN?) and the kubeconfig's server",
        ),
        sent=False,
        lasting=not passing,
    )


def _refused(server: str, error: http.NewConnectionError) -> UnreachableError:
    said = _said(error)
    if "refused" in said.lower():
        return UnreachableError(f"nothing listens at {server}", hint=_CHECK_SERVER)
    return UnreachableError(f"{server} cannot be reached: {said}", hint=_CHECK_SERVER)


def _silent(server: str, what: str) -> UnreachableError:
    return UnreachableError(f"{server} {what}", hint="check the network (VPN? firewall?)")


def _said(error: BaseException) -> str:
    """The system's own words, without Python's and urllib3's wrapping."""
    found = _in_chain(error, OSError)
    if isinstance(found, OSError) and found.strerror and not isinstance(error, http.SSLError):
        return found.strerror
    text = str(error.args[-1]) if error.args else type(error).__name__
    return text.rpartition("object at 0x")[2].partition(">: ")[2] or text
