"""GETs to a Harbor: verified TLS, credentials, retries, and answers turned into values or errors.

Source: Harbor's API v2.0. No error or repr carries a credential.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from jobman.config.settings import HarborProject
from jobman.errors import (
    ConfigError,
    ForbiddenError,
    JobmanError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from jobman.images.address import base_url, is_loopback
from jobman.images.credentials import Credential

TIMEOUT_S = (5, 60)
CONCURRENCY = 6
LONGEST_PAUSE_S = 30


@dataclass(frozen=True)
class Answer:
    """A 200: the decoded JSON, and X-Total-Count where the server told it."""

    value: Any
    total: int | None


class _Retry(Retry):
    """Honours Retry-After, but never sleeps for longer than LONGEST_PAUSE_S."""

    def get_retry_after(self, response: Any) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_PAUSE_S)


class _Basic(requests.auth.AuthBase):
    """HTTP Basic, or nothing at all: set always, so that requests never reads ~/.netrc."""

    def __init__(self, credential: Credential | None) -> None:
        self._credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._credential:
            pair = f"{self._credential.user}:{self._credential.secret}".encode()
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return request


class Transport:
    """One Harbor project's server. Safe to use from several threads."""

    def __init__(self, project: HarborProject, credential: Credential | None) -> None:
        self.base_url = base_url(project)
        self.host = urlsplit(self.base_url).netloc
        self.project = project.name
        self.credential = credential
        self._verify: bool | str = _verify(project)
        if self._verify is False:
            # jobman says so itself, once for each use (address.security_warnings)
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._session = requests.Session()
        self._session.auth = _Basic(credential)
        self._session.trust_env = not is_loopback(self.host)
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        retry = _Retry(
            total=3,
            redirect=0,
            other=0,  # certificates do not get better
            backoff_factor=0.3,
            status_forcelist=(429, 502, 503, 504),
            allowed_methods={"GET"},
            raise_on_status=False,
        )
        adapter = HTTPAdapter(pool_maxsize=CONCURRENCY, pool_block=True, max_retries=retry)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """The answer to GET `path`, below the API's root.

        Raises NotFoundError (404), UnauthorizedError (401), ForbiddenError (403) and
        UnreachableError (no answer, 429 and 5xx after the retries, an answer that is not JSON).
        """
        url = f"{self.base_url}/api/v2.0{path}"
        headers = {"Accept": "application/json", "X-Is-Resource-Name": "true"}
        try:
            response = self._session.get(
                url,
                params=params,
                headers=headers,
                timeout=TIMEOUT_S,
                verify=self._verify,
                allow_redirects=False,
            )
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise self._no_answer(url, error) from None
        if response.status_code != requests.codes.ok:
            raise self._refusal(url, response)
        return self._decoded(url, response)

    def _decoded(self, url: str, response: requests.Response) -> Answer:
        try:
            value = response.json()
        except (ValueError, RecursionError):  # also thousands of digits, or of brackets
            kind = response.headers.get("Content-Type", "no type")
            raise UnreachableError(
                f"{self._what(url)}: the answer is not JSON ({kind})",
                hint="a login page or a proxy may stand before it; check baseUrl in harborProjects",
            ) from None
        total = response.headers.get("X-Total-Count", "")
        return Answer(value, int(total) if total.isascii() and total.isdigit() else None)

    def _what(self, url: str) -> str:
        return f"Harbor project '{self.project}' ({url})"

    def _no_answer(self, url: str, error: Exception) -> JobmanError:
        what = self._what(url)
        if "WRONG_VERSION_NUMBER" in str(error):
            return UnreachableError(
                f"{what}: what answers does not speak TLS",
                hint="if that is how it is meant, baseUrl begins with http://",
            )
        if isinstance(error, requests.exceptions.SSLError):
            trusted = f"caFile {self._verify}" if isinstance(self._verify, str) else "no caFile"
            return UnreachableError(
                f"{what}: TLS verification failed ({trusted}): {_reason(error)}",
                hint="name the registry's CA as caFile in harborProjects",
            )
        if isinstance(error, requests.Timeout):
            return UnreachableError(f"{what}: no answer in time")
        return UnreachableError(f"{what}: {_reason(error)}")

    def _refusal(self, url: str, response: requests.Response) -> JobmanError:
        code, what = response.status_code, self._what(url)
        said = _said(response)
        if code in (401, 403):
            who = f"as {self.credential.user}" if self.credential else "anonymously"
            kind = UnauthorizedError if code == requests.codes.unauthorized else ForbiddenError
            return kind(
                f"{what}: not allowed {who} ({code}{said}), or there is no such project",
                code=code,
                hint="set a token in harborProjects (a robot account's), or `docker login` there",
            )
        if code == requests.codes.not_found:
            return NotFoundError(f"{what}: not found{said}")
        if response.is_redirect or 300 <= code < 400:
            target = urlsplit(response.headers.get("Location", ""))
            to = f"{target.netloc}{target.path}" or "nowhere"
            return UnreachableError(
                f"{what}: redirected to {to}, perhaps a login page",
                hint="check baseUrl in harborProjects",
            )
        if code == requests.codes.bad_request and not said:
            return UnreachableError(
                f"{what}: 400 with no word from Harbor",
                hint="a reverse proxy may refuse encoded slashes in paths",
            )
        return UnreachableError(f"{what}: HTTP {code}{said}")


def _verify(project: HarborProject) -> bool | str:
    if project.insecure:
        return False
    if project.ca_file is None:
        return True
    path = Path(project.ca_file).expanduser()
    if not path.is_file():
        raise ConfigError(f"harborProjects '{project.name}': no caFile {path}")
    return str(path)


def _reason(error: BaseException) -> str:
    """The innermost cause's words: urllib3 wraps them several times."""
    while inner := getattr(error, "reason", None) or next(
        (a for a in error.args if isinstance(a, BaseException)), None
    ):
        if not isinstance(inner, BaseException):
            break
        error = inner
    return str(error).rpartition(": ")[2] or type(error).__name__


def _said(response: requests.Response) -> str:
    """Harbor's own message, with its request id."""
    try:
        message = response.json()["errors"][0]["message"]
    except (ValueError, RecursionError, LookupError, TypeError):
        return ""
    request_id = response.headers.get("X-Request-Id")
    return f": {message}" + (f" (request {request_id})" if request_id else "")
