"""The image of `jobman submit`, with short names looked for on the stand-in Harbor."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.command_line import Done, Run
from plugins.harbor import Fault, StandIn

Submit = Callable[..., Done]


@pytest.fixture
def submit(run: Run, tmp_path: Path, harbor: StandIn) -> Submit:
    """`submit --dry-run` with the stand-in's project, whose Secret is `batch-pull`."""
    file = tmp_path / "a home" / ".jobman" / "settings.json"
    file.parent.mkdir()

    def submit_it(*args: str, job: dict[str, Any] | None = None, **more: Any) -> Done:
        project = {"name": "batch", "baseUrl": harbor.url, "pullSecret": "batch-pull", **more}
        file.write_text(json.dumps({"harborProjects": [project], "job": job or {}}))
        return run("submit", *args, "--dry-run", "--", "true")

    return submit_it


def image_and_secrets(done: Done) -> tuple[str, list[str]]:
    assert done.code == 0, done.talk
    pod = yaml.safe_load(done.out)["spec"]["template"]["spec"]
    secrets = [secret["name"] for secret in pod.get("imagePullSecrets", [])]
    return pod["containers"][0]["image"], secrets


@pytest.mark.parametrize(
    ("given", "job", "means", "secrets"),
    [
        ("ml/pytorch", {}, "{host}/batch/ml/pytorch:latest", ["batch-pull"]),
        (
            "ubuntu_python_tensorflow:3.1cuda11",
            {"imagePullSecrets": ["site"]},
            "{host}/batch/ubuntu_python_tensorflow:3.1cuda11",
            ["site", "batch-pull"],
        ),
        ("pytorch", {"imagePrefix": "ml/"}, "{host}/batch/ml/pytorch:latest", ["batch-pull"]),
        ("alpine", {}, "alpine", []),
        ("alpine", {"imagePrefix": "x.io/p/"}, "x.io/p/alpine", []),
        ("x.io/batch/y:1", {}, "x.io/batch/y:1", []),
        ("{host}/batch/any:1", {}, "{host}/batch/any:1", ["batch-pull"]),
    ],
)
def test_means(
    submit: Submit,
    harbor: StandIn,
    given: str,
    job: dict[str, Any],
    means: str,
    secrets: list[str],
) -> None:
    done = submit("-i", given.format(host=harbor.host), job=job)
    assert image_and_secrets(done) == (means.format(host=harbor.host), secrets)


def test_the_image_found_is_said(submit: Submit, harbor: StandIn) -> None:
    assert submit("-i", "ml/pytorch").talk == f"image: {harbor.host}/batch/ml/pytorch:latest\n"


def test_the_default_image_is_looked_for_too(submit: Submit, harbor: StandIn) -> None:
    done = submit(job={"defaultImage": "ml/pytorch"})
    assert image_and_secrets(done)[0] == f"{harbor.host}/batch/ml/pytorch:latest"


def test_a_misspelt_name(submit: Submit) -> None:
    done = submit("-i", "ml/pytroch")
    assert image_and_secrets(done) == ("ml/pytroch", [])
    assert "nearest: ml/pytorch" in done.talk


def test_a_tag_that_is_not_there(submit: Submit, harbor: StandIn) -> None:
    done = submit("-i", "ml/pytorch:nope")
    assert (done.code, done.out) == (3, "")
    assert "has no tag 'nope'; it has latest, 2.7-cuda12, 2.6-multi" in done.talk
    done = submit("-i", "empty")
    assert (done.code, done.out) == (3, "")
    assert "has no tag 'latest'; it has none" in done.talk
    unchecked = submit("-i", "ml/pytorch:nope", "--no-image-check")
    assert image_and_secrets(unchecked)[0] == f"{harbor.host}/batch/ml/pytorch:nope"


def test_harbor_is_gone(submit: Submit, harbor: StandIn) -> None:
    found = image_and_secrets(submit("-i", "ml/pytorch"))
    harbor.faults["/"] = Fault(500)
    assert image_and_secrets(submit("-i", "ml/pytorch")) == found
    done = submit("-i", "ubuntu_python_tensorflow:3.1cuda11")
    assert (done.code, done.out) == (5, "")
    assert "--no-image-check" in done.talk
    unchecked = submit("-i", "alpine", "--no-image-check")
    assert image_and_secrets(unchecked) == ("alpine", [])


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("pytorch:2.6-multi", 0, "image: {host}/batch/ml/pytorch:2.6-multi"),
        ("pytorch:nope", 3, "has no tag 'nope'"),
        ("pytroch", 0, "nearest: ml/pytorch"),
        ("{host}/batch/ml/pytorch:nope", 0, ""),
    ],
)
def test_a_prefix_that_leads_to_a_project(
    submit: Submit, harbor: StandIn, given: str, code: int, said: str
) -> None:
    job = {"imagePrefix": f"{harbor.host}/batch/ml/"}
    done = submit("-i", given.format(host=harbor.host), job=job)
    assert done.code == code
    assert said.format(host=harbor.host) in done.talk
    assert bool(harbor.requests) == bool(said)
    harbor.faults["/"] = Fault(500)
    gone = image_and_secrets(submit("-i", "new:1", job=job))
    assert gone == (f"{harbor.host}/batch/ml/new:1", ["batch-pull"])


def test_harbor_is_not_asked_when_something_else_is_wrong(submit: Submit, harbor: StandIn) -> None:
    assert submit("-i", "ml/pytorch", "--cpu", "many").code == 2
    assert harbor.requests == []


def test_an_open_connection_is_warned_of(submit: Submit) -> None:
    done = submit("-i", "alpine", "--no-image-check", baseUrl="http://[::ffff:0:1]:1")
    assert "warning: Harbor project 'batch' is asked over plain http" in done.talk
