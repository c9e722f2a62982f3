"""A signal that ends a command is neither lost nor another error, whenever it comes."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobman.cli.termination import wait_for_input

SENT = "signal.raise_signal(int(sys.argv[1]))"
PLAIN = f"import signal, sys\n{SENT}\nwhole = True\n"
# An exception in `__set_name__` becomes another one in Python 3.11, one in `__del__` is lost.
IN_A_CLASS = f"""
import signal, sys
class Part:
    def __set_name__(self, *_):
        {SENT}
class Whole:
    part = Part()
whole = True
"""
AT_AN_END = f"""
import signal, sys
class Part:
    def __del__(self):
        {SENT}
Part()
whole = True
"""
COMMAND = """
import sys, time
from jobman.cli.termination import terminable
with terminable():
    try:
        import imported
        time.sleep(60)
    except KeyboardInterrupt:
        print(imported.whole)
        sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
@pytest.mark.parametrize("module", [PLAIN, IN_A_CLASS, AT_AN_END])
def test_a_module_is_imported_whole_before_a_signal_ends_the_command(
    tmp_path: Path, module: str, number: int, code: int
) -> None:
    (tmp_path / "imported.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(number)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "True\n", "")


@pytest.mark.parametrize("raises", [True, False], ids=["Ctrl-C", "a signal that ends nothing"])
def test_waiting_for_an_answer(raises: bool) -> None:
    reader, writer = os.pipe()

    def arrives(*_: object) -> None:
        if raises:
            raise KeyboardInterrupt
        os.write(writer, b"yes\n")

    before = signal.signal(signal.SIGUSR1, arrives)
    try:
        with os.fdopen(reader) as stream, os.fdopen(writer, "wb", 0):
            sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            sender.start()
            with pytest.raises(KeyboardInterrupt) if raises else contextlib.nullcontext():
                wait_for_input(stream)
                assert stream.readline() == "yes\n"
            sender.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_what_is_no_file_is_not_waited_for() -> None:
    wait_for_input(io.StringIO(""))
