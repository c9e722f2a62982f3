"""One request to the API server: sent, sent again where that is safe, its refusal raised."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import HTTPError

from jobman.errors import JobmanError, UnreachableError
from jobman.kube.failures import Failure, failure_of
from jobman.kube.retry import Patience, wait_s, worth_repeating
from jobman.kube.status import error_from

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from jobman.kube.connect import Connection

JSON = "application/json"
START_AGAIN = "the embedded cluster of this machine is started by: jobman local start"
_dice = random.Random()


class Effect(Enum):
    """What a request does to the cluster."""

    NONE = "none"
    REPEATABLE = "repeatable"
    ONCE = "once"


class Call(msgspec.Struct, frozen=True):
    """A request as it goes over the wire, and what may be done when it fails.

    `stream`: the body is left to the caller. `packed`: it may stay gzip. `read_s`: seconds
    without a byte that end it, and `budget_s`: seconds for all tries, where they differ from the
    client's patience.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: dict[str, Any] | list[Any] | None = None
    content_type: str = JSON
    accept: str = JSON
    gzip: bool = False
    packed: bool = False
    effect: Effect = Effect.NONE
    stream: bool = False
    read_s: float | None = None
    budget_s: float | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again though the server may have carried it out."""
        return self.effect is not Effect.ONCE


class Answer(msgspec.Struct, frozen=True):
    """A success: `body` is empty for a stream, whose `response` is to be closed by the caller."""

    status: int
    body: bytes
    response: BaseHTTPResponse


class LostWriteError(UnreachableError):
    """A write got no answer: nobody knows whether it was done."""


@dataclass
class Tries:
    """The state of one call over its tries.

    `resent`: a try before the last one may have been carried out. `renewed`: the credentials
    were read again. `credentials`: how often they had been, before the last try.
    """

    started: float = field(default_factory=time.monotonic)
    attempt: int = 0
    resent: bool = False
    renewed: bool = False
    credentials: int = 0


class Transport:
    """Sends calls over one connection; may be used by many threads at once.

    `log` gets a line per request, `warn` each Warning header once, and that the server is away.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        patience: Patience | None = None,
        log: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.connection = connection
        self.patience = patience or Patience()
        self._log = log
        self._warn = warn
        self._sleep = sleep
        self._warned: set[str] = set()
        self._away_since: float | None = None
        self._away_told = False

    def send(self, call: Call, tries: Tries | None = None) -> Answer:
        """The server's answer to `call`; `tries` tells afterwards how it came about.

        Raises the ApiError of a refusal, UnreachableError where no answer came, and
        LostWriteError where that leaves open whether a write was done.
        """
        tries = tries or Tries()
        while True:
            try:
                response = self._once(call, tries)
                body = _body(call, response)
            except (HTTPError, OSError, _api_exception()) as error:
                self._after_failure(call, tries, self._failure(error))
                continue
            self._note(call, response, tries)
            if response.status < 300:
                return Answer(response.status, body, response)
            self._after_refusal(call, tries, response, body)

    def _once(self, call: Call, tries: Tries) -> BaseHTTPResponse:
        """One try: the answer with its body still unread."""
        api = self.connection.api
        headers = {"Accept": call.accept}
        if call.gzip:
            headers["Accept-Encoding"] = "gzip"
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        with self.connection.credentials.checked() as tries.credentials:
            request = api.param_serialize(
                call.method,
                call.path,
                query_params=list(call.query),
                header_params=headers,
                body=call.body,
                auth_settings=["BearerToken"],
            )
        method, url, plain, body, _ = request
        # a header that comes repeatedly has no place in a dict
        every = HTTPHeaderDict([*plain.items(), *self.connection.acting_as])
        timeout = (self.patience.connect_s, call.read_s or self.patience.read_s)
        answer = api.call_api(method, url, every, body, _request_timeout=timeout)
        response: BaseHTTPResponse = answer.response
        return response

    def _failure(self, error: Exception) -> Failure:
        failure = failure_of(error, self.connection.server, proxy=self.connection.proxy)
        if self.connection.embedded and not failure.sent:
            failure.error.hint = START_AGAIN
        return failure

    def _after_failure(self, call: Call, tries: Tries, failure: Failure) -> None:
        """Return when the call is to be sent again; raise otherwise."""
        self._say(call, tries, failure.error.message)
        self._tell_away(failure.error)
        again = call.repeatable or not failure.sent
        tries.resent |= failure.sent
        if again and not failure.lasting and self._wait(call, tries, None):
            if self.connection.embedded and not failure.sent:
                self.connection.credentials.renew(tries.credentials)
            return
        if tries.resent and call.effect is not Effect.NONE:
            raise _lost(call, failure.error)
        raise failure.error

    def _after_refusal(
        self, call: Call, tries: Tries, response: BaseHTTPResponse, body: bytes
    ) -> None:
        """Return when the call is to be sent again; raise the refusal otherwise."""
        if response.status == 401 and not tries.renewed:
            tries.renewed = True
            if self.connection.credentials.renew(tries.credentials):
                return
        asked = response.headers.get("Retry-After")
        tries.resent |= response.status >= 500
        if worth_repeating(
            response.status, repeatable=call.repeatable, retry_after=asked
        ) and self._wait(call, tries, asked):
            return
        raise error_from(
            response.status,
            body,
            content_type=response.headers.get("Content-Type", ""),
            location=response.headers.get("Location"),
        )

    def _wait(self, call: Call, tries: Tries, retry_after: str | None) -> bool:
        """Wait for the next try; False when there is none left."""
        pause = wait_s(tries.attempt, retry_after, _dice.random(), datetime.now(UTC))
        tries.attempt += 1
        spent = time.monotonic() - tries.started
        budget = self.patience.budget_s if call.budget_s is None else call.budget_s
        if tries.attempt >= self.patience.tries or spent + pause > budget:
            return False
        self._sleep(pause)
        return True

    def _tell_away(self, error: JobmanError) -> None:
        """Say once that the server is away for more than a moment."""
        now, quiet_s = time.monotonic(), self.patience.quiet_s
        if self._away_since is None:
            self._away_since = now
        elif self._warn and not self._away_told and now - self._away_since > quiet_s:
            self._away_told = True
            hint = f" ({error.hint})" if error.hint else ""
            self._warn(f"{error.message}; it is tried on{hint}")

    def _note(self, call: Call, response: BaseHTTPResponse, tries: Tries) -> None:
        self._say(call, tries, str(response.status))
        self._away_since, self._away_told = None, False
        if self._warn is None:
            return
        for header in response.headers.getlist("Warning"):
            text = _warning_text(header)
            if text and text not in self._warned:
                self._warned.add(text)
                self._warn(text)

    def _say(self, call: Call, tries: Tries, outcome: str) -> None:
        if self._log is None:
            return
        spent_ms = (time.monotonic() - tries.started) * 1000
        query = "&".join(f"{k}={v}" for k, v in call.query)
        target = f"{call.path}?{query}" if query else call.path
        self._log(f"{call.method} {target} {outcome} {spent_ms:.0f} ms")


def _body(call: Call, response: BaseHTTPResponse) -> bytes:
    """The whole body as the call wants it; the connection goes back to its pool."""
    if call.stream and response.status < 300:
        return b""
    try:
        return response.read(decode_content=not call.packed or response.status >= 300)
    finally:
        response.release_conn()


def _lost(call: Call, error: JobmanError) -> LostWriteError:
    what = {"POST": "created", "DELETE": "deleted"}.get(call.method, "changed")
    name = call.path.rpartition("/")[2]
    return LostWriteError(
        f"{error.message}; whether {name} was {what} is not known",
        hint="look with: jobman list",
    )


def _warning_text(header: str) -> str:
    """The text of a Warning header: `299 - "text"`."""
    _, _, quoted = header.partition('"')
    text, _, _ = quoted.rpartition('"')
    return text.replace('\\"', '"')


def _api_exception() -> type[Exception]:
    """The kubernetes package's wrapping of TLS failures; loaded with the connection."""
    from kubernetes.client.exceptions import ApiException

    found: type[Exception] = ApiException
    return found
