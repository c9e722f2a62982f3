"""`jobman flavors`, as a whole command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run


@pytest.fixture
def flavors(run: Run) -> Any:
    """Set exactly these flavors, and other settings of `job.resources`."""

    def write(*entries: dict[str, Any], gpus: list[str] | None = None, **more: Any) -> None:
        hidden = [
            {"name": name, "resources": None}
            for name in ("tiny", "small", "medium", "large", "small-gpu", "large-gpu")
        ]
        job = {"job": {"resources": {"predefined": [*hidden, *entries]} | more}}
        path = Path.cwd() / ".jobman" / "settings.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(job | {"jobsQueue": {"gpuResources": gpus}}))

    return write


def flavor(name: str, requests: Any, limits: Any = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "resources": {"requests": requests, "limits": limits}, **more}


PLAIN = flavor("plain", {"cpu": "2", "memory": "4Gi"}, {"cpu": 4, "memory": "4096Mi"})
GPU = flavor(
    "gpu",
    {"cpu": 8, "nvidia.com/gpu": 2, "ephemeral-storage": "10Gi"},
    description="two GPUs",
    image="cuda:12",
    nodeSelector={"zone": "a"},
    timeLimit="2h",
)
AMD = flavor("amd", {"amd.com/gpu": 1, "nvidia.com/gpu": 1})


def test_the_shipped_ones(run: Run) -> None:
    done = run("flavors")
    assert (done.code, done.talk) == (0, "")
    assert done.lines == [
        "NAME             CPU  MEMORY  GPUS  DESCRIPTION",
        "tiny (default)  100m   128Mi     -  a quick look around; runs on any laptop",
        "small              1     2Gi     -  one core",
        "medium             4    16Gi     -  four cores",
        "large             16    64Gi     -  sixteen cores",
        "small-gpu          4    16Gi     1  one GPU",
        "large-gpu         16    64Gi     4  four GPUs",
    ]
    assert run("resources-flavors").out == done.out


def test_requests_and_limits_where_they_differ(run: Run, flavors: Any) -> None:
    flavors(PLAIN, GPU, AMD, default="gpu")
    assert run("flavors").lines == [
        "NAME           CPU  MEMORY  GPUS  DESCRIPTION",
        "plain          2/4     4Gi     -  -",
        "gpu (default)    8       -     2  two GPUs",
        "amd              -       -     2  -",
    ]


def test_wide(run: Run, flavors: Any) -> None:
    flavors(PLAIN, GPU, AMD, default="gpu")
    lines = run("flavors", "-o", "wide").lines
    assert lines[2].split("two GPUs")[1].split() == (
        ["ephemeral-storage", "10Gi", "cuda:12", "zone=a", "2h", "home"]
    )
    assert "amd.com/gpu 1, nvidia.com/gpu 1" in lines[3]


def test_what_a_site_counts_as_a_gpu(run: Run, flavors: Any) -> None:
    mig = "nvidia.com/mig-1g.10gb"
    flavors(flavor("mig", {mig: 3}), GPU, default="gpu", gpus=[mig])
    rows = json.loads(run("flavors", "-o", "json").out)
    assert [row["gpus"] for row in rows] == [3, 0]


def test_json(run: Run, flavors: Any) -> None:
    flavors(GPU, default="gpu")
    (row,) = json.loads(run("flavors", "-o", "json").out)
    assert row == {
        "name": "gpu",
        "default": True,
        "description": "two GPUs",
        "gpus": 2,
        "requests": {"cpu": "8", "nvidia.com/gpu": "2", "ephemeral-storage": "10Gi"},
        "limits": {"nvidia.com/gpu": "2"},
        "image": "cuda:12",
        "nodeSelector": {"zone": "a"},
        "tolerations": [],
        "priorityClassName": None,
        "runtimeClassName": None,
        "localQueue": None,
        "timeLimit": "2h",
        "layer": "home",
    }
    assert "- name: gpu\n  default: true\n" in run("flavors", "-o", "yaml").out


def test_a_default_that_is_json_is_listed_too(run: Run) -> None:
    given = json.dumps(flavor("mine", {"cpu": 3}))
    lines = run("flavors", env={"JOBMAN_FLAVOR": given}).lines
    assert lines[1].startswith("mine (default)")
    assert lines[2].startswith("tiny  ")


def test_a_default_that_is_none_is_said(run: Run) -> None:
    done = run("flavors", env={"JOBMAN_FLAVOR": "smal"})
    assert done.code == 0
    told = "warning: job.resources.default: unknown flavor 'smal'; closest: small\n"
    assert done.talk == told
    assert not any("(default)" in line for line in done.lines)


def test_none(run: Run, flavors: Any) -> None:
    flavors(default=None)
    done = run("flavors")
    assert (done.code, done.out) == (0, "")
    assert done.talk == "no flavors; see: jobman settings init\n"
    assert json.loads(run("flavors", "-o", "json").out) == []


def test_on_a_terminal(run: Run) -> None:
    done = run("flavors", terminal=True, columns=60, env={"NO_COLOR": "1"})
    assert [line.split()[0] for line in done.lines][:3] == ["NAME", "tiny", "small"]
    assert max(len(line) for line in done.lines) <= 60


def test_csv(run: Run) -> None:
    lines = run("flavors", "-o", "csv").lines
    assert lines[0] == "name,default,cpu,memory,gpus,description,layer"
    assert lines[1].startswith("tiny,true,100m,128Mi,0,")
    assert lines[1].endswith(",template")
