"""`jobman queue`: whole commands, a scripted cluster behind."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
import yaml
from plugins.command_line import Run
from plugins.job_world import NAMESPACE, JobWorld, ago
from plugins.queue_world import (
    FORBIDDEN,
    GPU,
    HELD,
    JOBS,
    NODES,
    PODS,
    QUOTAS,
    WORK,
    Object,
    listed,
    pod,
)
from plugins.scripted_server import Reply


def test_the_queue_at_a_glance(run: Run, cluster: JobWorld) -> None:
    assert run("queue").lines == [
        "FLAVOR     CPU  MEMORY  GPUS  WAITING  RUNNING  YOURS  OLDEST  FITS",
        "small-gpu    2       -     1        1        1     1r     60s     4",
        "<no name>    1       -     3        -        1      -       -     1",
        "",
        "GPU   TOTAL  IN USE  FREE  LARGEST FREE BLOCK  UNUSABLE",
        "A100     12       4     4  3 on n1             4 (1 cordoned)",
        "",
        "1 waiting, 2 running",
        "pods, jobs, nodes: of the whole cluster, as of now",
    ]


def test_what_is_kept_for_a_pod_that_waits_fits_nobody_else(run: Run, cluster: JobWorld) -> None:
    waiting = pod("big", "large-gpu", gpu="3", cpu="1")
    waiting["status"]["nominatedNodeName"] = "n1"
    cluster.server.script("GET", PODS, listed(*WORK, waiting))
    rows = {row["name"]: row for row in json.loads(run("queue", "-o", "json").out)["rows"]}
    assert rows["small-gpu"]["fits"] == 1
    assert rows["large-gpu"]["fits"] == 0


def test_what_it_asks_for(run: Run, cluster: JobWorld) -> None:
    run("queue")
    asked = {(r.path, r.query.get("fieldSelector")) for r in cluster.server.requests}
    assert asked >= {
        (PODS, "status.phase!=Succeeded,status.phase!=Failed"),
        (JOBS, None),
        (NODES, None),
        (QUOTAS, None),
    }
    assert len(cluster.server.requests) == 5


def test_wide_tells_vendors_and_states_apart(run: Run, cluster: JobWorld) -> None:
    lines = run("queue", "-o", "wide").lines
    assert lines[0].split()[3:9] == ["GPUS", "WAITING", "STARTING", "RUNNING", "STUCK", "SUSPENDED"]
    assert lines[1].split()[:5] == ["small-gpu", "2", "-", "1", GPU]
    assert lines[4].split()[:3] == ["GPU", "RESOURCE", "NODES"]


def test_many_groups_without_a_flavor_are_summed_up_on_a_terminal(
    run: Run, cluster: JobWorld
) -> None:
    many = [pod(f"p{n}", None, cpu=f"{n + 1}m") for n in range(20)]
    cluster.server.script("GET", PODS, listed(*many))
    on_terminal = run("queue", terminal=True, env={"NO_COLOR": "1"})
    assert on_terminal.out.count("<no name>") == 12
    assert "and 8 more of no flavor: 8 waiting (-o wide: all)" in on_terminal.lines
    assert run("queue").out.count("<no name>") == 20


def test_what_counts_as_a_gpu_is_set(run: Run, cluster: JobWorld, tmp_path: Path) -> None:
    settings = tmp_path / "s.json"
    settings.write_text(json.dumps({"jobsQueue": {"gpuResources": ["cpu"]}}))
    lines = run("-s", str(settings), "queue").lines
    assert lines[1].split()[:4] == ["small-gpu", "2", "-", "2"]
    assert lines[5].split()[:2] == ["cpu", "48"]


def test_rare_states_have_columns_when_there_are_some(run: Run, cluster: JobWorld) -> None:
    stuck = pod("s", "small-gpu", cpu="2", gpu="1")
    stuck["spec"]["nodeName"] = "n1"
    waiting = {"waiting": {"reason": "InvalidImageName"}}
    stuck["status"]["containerStatuses"] = [{"name": "main", "state": waiting}]
    cluster.server.script("GET", PODS, listed(*WORK, stuck))
    cluster.server.script("GET", JOBS, listed(HELD))

    done = run("queue")

    assert "STUCK  SUSPENDED" in done.lines[0]
    assert "1 waiting, 2 running, 1 stuck, 1 suspended" in done.lines


EVENTS = "/api/v1/events"


def failed_mount(pod_name: str, age_s: float, last_s: float = 1) -> Object:
    message = 'MountVolume.SetUp failed for volume "v": configmap "nope" not found'
    seen = {"firstTimestamp": ago(age_s), "lastTimestamp": ago(last_s), "count": 5}
    return about_pod(pod_name, "FailedMount") | seen | {"type": "Warning", "message": message}


def about_pod(pod_name: str, reason: str) -> Object:
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": pod_name, "uid": pod_name}
    meta = {"name": f"{pod_name}.{reason}", "namespace": NAMESPACE}
    return {"metadata": meta, "involvedObject": about, "reason": reason}


def pulling(pod_name: str, age_s: float) -> Object:
    seen = {"firstTimestamp": ago(age_s), "lastTimestamp": ago(age_s), "count": 1}
    return about_pod(pod_name, "Pulling") | seen | {"type": "Normal"}


@pytest.mark.parametrize(
    ("events", "starting", "stuck"),
    [
        pytest.param(listed(failed_mount("s", 100)), 0, 1, id="a mount fails for long"),
        pytest.param(listed(failed_mount("s", 20)), 1, 0, id="a mount fails since a moment"),
        pytest.param(listed(failed_mount("x", 100)), 1, 0, id="another pod's"),
        pytest.param(
            listed(failed_mount("s", 100, last_s=91), pulling("s", 90)), 1, 0, id="it pulls now"
        ),
        pytest.param(listed(), 1, 0, id="nothing is wrong"),
        pytest.param(FORBIDDEN, 1, 0, id="events may not be read"),
    ],
)
def test_a_pod_that_is_not_made_ready(
    run: Run, cluster: JobWorld, events: Reply, starting: int, stuck: int
) -> None:
    slow = pod("s", "other", node="n1", cpu="2", gpu="1")
    waiting = {"waiting": {"reason": "ContainerCreating"}}
    statuses = [{"name": "main", "state": waiting}]
    slow["status"] = {"phase": "Pending", "containerStatuses": statuses}
    cluster.server.script("GET", PODS, listed(*WORK, slow))
    cluster.server.script("GET", EVENTS, events)
    rows = json.loads(run("queue", "-o", "json").out)["rows"]
    (row,) = [row for row in rows if row["name"] == "other"]
    assert (row["starting"], row["stuck"]) == (starting, stuck)
    asked = {request.query["fieldSelector"] for request in cluster.server.asked("GET", EVENTS)}
    assert "reason=FailedAttachVolume,involvedObject.kind=Pod" in asked


@pytest.mark.parametrize(
    ("by", "first"),
    [
        ("user", ["alice", "1", "-", "-", "1", "1r", "-"]),
        ("namespace", ["team", "4", "1", "1", "2", "1r", "60s"]),
        ("node", ["n1", "1", "-", "-", "1", "1r", "-"]),
        ("gpu", ["A100", "4", "-", "-", "2", "1r", "-"]),
    ],
)
def test_by(run: Run, cluster: JobWorld, by: str, first: list[str]) -> None:
    assert run("queue", "--by", by).lines[1].split() == first


def test_machine_forms(run: Run, cluster: JobWorld) -> None:
    shown = json.loads(run("queue", "-o", "json").out)
    assert list(shown) == ["at", "by", "rows", "gpus", "quotas", "sources", "notes"]
    assert shown["rows"][0]["requests"] == {"cpu": "2", "memory": "0", "gpus": {GPU: "1"}}
    assert yaml.safe_load(run("queue", "-o", "yaml").out)["rows"] == shown["rows"]
    rows = list(csv.DictReader(io.StringIO(run("queue", "-o", "csv").out)))
    assert [(row["name"], row["waiting"], row["fits"]) for row in rows] == [
        ("small-gpu", "1", "4"),
        ("", "0", "1"),
    ]


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (["--mine-only"], ["small-gpu"]),
        (["--all-flavors", "--gpu-only"], ["small-gpu !", "small-gpu !", "large-gpu", "<no name>"]),
    ],
)
def test_which_rows(run: Run, cluster: JobWorld, args: list[str], names: list[str]) -> None:
    lines = run("queue", *args).lines
    assert [line.split("  ")[0] for line in lines[1 : 1 + len(names)]] == names


def test_a_conflict_is_told_with_the_numbers(run: Run, cluster: JobWorld) -> None:
    last = run("queue", "--all-flavors").lines[-1]
    assert last == (
        "conflict: flavor 'small-gpu' means different requests: cpu 2, memory 0, "
        "nvidia.com/gpu 1 (2 pods); cpu 4, memory 16Gi, nvidia.com/gpu 1 (in the settings)"
    )


def test_nothing(run: Run, cluster: JobWorld) -> None:
    cluster.server.script("GET", PODS, listed())
    assert run("queue").lines[-2] == "nothing waits or runs"


def test_a_terminal_of_80_columns(run: Run, cluster: JobWorld) -> None:
    done = run("queue", terminal=True, columns=80, env={"NO_COLOR": "1"})
    assert all(len(line) <= 80 for line in done.lines)
    assert "…" not in done.out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--by", "nod"], "closest: node"),
        (["--by", "node", "--all-flavors"], "--all-flavors goes with --by flavor"),
    ],
)
def test_what_is_refused(run: Run, cluster: JobWorld, args: list[str], said: str) -> None:
    done = run("queue", *args)
    assert done.code == 2
    assert said in done.talk


def test_forms_of_other_commands(run: Run, cluster: JobWorld) -> None:
    assert run("queue", "-o", "name").code == 2
    assert run("-o", "name", "queue").code == 2
