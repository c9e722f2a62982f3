"""Where the embedded cluster keeps its state, and the names of the files there.

Standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobman.errors import ConfigError, JobmanError, UnreachableError
from jobman.local import layout
from jobman.values.home import home

STATE_VARIABLE = "JOBMAN_LOCAL_STATE"

# What is kept there needs locks, FIFOs and a database's shared memory: a local disk.
UNFIT_FILE_SYSTEMS = frozenset(
    {
        *("proc", "sysfs", "squashfs", "iso9660"),
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "virtiofs"),
        *("lustre", "gpfs", "beegfs", "ceph", "panfs", "pvfs2", "orangefs", "glusterfs", "wekafs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.s3fs", "fuse.rclone"),
    }
)
_LEAST_ROOM = 4 << 20
"""Bytes: a start that fails with less fails for want of it."""
_OCTAL = re.compile(rb"\\([0-7]{3})")
"""How the kernel writes a blank or a backslash in the name of a mount point."""


@dataclass(frozen=True)
class State:
    """The state directory of one cluster: 0700, its files 0600."""

    root: Path

    @property
    def kubeconfig(self) -> Path:
        """How clients reach the running daemon."""
        return self.root / "kubeconfig"

    @property
    def facts(self) -> Path:
        """What the running daemon says of itself (JSON)."""
        return self.root / "daemon.json"

    @property
    def lock(self) -> Path:
        """Locked by the daemon for as long as it lives."""
        return self.root / "daemon.lock"

    @property
    def start_lock(self) -> Path:
        """Locked by whoever starts or stops the daemon."""
        return self.root / "start.lock"

    @property
    def log(self) -> Path:
        """What the daemon has to say."""
        return self.root / "daemon.log"

    @property
    def database(self) -> Path:
        """All objects (SQLite)."""
        return self.root / "state.db"

    @property
    def certificates(self) -> Path:
        """The cluster's CA and the server's certificate."""
        return self.root / "pki"

    @property
    def pods(self) -> Path:
        """One directory per pod uid: runs of containers, volumes."""
        return self.root / "pods"

    @property
    def users(self) -> Path:
        """The kubeconfigs of users other than the owner."""
        return self.root / "users"

    @property
    def claims(self) -> Path:
        """The directories behind persistent volume claims."""
        return self.root / "volumes"

    @property
    def empty(self) -> Path:
        """An empty directory that containers use as a mount point."""
        return self.root / "empty"

    def container_directories(self) -> list[Path]:
        """Every run of every container that has left something on the disk."""
        return list(self.pods.glob(f"*/{layout.RUN_DIRECTORIES}"))

    def guarded(self) -> list[Path]:
        """The directories that must be the owner's own, from the top.

        `root`, and of those above it the ones that stand where anybody may make one.
        """
        shared = _shared_place()
        above = [place for place in self.root.parents if place.is_relative_to(shared)]
        return [*reversed(above), self.root]

    def check(self) -> None:
        """See that nobody else can have put anything there; to be called before it is read.

        What is not there yet is well. Raises ConfigError.
        """
        try:
            for place in self.guarded():
                check_own(place, shared=self.root.is_relative_to(_shared_place()))
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.unfit(error) from error

    def create(self) -> None:
        """Make the directory, for its owner alone. Raises ConfigError when it is another's."""
        self.check()
        try:
            for place in self.guarded():
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.check()
            for place in self.guarded():
                if stat.S_IMODE(place.stat().st_mode) != 0o700:
                    place.chmod(0o700)
        except OSError as error:
            raise self.unfit(error) from error

    def delete(self) -> None:
        """Delete everything, last the lock of those who start and stop, which the caller holds."""
        for path in self.root.iterdir():
            if path.is_dir() and not path.is_symlink():
                remove_tree(path)
            elif path != self.start_lock:
                path.unlink(missing_ok=True)
        self.start_lock.unlink()
        with contextlib.suppress(OSError):  # begun anew by somebody, or a link
            self.root.rmdir()

    def check_room(self) -> None:
        """See that something more can be written. Raises what `unfit` makes of it."""
        import tempfile

        try:
            with tempfile.TemporaryFile(dir=self.root) as file:
                os.posix_fallocate(file.fileno(), 0, _LEAST_ROOM)
        except OSError as error:
            raise self.unfit(error) from error

    def unfit(self, error: OSError) -> JobmanError:
        """What to tell of an error of the disk: that there is no room passes, and the state stays.

        Else another place is needed.
        """
        problem = f"the embedded cluster cannot keep its state in {self.root}: {error.strerror}"
        elsewhere = f"set {STATE_VARIABLE} to a directory of yours on a local disk"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = f"make room there: its jobs and what it keeps stay; or {elsewhere}"
            return UnreachableError(problem, hint=hint)
        return ConfigError(problem, hint=elsewhere)


def check_own(place: Path, *, shared: bool) -> None:
    """See that the directory is the caller's own.

    `shared`: anybody may have made it, so that it may be neither a symbolic link nor writable by
    others. Raises ConfigError, or OSError where it is not to be seen.
    """
    try:
        facts = place.lstat() if shared else place.stat()
    except FileNotFoundError:
        if not place.is_symlink():
            raise
        raise _distrusted(place, "is a link that leads nowhere") from None
    if facts.st_uid != os.geteuid():
        problem = "belongs to another user"
    elif not stat.S_ISDIR(facts.st_mode):
        problem = "is no directory"
    elif shared and facts.st_mode & 0o022:
        problem = "can be written by others"
    else:
        return
    raise _distrusted(place, problem)


def _distrusted(place: Path, problem: str) -> ConfigError:
    return ConfigError(
        f"the embedded cluster cannot trust its state: {place} {problem}",
        hint=f"set {STATE_VARIABLE} to a directory of your own on a local disk",
    )


def state_dir(environ: Mapping[str, str]) -> Path:
    """The state directory: JOBMAN_LOCAL_STATE, or one per machine below the user's state.

    Where that is on a network file system or cannot be written, /var/tmp/jobman-UID has it.
    """
    if given := environ.get(STATE_VARIABLE):
        return Path(given).expanduser().absolute()
    usual = _user_state(environ) / "jobman" / "local" / machine_id()
    if is_local(usual) and _can_be_made(usual):
        return usual
    return _shared_place() / "local" / machine_id()


def _shared_place() -> Path:
    """A name that is the owner's by custom alone: whoever comes first can make it."""
    return Path(f"/var/tmp/jobman-{os.geteuid()}")


def _user_state(environ: Mapping[str, str]) -> Path:
    if given := environ.get("XDG_STATE_HOME"):
        return Path(given).absolute()
    return home(environ).absolute() / ".local" / "state"


def machine_id() -> str:
    """What tells this machine from others that share the home directory."""
    try:
        text = Path("/etc/machine-id").read_text().strip()
    except OSError:
        text = ""
    return text or socket.gethostname()


def _existing(path: Path) -> Path:
    """`path`, or the nearest directory above it that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def _can_be_made(path: Path) -> bool:
    return os.access(_existing(path), os.W_OK | os.X_OK)


def is_local(path: Path, mountinfo: bytes | None = None) -> bool:
    """Whether the file system under `path` is a disk of this machine."""
    if mountinfo is None:
        mountinfo = Path("/proc/self/mountinfo").read_bytes()
    kinds = {}
    for line in filter(None, mountinfo.split(b"\n")):
        before, _, after = line.partition(b" - ")
        point = _OCTAL.sub(lambda match: bytes([int(match[1], 8)]), before.split(b" ")[4])
        kinds[os.fsdecode(point)] = after.split(b" ")[0].decode()
    real = _existing(path).resolve()
    for place in (real, *real.parents):
        if str(place) in kinds:
            return kinds[str(place)] not in UNFIT_FILE_SYSTEMS
    return True


def remove_tree(path: Path) -> None:
    """Delete a directory whatever the rights on the directories in it."""

    def open_and_retry(function: Callable[..., Any], name: str, _: Any) -> None:
        place = Path(name)
        if not os.path.lexists(name):
            return
        place.parent.chmod(0o700)
        if place.is_dir() and not place.is_symlink():
            place.chmod(0o700)
            shutil.rmtree(name)
        else:
            function(name)

    if path.is_dir():
        try:
            shutil.rmtree(path, onerror=open_and_retry)
        except RecursionError:  # it calls itself at each level, and a container may make thousands
            import subprocess

            for words in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
                subprocess.run([*words, "--", path], check=False, capture_output=True)
