"""`jobman exec`: exit codes, bytes, terminals."""

from __future__ import annotations

import os
import pty
import select
import struct
import sys
import termios
import time
from fcntl import ioctl
from typing import Any

import pytest


@pytest.fixture
def job(jobman: Any) -> str:
    jobman.submit("-j", "shell", "--", "sleep", "300")
    jobman("wait", "shell", "--for", "started").ok()
    return "shell"


def test_commands(jobman: Any, job: str) -> None:
    done = jobman("exec", job, "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.code, done.text) == (7, "out\n")
    assert "err" in done.talk
    data = os.urandom(2_000_000)
    assert jobman("exec", job, "-i", "--", "cat", stdin=data).ok().out == data
    assert jobman("exec", "-i", job, "wc", "-c", stdin=data).ok().text.strip() == "2000000"
    assert jobman("exec", job, "--", "cat", stdin=b"not passed on").ok().out == b""
    assert jobman("exec", job, "echo", "a", "--", "-x").ok().text == "a -- -x\n"
    missing = jobman("exec", job, "--", "no-such-command")
    assert missing.code not in (0, None)
    assert "no-such-command" in missing.talk


def test_refusals(jobman: Any, job: str) -> None:
    other = {"JOBMAN_USER": "somebody"}
    assert jobman("exec", job, "--", "true", env=other).code == 4
    assert jobman("exec", "--force", job, "--", "true", env=other).code == 0
    assert jobman("exec", job).code == 2
    assert jobman("exec", job, "--index", "3", "--", "true").code == 2
    assert jobman("exec", job, "-c", "nope", "--", "true").code == 2
    assert jobman("exec", "nope", "--", "true").code == 3
    jobman.submit("-j", "over", "--wait", "--", "true")
    assert jobman("exec", "over", "--", "true").code == 3


def test_a_terminal(jobman: Any, job: str) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(jobman.cwd)
        words = [sys.executable, "-m", "jobman", "exec", job, "-it", "--", "sh"]
        os.execve(sys.executable, words, jobman.env)
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        end = time.monotonic() + 60
        while text not in seen:
            ready, _, _ = select.select([terminal], [], [], max(end - time.monotonic(), 0))
            assert ready, seen
            seen += os.read(terminal, 4096)

    os.write(terminal, b"until test \"$(stty size)\" = '33 77'; do sleep 0.1; done; echo si''zed\n")
    until(b"sized")
    ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 44, 88, 0, 0))
    os.write(
        terminal, b"until test \"$(stty size)\" = '44 88'; do sleep 0.1; done; echo re''sized\n"
    )
    until(b"resized")
    os.write(terminal, b"exit 6\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 6
