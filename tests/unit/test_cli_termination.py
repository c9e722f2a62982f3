"""A signal that ends a command is neither lost nor another error, whenever it comes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
