"""Mount paths made real for one process, without root: a mount namespace of its own.

Where a mount point is missing, its parent directory is replaced, for this process alone, by a
skeleton: a small tmpfs in which every entry of the parent is bound again, with room for more.
Standard library only, and to be called in a single-threaded process that is about to exec.
"""

from __future__ import annotations

import ctypes
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 32, 4096, 16384, 1 << 19
MNT_DETACH = 2
_FLAG_OF_STATVFS = {
    os.ST_RDONLY: MS_RDONLY,
    os.ST_NOSUID: MS_NOSUID,
    os.ST_NODEV: MS_NODEV,
    os.ST_NOEXEC: MS_NOEXEC,
}

_libc = ctypes.CDLL(None, use_errno=True)


class Mount(NamedTuple):
    """`source` (a file or directory of the host) seen at `target`."""

    source: str
    target: str
    read_only: bool = False


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str = "") -> None:
    words = [word.encode() if word is not None else None for word in (source, target, kind)]
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), data.encode()), target)


def _bind(source: str, target: str) -> None:
    _mount(source, target, None, MS_BIND | MS_REC)


def unshare() -> None:
    """Leave the host's mount namespace; as an ordinary user by way of a user namespace.

    The user and the group keep their own numbers, and exec drops what the namespace gave.
    """
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        try:
            _checked(_libc.unshare(CLONE_NEWNS), "unshare")
        except PermissionError:
            _unshare_user(uid, gid)
    else:
        _unshare_user(uid, gid)
    _mount(None, "/", None, MS_SLAVE | MS_REC)


def _unshare_user(uid: int, gid: int) -> None:
    _checked(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")


def join(pid: int) -> None:
    """Enter the user and mount namespaces of the process `pid`, where they are not ours."""
    for kind, flag in (("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS)):
        theirs = f"/proc/{pid}/ns/{kind}"
        if Path(theirs).readlink() == Path(f"/proc/self/ns/{kind}").readlink():
            continue
        fd = os.open(theirs, os.O_RDONLY | os.O_CLOEXEC)
        _checked(_libc.setns(fd, flag), theirs)
        os.close(fd)


def enter(mounts: Iterable[Mount], new_root: str) -> None:
    """Unshare and make every mount real, parents before children.

    `new_root` is an empty directory, needed as a mount point only. Raises OSError.
    """
    ordered = sorted(mounts, key=lambda mount: mount.target.count("/"))
    unshare()
    rebuilt = any(not os.path.lexists("/" + m.target.split("/")[1]) for m in ordered)
    if rebuilt:
        _rebuild_root(new_root)
    # Opened before anything is mounted over them, yet in this namespace: others cannot be bound.
    sources = {mount: os.open(mount.source, os.O_PATH | os.O_CLOEXEC) for mount in ordered}
    private = ["/"] if rebuilt else []
    skeletons = list(private)
    for mount, fd in sources.items():
        target = os.path.realpath(mount.target)
        source = f"/proc/self/fd/{fd}"
        if not os.path.lexists(target):
            skeletons += _make_room(target, private)
            _make_mount_point(target, is_directory=Path(source).is_dir())
        _bind(source, target)
        if mount.read_only:
            _remount_read_only(target)
        private.append(target)
    for directory in skeletons:
        _remount_read_only(directory)
    for fd in sources.values():
        os.close(fd)


def _make_room(target: str, private: list[str]) -> list[str]:
    """Make sure that something can be created below the deepest directory there is.

    Returns the skeleton made for it, if any. A directory of one's own is used as it is (an
    empty directory stays there as the mount point); root, who may write anywhere, does so in
    places for everyone's files only.
    """
    parent = _parent(target)
    while not os.path.lexists(parent):
        parent = _parent(parent)
    if _covering(parent, private) or _may_litter(parent):
        return []
    _skeleton(parent)
    private.append(parent)
    return [parent]


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def _covering(path: str, mounted: list[str]) -> bool:
    """Whether `path` lies in a place that only this process sees."""
    return any(f"{path}/".startswith(f"{m.rstrip('/')}/") for m in mounted if m != "/" or path == m)


def _may_litter(directory: str) -> bool:
    if os.geteuid() == 0 or not os.access(directory, os.W_OK):
        return bool(Path(directory).stat().st_mode & stat.S_ISVTX)
    return not directory.startswith("/dev")


def _make_mount_point(target: str, *, is_directory: bool) -> None:
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_directory:
        path.mkdir(exist_ok=True)
    else:
        path.touch(exist_ok=True)


def _skeleton(directory: str) -> None:
    """Put a tmpfs over `directory` that shows what was there, and can take new entries."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _mount("skeleton", directory, "tmpfs", MS_NOSUID, "mode=755,size=1m")
        _copy_entries(f"/proc/self/fd/{fd}", directory)
    finally:
        os.close(fd)


def _copy_entries(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in entries:
            here = f"{target}/{entry.name}"
            if entry.is_symlink():
                Path(here).symlink_to(Path(entry.path).readlink())
                continue
            if entry.is_dir(follow_symlinks=False):
                Path(here).mkdir()
            else:
                Path(here).touch()
            _bind(entry.path, here)


def _rebuild_root(new_root: str) -> None:
    _mount("root", new_root, "tmpfs", MS_NOSUID, "mode=755,size=1m")
    _copy_entries("/", new_root)
    cwd = Path.cwd()
    os.chdir(new_root)
    _checked(_libc.pivot_root(b".", b"."), "pivot_root")
    _checked(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")
    if cwd.is_dir():
        os.chdir(cwd)


def _remount_read_only(target: str) -> None:
    """Read-only, keeping the flags that a user namespace may not take away."""
    have = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in _FLAG_OF_STATVFS.items() if have & bit)
    _mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)
