"""`jobman images` and `jobman image-details`, whole commands against the stand-in Harbor."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from plugins.command_line import Run
from plugins.harbor import SECRET, TOKEN, Fault, StandIn, artifact

from jobman.cli.app import application

Settle = Callable[..., None]


def project(standin: StandIn, name: str = "batch", **more: Any) -> dict[str, Any]:
    return {"name": name, "baseUrl": standin.url, "token": TOKEN, **more}


@pytest.fixture
def settle(run: Run, tmp_path: Path) -> Settle:
    """Write the user's settings: `settle(project(harbor), imagePrefix="x/")`."""

    def write(*projects: dict[str, Any], older: dict[str, Any] | None = None, **job: Any) -> None:
        file = tmp_path / "a home" / ".jobman" / "settings.json"
        file.parent.mkdir(exist_ok=True)
        whole = {"harborProjects": list(projects), "harbor": older, "job": job}
        file.write_text(json.dumps({key: value for key, value in whole.items() if value}))
        file.chmod(0o600)

    return write


def test_the_table(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    assert run("images").lines == [
        "NAME                      TAGS                           PUSHED     SIZE  PULLS",
        "ml/pytorch                latest, 2.7-cuda12, 2.6-multi    257d  8.6 MiB      3",
        "ubuntu_python_tensorflow  3.1cuda11                        263d  2.9 MiB      6",
        "empty                     -                                   -        -      9",
    ]


def test_many_tags_are_cut_with_a_count(run: Run, settle: Settle, harbor: StandIn) -> None:
    harbor.add("batch/many", *[artifact(f"v{day}", day=day) for day in range(1, 8)])
    settle(project(harbor))
    assert "v7, v6, v5, v4 (+3)" in run("images", "many").lines[1]
    (row,) = json.loads(run("images", "many", "-o", "json").out)
    assert [tag["name"] for tag in row["tags"]] == ["v7", "v6", "v5", "v4", "v3", "v2", "v1"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("pytorch", ["ml/pytorch"]),
        ("PyTorch", ["ml/pytorch"]),
        ("ml/*", ["ml/pytorch"]),
        ("batch/*", ["ml/pytorch", "ubuntu_python_tensorflow", "empty"]),
        ("*tensor*", ["ubuntu_python_tensorflow"]),
        ("nothing", []),
    ],
)
def test_patterns(
    run: Run, settle: Settle, harbor: StandIn, pattern: str, names: list[str]
) -> None:
    settle(project(harbor))
    done = run("images", pattern, "-o", "json")
    assert [row["name"] for row in json.loads(done.out)] == names
    if not names:
        assert run("images", pattern).talk == f"no image fits '{pattern}'\n"


def test_names_that_submit_takes(
    run: Run, settle: Settle, harbor: StandIn, standin_of: Callable[[], StandIn]
) -> None:
    settle(project(harbor))
    assert run("images", "-o", "name").lines == [
        "ml/pytorch",
        "ubuntu_python_tensorflow:3.1cuda11",
    ]
    settle(project(harbor), project(standin_of(), name="other"))
    assert run("images", "-o", "name").lines == [
        f"{harbor.host}/batch/ml/pytorch",
        f"{harbor.host}/batch/ubuntu_python_tensorflow:3.1cuda11",
    ]
    settle(project(harbor), imagePrefix="ml/")
    assert run("images", "-o", "name").lines[0] == f"{harbor.host}/batch/ml/pytorch"


def test_a_row_for_each_tag(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    lines = run("images", "--tags", "pytorch").lines
    assert lines[0].split() == [
        *("NAME", "TAG", "PUSHED", "SIZE", "ARCHITECTURE", "SCAN", "DIGEST"),
    ]
    assert "3 High, 9 Low (7 fixable)" in lines[1]
    assert "linux/amd64, linux/arm64/v8" in lines[3]
    done = run("images", "--tags", "-o", "name")
    assert done.lines[0] == "ml/pytorch:latest"
    (first, *_) = csv.DictReader(io.StringIO(run("images", "--tags", "-o", "csv").out))
    assert (first["tag"], first["labels"]) == ("latest", "gpu")
    assert len(first["digest"]) == len("sha256:") + 64


def test_the_other_machine_forms(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    rows = json.loads(run("images", "-o", "json").out)
    assert list(rows[0]) == [
        *("project", "name", "reference", "description", "tags"),
        *("pushedAt", "sizeBytes", "pulls", "complete"),
    ]
    assert yaml.safe_load(run("images", "-o", "yaml").out) == rows
    (first, *_) = csv.DictReader(io.StringIO(run("images", "-o", "csv").out))
    assert first["tags"] == "latest 2.7-cuda12 2.6-multi"


def test_limit(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    done = run("images", "--limit", "1")
    assert len(done.lines) == 2
    assert done.talk == "and 2 more (--limit 0 shows all)\n"


def test_what_was_kept_serves_until_refreshed(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    run("images")
    asked = len(harbor.requests)
    run("images")
    assert len(harbor.requests) == asked
    run("images", "--refresh")
    assert len(harbor.requests) == 2 * asked


def test_one_project_fails_the_others_are_shown(
    run: Run, settle: Settle, harbor: StandIn, standin_of: Callable[[], StandIn]
) -> None:
    closed = standin_of()
    closed.faults["/"] = Fault(500)
    settle(project(closed, name="closed"), project(harbor))
    done = run("images")
    assert done.code == 1
    assert done.lines[1].split()[:2] == ["batch", "ml/pytorch"]
    assert done.talk.startswith(f"error: Harbor project 'closed' ({closed.url}")
    assert run("images", "--project", "batch").code == 0


@pytest.mark.parametrize("count", [1, 2])
def test_none_answers(
    run: Run, settle: Settle, standin_of: Callable[[], StandIn], count: int
) -> None:
    closed = standin_of()
    closed.faults["/"] = Fault(500)
    settle(*(project(closed, name=f"p{number}") for number in range(count)))
    done = run("images")
    assert (done.code, done.out) == (5, "")
    assert "Harbor project 'p0'" in done.talk
    assert SECRET not in done.talk
    assert TOKEN not in done.talk


def test_not_allowed(run: Run, settle: Settle, harbor: StandIn) -> None:
    harbor.public = False
    settle(project(harbor, token=None))
    done = run("images")
    assert done.code == 4
    assert "not allowed anonymously (401: unauthorized" in done.talk


def test_an_image_without_its_tags(run: Run, settle: Settle, harbor: StandIn) -> None:
    harbor.today = False
    harbor.faults["pytorch/artifacts"] = Fault(500)
    settle(project(harbor))
    done = run("images")
    assert (done.code, done.lines[1].split()[:2]) == (1, ["ml/pytorch", "?"])
    assert "HTTP 500" in done.talk


def test_the_earlier_single_project(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(older={"url": harbor.url, "project": "batch"})
    assert run("images", "-o", "name").lines[0] == "ml/pytorch"


def test_no_project(run: Run) -> None:
    done = run("images")
    assert done.code == 2
    assert done.talk.startswith("error: no Harbor project is configured\n")


def test_details_piped(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    text = run("image-details", "-i", "ml/pytorch").out
    assert text.startswith("# PyTorch\n\nCUDA 12, mount <data> under `/data`.\n")
    assert f"Pull:    {harbor.host}/batch/ml/pytorch:latest\n" in text
    assert "linux/amd64, linux/arm64/v8" in text
    assert "3 High, 9 Low (7 fixable)" in text
    assert f"jobman submit -i {harbor.host}/batch/ml/pytorch:latest -- COMMAND" in text


def test_details_on_a_terminal(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    text = run("image-details", "ml/pytorch", terminal=True, env={"NO_COLOR": "1"}).out
    assert "# PyTorch" not in text
    assert "mount <data> under /data" in text
    harbor.add("batch/sly", artifact("1"), description="\x1b[2J\x9b31m\u202e")
    assert "\x1b[2J" not in run("image-details", "sly", terminal=True, env={"NO_COLOR": "1"}).out


@pytest.mark.parametrize("asked", ["ml/pytorch:2.6-multi", "batch/ml/pytorch:2.6-multi"])
def test_details_of_one_tag(run: Run, settle: Settle, harbor: StandIn, asked: str) -> None:
    settle(project(harbor))
    whole = json.loads(run("image-details", asked, "-o", "json").out)
    assert [tag["name"] for tag in whole["tags"]] == ["2.6-multi"]
    by_host = f"{harbor.host}/batch/ml/pytorch:2.6-multi"
    assert json.loads(run("image-details", by_host, "-o", "json").out) == whole


def test_details_of_one_digest(run: Run, settle: Settle, harbor: StandIn) -> None:
    settle(project(harbor))
    whole = json.loads(run("image-details", "ml/pytorch", "-o", "json").out)
    digest = whole["tags"][-1]["digest"]
    same = [tag["name"] for tag in whole["tags"] if tag["digest"] == digest]
    assert 0 < len(same) < len(whole["tags"])
    for asked in (f"ml/pytorch@{digest}", f"ml/pytorch:{same[0]}@{digest}"):
        found = json.loads(run("image-details", asked, "-o", "json").out)
        assert [tag["digest"] for tag in found["tags"]] == [digest] * len(found["tags"])
        assert found["tags"][0]["name"] == same[0]


NOWHERE = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([f"ml/pytorch@{NOWHERE}"], 3, f"ml/pytorch has the digest {NOWHERE}"),
        ([f"ml/pytorch:latest@{NOWHERE}"], 3, f"does not have the digest {NOWHERE}"),
        (["ml/pytorch@sha256:"], 2, "'sha256:' is no digest"),
        (["ml/pytroch"], 3, "hint: did you mean ml/pytorch?"),
        (["ml/pytorch:latst"], 3, "has no tag 'latst'; it has latest, 2.7-cuda12, 2.6-multi"),
        (["elsewhere.example/x"], 2, "is in none of the configured Harbor projects"),
        ([], 2, "give one image"),
        (["a", "-i", "b"], 2, "give one image"),
        (["UPPER"], 2, "names are in lower case"),
        (["x", "--project", "batsh"], 2, "did you mean batch?"),
    ],
)
def test_details_refused(
    run: Run, settle: Settle, harbor: StandIn, words: list[str], code: int, said: str
) -> None:
    settle(project(harbor))
    done = run("image-details", *words)
    assert (done.code, done.out) == (code, "")
    assert said in done.talk


def test_details_with_a_project_that_fails(
    run: Run, settle: Settle, harbor: StandIn, standin_of: Callable[[], StandIn]
) -> None:
    gone = standin_of()
    gone.faults["/"] = Fault(500)
    settle(project(gone, name="gone"), project(harbor))
    done = run("image-details", "ml/pytorch")
    assert done.code == 0
    assert done.talk.startswith("warning: Harbor project 'gone'")
    assert run("image-details", "nowhere").code == 5


def test_completion_offers_what_is_kept_and_asks_nobody(
    run: Run,
    settle: Settle,
    harbor: StandIn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settle(project(harbor))
    run("images")
    asked = len(harbor.requests)
    monkeypatch.setenv("HOME", str(tmp_path / "a home"))
    monkeypatch.setenv("_JOBMAN_COMPLETE", "complete_bash")

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["jobman", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            typer.main.get_command(application()).main([], prog_name="jobman")
        return capsys.readouterr().out.split()

    assert complete("submit", "-i", "ml") == ["ml/pytorch"]
    assert complete("image-details", "ml/pytorch:2") == [
        "ml/pytorch:2.7-cuda12",
        "ml/pytorch:2.6-multi",
    ]
    assert len(harbor.requests) == asked
