"""What `jobman doctor` says of registries, against the stand-in Harbor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run
from plugins.harbor import TOKEN, Fault, StandIn


def findings(run: Run, directory: Path, *projects: dict[str, Any]) -> list[tuple[str, str]]:
    """State and text of what was found out about Harbor."""
    file = directory / "settings.json"
    file.write_text(json.dumps({"harborProjects": projects}))
    file.chmod(0o600)
    done = run("doctor", "-s", str(file), "-o", "json")
    found = [entry for entry in json.loads(done.out) if entry["about"] == "harbor"]
    assert TOKEN not in done.out
    return [(entry["state"], entry["text"]) for entry in found]


def test_projects_that_can_be_read(run: Run, harbor: StandIn, tmp_path: Path) -> None:
    one = {"name": "batch", "baseUrl": harbor.url, "token": TOKEN}
    assert findings(run, tmp_path, one) == [("ok", f"project batch on {harbor.host}")]
    nowhere = {"name": "away", "baseUrl": "http://127.0.0.1:9"}
    good, bad = findings(run, tmp_path, one, nowhere)
    assert good == ("ok", f"project batch on {harbor.host}")
    assert bad[0] == "missing"
    assert "127.0.0.1:9" in bad[1]


def test_a_project_without_a_credential(run: Run, harbor: StandIn, tmp_path: Path) -> None:
    anybody = {"name": "batch", "baseUrl": harbor.url}
    assert findings(run, tmp_path, anybody) == [("ok", f"project batch on {harbor.host}")]
    harbor.public = False
    ((state, text),) = findings(run, tmp_path, anybody)
    assert state == "missing"
    assert "batch" in text


@pytest.mark.parametrize("status", [401, 500])
def test_a_registry_in_trouble(run: Run, harbor: StandIn, tmp_path: Path, status: int) -> None:
    harbor.faults["/"] = Fault(status, times=99)
    one = {"name": "batch", "baseUrl": harbor.url, "token": TOKEN}
    ((state, text),) = findings(run, tmp_path, one)
    assert state == "missing"
    assert harbor.host in text or "batch" in text
