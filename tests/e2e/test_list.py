"""`jobman list`: arrays, tasks, order, and watching."""

from __future__ import annotations

import json
from typing import Any


def test_an_array_is_one_row_that_opens(jobman: Any) -> None:
    watching = jobman.start("list", "--watch", "--interval", "0.2s")
    script = "sleep 1; test $JOB_COMPLETION_INDEX != 1"
    jobman.submit("-j", "arr", "--array", "3", "--hold", "--", "sh", "-c", script)
    watching.wait_for(b"arr ")
    jobman("release", "arr").ok()
    assert jobman("wait", "arr").code == 1
    jobman.submit("-j", "one", "--wait", "--", "true")
    (row,) = json.loads(jobman("list", "arr", "-o", "json").ok().out)
    counts = {key: row[key] for key in ("completions", "succeeded", "failed", "running")}
    assert counts == {"completions": 3, "succeeded": 2, "failed": 1, "running": 0}
    assert "2/3 done, 1 failed" in jobman("list", "arr").ok().text
    tasks = json.loads(jobman("list", "arr", "--tasks", "-o", "json").ok().out)
    assert [(t["index"], t["state"], t["exitCode"]) for t in tasks] == [
        (0, "Succeeded", 0),
        (1, "Failed", 1),
        (2, "Succeeded", 0),
    ]
    assert jobman("list", "--tasks").ok().text.splitlines()[0].split()[:2] == ["JOB", "INDEX"]

    assert jobman("list", "--sort", "name", "-o", "name").ok().text == "arr\none\n"
    assert jobman("list", "--sort", "-name", "-o", "name").ok().text == "one\narr\n"
    assert jobman("list", "--since", "1h", "-o", "name").ok().text == "one\narr\n"
    assert jobman("list", "arr", "--since", "1s", "-o", "name").ok().text == ""
    assert jobman("list", "--sort", "nam").code == 2
    for tasks in ([], ["--tasks"]):
        some = jobman("list", "one", "nope", *tasks, "-o", "json")
        assert (some.code, len(json.loads(some.out))) == (3, 1)
        assert "is called nope" in some.talk

    newest = jobman.start("list", "--watch", "--limit", "1", "-o", "name")
    newest.wait_for(b"one\n")
    newest.interrupt()
    assert newest.finish() == 0
    assert bytes(newest.out) == b"one\n"

    watching.wait_for(b"1 failed")
    watching.wait_for(b"one ")
    watching.interrupt()
    assert watching.finish() == 0
    lines = bytes(watching.out).decode().splitlines()
    assert lines[0].split()[:2] == ["NAME", "STATE"]
    assert any("running" in line for line in lines)
    assert b"Traceback" not in watching.err
