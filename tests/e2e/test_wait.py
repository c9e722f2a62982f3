"""`jobman wait`: exit codes, goals, several jobs."""

from __future__ import annotations

from typing import Any


def test_waiting(jobman: Any) -> None:
    for code in (0, 3):
        jobman.submit("-j", f"w{code}", "--", "sh", "-c", f"sleep 1; exit {code}")
    jobman.submit("-j", "long", "--", "sleep", "300")

    bad = jobman("wait", "w3")
    assert (bad.code, bad.text) == (3, "w3\n")
    assert "Error(exit 3)" in bad.talk
    assert jobman("wait", "w3", "--for", "succeeded").text == ""
    assert jobman("wait", "w0", "--for", "succeeded").ok().text == "w0\n"
    both = jobman("wait", "w?")
    assert (both.code, sorted(both.text.split())) == (1, ["w0", "w3"])
    assert jobman("wait", "long", "--for", "started").ok().text == "long\n"
    assert jobman("wait", "long", "w0", "--any").ok().text == "w0\n"
    late = jobman("wait", "LAST", "--timeout", "1s")
    assert (late.code, "job long has not finished after 1s; it goes on" in late.talk) == (124, True)
    late = jobman("wait", "long", "w0", "--timeout", "1s")
    assert (late.code, late.text) == (124, "w0\n")
    assert "1 of 2 jobs has not finished after 1s; it goes on" in late.talk
    some = jobman("wait", "nope", "w0")
    assert (some.code, some.text) == (1, "w0\n")

    # w0 is over: its name says that the jobs are found, and the delete cannot overtake
    waiting = jobman.start("wait", "long", "w0")
    waiting.wait_for(b"w0\n")
    jobman("delete", "long", "-y").ok()
    assert waiting.finish() == 1
    assert b"deleted" in waiting.err
