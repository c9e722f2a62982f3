"""The Lease that keeps a second runner off a living run.

Its holder names the host, its boot, its process namespace, the process and when that started, so
that a runner on the same host sees at once whether the holder lives. Of another host's holder
only its renewals tell: clocks are not compared.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jobman.errors import (
    ApiNotFoundError,
    ConflictError,
    JobmanError,
)
from jobman.kube.client import Client
from jobman.kube.identity import user_label
from jobman.kube.labels import CANCELLED_AT, CANCELLED_BY, MANAGED_BY, MANAGED_BY_JOBMAN, RUN, USER
from jobman.kube.objects import Lease
from jobman.kube.resources import LEASES
from jobman.values.text import visible

DURATION_S = 15
"""How long a lease holds that is not renewed; it is renewed three times in that."""
PARTING_S = 1.0
"""What is left undone by then runs out by itself: on this host a dead holder is seen to be dead."""


class HeldError(JobmanError):
    """Another runner works on this run."""


class CancelledError(JobmanError):
    """Somebody cancelled this run."""


def lease_name(run: str) -> str:
    """The name of a run's lease."""
    return f"jobman-map-{run}"


@dataclass(frozen=True)
class Holder:
    """A runner; `process` is its id and the tick at which it started."""

    host: str
    process: str

    def __str__(self) -> str:
        return f"{self.host}/{self.process}"

    @classmethod
    def of_text(cls, text: str) -> Holder:
        """The holder that a lease names."""
        host, _, process = text.rpartition("/")
        return cls(host, process)

    @property
    def place(self) -> str:
        """For people: host name and process id."""
        return f"{self.host.partition('/')[0]}, process {self.process.partition('.')[0]}"


def myself() -> Holder:
    """This process."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    namespace = Path("/proc/self/ns/pid").stat().st_ino
    host = f"{socket.gethostname()}/{boot}/{namespace}"
    return Holder(host, f"{os.getpid()}.{_started(os.getpid())}")


def _started(pid: int) -> str:
    """The tick since boot at which a process started; empty where there is none, or a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def is_alive(holder: Holder, me: Holder) -> bool | None:
    """Whether a holder lives; None where that cannot be seen from here."""
    if holder.host != me.host:
        return None
    pid, _, started = holder.process.partition(".")
    return pid.isdecimal() and bool(started) and _started(int(pid)) == started


class RunLease:
    """The lease of one run, which is `user`'s and belongs to `owner`, where there is one.

    `lost` is called, from its thread, when another took it over, or somebody cancelled the run.
    `told` gives the annotations of each renewal, also from that thread.
    """

    def __init__(
        self,
        client: Client,
        run: str,
        *,
        lost: Callable[[JobmanError], None],
        user: str = "",
        told: Callable[[], Mapping[str, str]] = dict,
        owner: dict[str, Any] | None = None,
        duration_s: int = DURATION_S,
    ) -> None:
        self.name = lease_name(run)
        self._client = client
        self._run = run
        self._lost = lost
        self._user = user
        self._told = told
        self._owner = owner
        self._duration_s = duration_s
        self._me = myself()
        self._since = _now()
        self._version = ""
        self._uid = ""
        self._cancelled: dict[str, str] = {}
        self._renewed_at = float("-inf")
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def valid(self) -> bool:
        """Whether nobody else can hold it at this moment."""
        return time.monotonic() - self._renewed_at < self._duration_s

    def confirmed(self) -> bool:
        """The same, asking the server where its time has run out."""
        if self.valid:
            return True
        try:
            found = self._client.get(LEASES, self.name)
        except JobmanError:
            return False
        return found.spec.holder_identity == str(self._me)

    def acquire(self) -> None:
        """Take it and keep it; HeldError where a living runner has it."""
        while True:
            try:
                self._write()
                break
            except ConflictError:
                if self._take_over():
                    break
        self._thread = threading.Thread(target=self._keep, daemon=True, name="lease")
        self._thread.start()

    @contextmanager
    def held(self, *, over: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Give it back at the end; whoever interrupts twice waits no longer than `PARTING_S`.

        Of a run that is not `over` it stays, without a holder, and tells how far that came.
        """
        try:
            yield
        except KeyboardInterrupt:
            release = partial(self._release, keep=not over())
            parting = threading.Thread(target=release, daemon=True, name="parting")
            parting.start()
            parting.join(PARTING_S)
            raise
        except BaseException:
            self._release(keep=not over())
            raise
        self._release(keep=not over())

    def _release(self, *, keep: bool) -> None:
        """Delete it or leave it to nobody; where neither can be done it runs out by itself."""
        self._released.set()
        if self._thread is not None:
            self._thread.join(self._duration_s)
        try:
            if not self._is_still_mine():
                return
            # whoever waits for its end is told how far it has come, also of one that goes
            self._client.replace(LEASES, self.name, self._manifest(self._version, holder=""))
            if not keep:
                self._client.delete(LEASES, self.name, uid=self._uid)
        except JobmanError:
            return

    def _take_over(self) -> bool:
        """Take it from a dead holder; False where it has gone or changed meanwhile."""
        try:
            found = self._client.get(LEASES, self.name)
        except ApiNotFoundError:
            return False
        holder = Holder.of_text(found.spec.holder_identity or "")
        alive = is_alive(holder, self._me)
        if holder.process and (self._renews(found) if alive is None else alive):
            raise HeldError(
                f"another runner works on this run: {holder.place}",
                hint="wait for it, stop it, or name another --log-dir for a run of your own",
            )
        try:
            self._write(found.metadata.resource_version)
        except (ConflictError, ApiNotFoundError):
            return False
        return True

    def _renews(self, found: Lease) -> bool:
        """Whether the lease changes within its duration."""
        with self._client.watch(
            LEASES,
            fields=f"metadata.name={self.name}",
            resource_version=found.metadata.resource_version,
            known=[found],
            deadline_s=self._duration_s,
        ) as changes:
            return any(change.type != "DELETED" for change in changes)

    def _keep(self) -> None:
        while not self._released.wait(self._duration_s / 3):
            try:
                self._write(self._version)
            except ApiNotFoundError:
                self._make_anew()
            except JobmanError as error:
                if reason := self._ended_by(error):
                    self._renewed_at = float("-inf")
                    self._lost(reason)
                    return

    def _ended_by(self, error: JobmanError) -> JobmanError | None:
        """Why this runner has to end after a renewal failed of `error`; None where it need not."""
        if not self._is_still_mine():
            return _taken_away(error)
        return _cancelled(self._cancelled[CANCELLED_BY]) if self._cancelled else None

    def _is_still_mine(self) -> bool:
        """Whether no other has it: the answer to the last renewal may have been lost."""
        try:
            found = self._client.get(LEASES, self.name)
        except JobmanError:
            return True
        if found.spec.holder_identity != str(self._me):
            return False
        self._version = found.metadata.resource_version
        notes = found.metadata.annotations
        if CANCELLED_BY in notes:
            self._cancelled = {
                key: notes[key] for key in (CANCELLED_BY, CANCELLED_AT) if key in notes
            }
        return True

    def _make_anew(self) -> None:
        """Somebody deleted it."""
        try:
            self._write()
        except JobmanError:
            return

    def _write(self, version: str | None = None) -> None:
        """Create it, or renew the one of that version: it holds from before the request on."""
        began = time.monotonic()
        manifest = self._manifest(version)
        if version is None:
            lease = self._client.create(LEASES, manifest)
        else:
            lease = self._client.replace(LEASES, self.name, manifest)
        metadata = lease["metadata"]
        self._version, self._uid = metadata["resourceVersion"], metadata["uid"]
        self._renewed_at = began

    def _manifest(self, version: str | None = None, holder: str | None = None) -> dict[str, Any]:
        labels = {MANAGED_BY: MANAGED_BY_JOBMAN, RUN: self._run}
        if self._user:
            labels[USER] = user_label(self._user)
        whose = {USER: self._user} if self._user else {}
        notes = {**whose, **self._cancelled, **self._told()}
        metadata: dict[str, Any] = {"name": self.name, "labels": labels, "annotations": notes}
        if self._owner is not None:
            metadata["ownerReferences"] = [self._owner]
        if version is not None:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": LEASES.group_version,
            "kind": LEASES.kind,
            "metadata": metadata,
            "spec": {
                "holderIdentity": str(self._me) if holder is None else holder,
                "leaseDurationSeconds": self._duration_s,
                "acquireTime": self._since,
                "renewTime": _now(),
            },
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _cancelled(by: str) -> CancelledError:
    return CancelledError(
        f"this run was cancelled by {visible(by, limit=80)}",
        hint="the logs that are home stay; the same command takes the run up again",
    )


def _taken_away(error: JobmanError) -> HeldError:
    return HeldError(
        f"another runner has taken this run over: {error.message}",
        hint="this one stops; what runs goes on under the other",
    )
