"""`jobman settings`, as whole commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from plugins.command_line import Run


@pytest.fixture
def mine(run: Run) -> Path:
    """The user's settings file, in the home that `run` gives the command."""
    path = Path.cwd() / ".jobman" / "settings.json"
    path.parent.mkdir()
    return path


def write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value))
    path.chmod(0o600)


PROJECT = {"name": "p", "baseUrl": "https://u:pw@harbor.example.org", "token": "c2VjcmV0"}


def test_show_tells_value_and_layer(run: Run, mine: Path) -> None:
    flavor = {"name": "big", "resources": {"requests": {"cpu": 8}, "limits": {"cpu": 16}}}
    write(mine, {"namespace": "team", "job": {"resources": {"predefined": [flavor]}}})
    done = run("settings", "show", env={"JOBMAN_FLAVOR": "big"})
    rows = {line.split()[0]: line for line in done.lines}
    assert done.code == 0
    assert rows["SETTING"].split() == ["SETTING", "VALUE", "FROM"]
    assert rows["namespace"].split() == ["namespace", "team", "home"]
    assert rows["user"].split() == ["user", "-", "default"]
    assert rows["local.enabled"].split() == ["local.enabled", "true", "default"]
    assert rows["job.securityContext"].split()[1:] == ["-", "template"]
    assert rows["job.resources.default"].split()[1:] == ["big", "JOBMAN_FLAVOR"]
    assert rows["job.resources.predefined[big]"].split()[1:] == ["cpu", "8/16", "home"]
    assert rows["job.resources.predefined[small]"].split()[-1] == "template"


def test_show_as_json_and_yaml(run: Run, mine: Path) -> None:
    write(mine, {"kubeConfig": {"context": "prod"}})
    done = run("settings", "show", "-o", "json")
    found = json.loads(done.out)
    assert list(found) == ["settings", "origin"]
    assert found["settings"]["kubeConfig"] == {"type": "default", "file": None, "context": "prod"}
    assert found["settings"]["job"]["resources"]["predefined"][0] == {
        "name": "tiny",
        "description": "a quick look around; runs on any laptop",
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
    }
    assert found["origin"]["kubeConfig.context"] == "home"
    assert "    context: prod\n" in run("settings", "show", "-o", "yaml").out


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_credentials_are_masked(run: Run, mine: Path, form: str) -> None:
    write(mine, {"harborProjects": [PROJECT]})
    done = run("settings", "show", "-o", form)
    assert done.code == 0
    assert "c2VjcmV0" not in done.out + done.talk
    assert "pw" not in done.out
    assert "***@harbor.example.org" in done.out
    assert "***" in done.out.replace("***@", "")


def test_warnings_are_said_once(run: Run, mine: Path) -> None:
    write(mine, {"namespac": "x"})
    done = run("settings", "show")
    assert done.talk == (f"warning: {mine}: namespac: unknown key; did you mean 'namespace'?\n")


def test_path(run: Run, mine: Path, tmp_path: Path) -> None:
    mine.write_text("{")
    given = tmp_path / "given.json"
    done = run("settings", "path", "-s", str(given), "-o", "json", env={"JOBMAN_USER": "me"})
    rows = [(row["layer"], row["state"]) for row in json.loads(done.out)]
    assert rows == [
        ("template", "read"),
        ("site", "not there"),
        ("home", "wrong"),
        ("-s", "missing"),
        ("JOBMAN_USER", "sets user"),
    ]
    table = run("settings", "path").lines
    assert table[0].split() == ["LAYER", "FILE", "STATE"]
    assert table[3].split()[0] == "home"
    assert run("settings", "path", "-o", "name").lines[-1] == str(mine)


def test_validate_says_what_is_right(run: Run, mine: Path) -> None:
    write(mine, {"namespace": "team"})
    done = run("settings", "validate")
    assert (done.code, done.talk) == (0, "")
    assert done.lines[-1] == f"{mine}: ok"


def test_validate_says_all_that_is_wrong(run: Run, mine: Path, tmp_path: Path) -> None:
    mine.write_text('{"local": {"enabled": 7}}')
    given = tmp_path / "given.json"
    given.write_text('{"job": {"defaultImage": 7}}')
    done = run("settings", "validate", str(given))
    assert (done.code, done.out) == (2, "")
    assert done.talk.splitlines() == [
        "error: the settings are wrong",
        (f"  {mine}: local.enabled: found 7: input should be a valid boolean"),
        f"  {given}: job.defaultImage: found 7: input should be a valid string",
        "hint: jobman settings path shows the files, jobman settings schema what is allowed",
    ]


def test_validate_knows_the_flavors(run: Run, mine: Path) -> None:
    write(mine, {"job": {"resources": {"default": "smal"}}})
    done = run("settings", "validate")
    assert done.code == 2
    problem = "job.resources.default: no flavor is called 'smal'; did you mean 'small'?"
    assert done.talk.splitlines()[1] == f"  {mine}: {problem}"
    done = run("settings", "validate", env={"JOBMAN_FLAVOR": "smal"})
    assert done.talk.splitlines()[1] == f"  JOBMAN_FLAVOR: {problem}"


@pytest.mark.parametrize(
    "settings",
    [
        {"harborProjects": [{"name": "p", "baseUrl": "nope"}]},
        {"harbor": {"url": "nope", "project": "p"}},
    ],
)
def test_validate_knows_addresses(run: Run, mine: Path, settings: dict[str, Any]) -> None:
    write(mine, settings)
    assert run("settings", "show").code == 0
    done = run("settings", "validate")
    assert (done.code, done.out) == (2, "")
    problem = "harborProjects 'p': baseUrl must be http(s)://HOST"
    assert done.talk.splitlines()[1] == f"  {mine}: {problem}"


def test_schema(run: Run) -> None:
    schema = json.loads(run("settings", "schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "kubeConfig" in schema["properties"]


def test_init_writes_a_start_that_is_right(run: Run) -> None:
    done = run("settings", "init")
    path = Path(done.out.strip())
    assert path == Path.cwd() / ".jobman" / "settings.json"
    assert path.stat().st_mode & 0o777 == 0o600
    start = json.loads(path.read_text())
    schema = Path(start["$schema"].removeprefix("file://"))
    jsonschema.validate(start, json.loads(schema.read_text()))
    assert run("settings", "validate").talk == ""
    assert "my-flavor" in run("flavors", "-o", "name").lines


def test_init_never_overwrites(run: Run, mine: Path) -> None:
    write(mine, {"namespace": "team"})
    done = run("settings", "init")
    assert done.code == 2
    assert done.talk.splitlines()[0] == f"error: {mine} is there already"
    assert json.loads(mine.read_text()) == {"namespace": "team"}


def test_a_file_that_is_wrong_stops_other_commands(run: Run, mine: Path) -> None:
    mine.write_text("{")
    done = run("list")
    assert (done.code, done.out) == (2, "")
    assert f"  {mine}: line 1, column 2: is not JSON" in done.talk


def test_hostile_text_is_made_visible(run: Run, mine: Path) -> None:
    write(mine, {"user": "\x1b[31m[/]", "job": {"imagePrefix": "a\nb"}})
    for terminal in (False, True):
        shown = run("settings", "show", terminal=terminal, env={"NO_COLOR": "1"}).out
        assert "\\x1b[31m[/]" in shown
        assert "a\\nb" in shown
