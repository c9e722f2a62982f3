"""`jobman queue`, `jobman nodes` and `jobman admin`: whole commands, a scripted cluster behind."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.command_line import Run
from plugins.job_world import BATCH, CORE, MANAGED, NAMESPACE, JobWorld, ago
from plugins.scripted_server import Reply

GPU = "nvidia.com/gpu"
PODS, JOBS, NODES = "/api/v1/pods", "/apis/batch/v1/jobs", "/api/v1/nodes"
QUOTAS = f"{CORE}/resourcequotas"
PUBLISHED = "/api/v1/namespaces/public/configmaps/queue"
FORBIDDEN = Reply(
    403,
    {
        "kind": "Status",
        "status": "Failure",
        "reason": "Forbidden",
        "code": 403,
        "message": "it is forbidden",
    },
)
Object = dict[str, Any]


def listed(*items: Object) -> Reply:
    return Reply(200, {"kind": "List", "metadata": {"resourceVersion": "7"}, "items": [*items]})


def pod(
    name: str, flavor: str | None, *, node: str = "", user: str = "alice", **asks: str
) -> Object:
    labels = MANAGED | {"jobman/user": user, "jobman/flavor": flavor} if flavor else {}
    requests = {key.replace("gpu", GPU): text for key, text in asks.items()}
    meta = {"name": name, "namespace": NAMESPACE, "uid": name, "labels": labels}
    return {
        "metadata": meta | {"creationTimestamp": ago(120 if node else 60)},
        "spec": {"nodeName": node, "containers": [{"resources": {"requests": requests}}]},
        "status": {"phase": "Running" if node else "Pending"},
    }


def machine(name: str, *, ready: bool = True, **spec: Any) -> Object:
    has = {"cpu": "16", "memory": "64Gi", "pods": "110", GPU: "4"}
    labels = {"nvidia.com/gpu.product": "A100"}
    return {
        "metadata": {"name": name, "uid": name, "labels": labels},
        "spec": spec,
        "status": {
            "allocatable": has,
            "capacity": has,
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }


HELD = {
    "metadata": {"name": "held", "namespace": NAMESPACE, "uid": "held", "labels": MANAGED},
    "spec": {"suspend": True, "template": {"spec": {"containers": []}}},
}
WORK = [
    pod("a", "small-gpu", node="n1", cpu="2", gpu="1"),
    pod("b", "small-gpu", user="bob", cpu="2", gpu="1"),
    pod("c", None, node="n2", cpu="1", gpu="3"),
]


@pytest.fixture
def cluster(world: JobWorld) -> JobWorld:
    """Two machines and three pods, of which I may read all."""
    script = world.server.script
    script("GET", PODS, listed(*WORK))
    script("GET", JOBS, listed())
    script("GET", NODES, listed(machine("n1"), machine("n2"), machine("n3", unschedulable=True)))
    script("GET", QUOTAS, listed())
    return world


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


def failed_mount(pod_name: str, age_s: float) -> Object:
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": pod_name, "uid": pod_name}
    seen = {"firstTimestamp": ago(age_s), "lastTimestamp": ago(1), "count": 5}
    meta = {"name": f"{pod_name}.1", "namespace": NAMESPACE, "uid": f"{pod_name}.1"}
    message = 'MountVolume.SetUp failed for volume "v": configmap "nope" not found'
    return {"metadata": meta, "involvedObject": about, "reason": "FailedMount", **seen} | {
        "type": "Warning",
        "message": message,
    }


@pytest.mark.parametrize(
    ("events", "starting", "stuck"),
    [
        pytest.param(listed(failed_mount("s", 100)), 0, 1, id="a mount fails for long"),
        pytest.param(listed(failed_mount("s", 20)), 1, 0, id="a mount fails since a moment"),
        pytest.param(listed(failed_mount("x", 100)), 1, 0, id="another pod's"),
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


@pytest.fixture
def restricted(cluster: JobWorld) -> JobWorld:
    """The same, of which I may read my namespace alone."""
    script = cluster.server.script
    for path in (PODS, JOBS, NODES):
        script("GET", path, FORBIDDEN)
    script("GET", f"{CORE}/pods", listed(WORK[0]))
    return cluster


@pytest.fixture
def settings_file(tmp_path: Path) -> str:
    """Settings that say where the queue is published."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"jobsQueue": {"namespace": "public", "configmap": "queue"}}))
    return str(path)


def test_with_rights_in_my_namespace_alone(run: Run, restricted: JobWorld) -> None:
    assert run("queue").lines == [
        "FLAVOR     CPU  MEMORY  GPUS  WAITING  RUNNING  YOURS  OLDEST  FITS",
        "small-gpu    2       -     1        -        1     1r       -     ?",
        "",
        "1 running",
        "pods: of namespace team alone, as of now; cannot be known: what others hold and want",
        "nodes: not known; cannot be known: what is free and what would fit",
    ]


def test_nodes_without_pods_do_not_tell_what_is_free(run: Run, restricted: JobWorld) -> None:
    restricted.server.script("GET", NODES, listed(machine("n1")))
    lines = run("queue").lines
    assert lines[4].split() == ["A100", "4", "?", "?", "?", "-"]
    assert run("nodes").lines[1].split() == ["n1", "Ready", "A100", "4", "?", "?", "?", "?"]


def test_a_published_queue_tells_of_the_others(
    run: Run, restricted: JobWorld, settings_file: str
) -> None:
    document = {
        "format": "jobman-queue/1",
        "updated": ago(40),
        "groups": [
            {"flavor": "small-gpu", "requests": {"cpu": "2", GPU: "1"}, "running": 1, "waiting": 5}
        ],
        "nodes": [{"allocatable": {"cpu": "8", "pods": "9", GPU: "4"}, "free": [[2, {GPU: "3"}]]}],
    }
    data = {"kind": "ConfigMap", "metadata": {"name": "queue", "namespace": "public"}}
    restricted.server.script(
        "GET", PUBLISHED, Reply(200, data | {"data": {"queue": json.dumps(document)}})
    )

    lines = run("-s", settings_file, "queue").lines

    assert lines[1].split() == ["small-gpu", "2", "-", "1", "5", "1", "1r", "-", "6"]
    assert lines[4].split() == [GPU, "8", "2", "6", "3", "-"]
    assert lines[-1] == "pods, nodes: as published in ConfigMap public/queue, 40s ago"


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(404, {"kind": "Status", "code": 404}), "nobody publishes the queue"),
        (FORBIDDEN, "ConfigMap public/queue may not be read"),
    ],
)
def test_a_published_queue_that_is_not_there(
    run: Run, restricted: JobWorld, settings_file: str, reply: Reply, said: str
) -> None:
    restricted.server.script("GET", PUBLISHED, reply)
    done = run("-s", settings_file, "queue")
    assert done.code == 0
    assert said in done.out


def test_with_no_rights_but_to_the_published_queue(
    run: Run, restricted: JobWorld, settings_file: str
) -> None:
    document = {"format": "jobman-queue/1", "updated": ago(1200), "groups": [{"flavor": "f"}]}
    data = {"kind": "ConfigMap", "metadata": {"name": "queue", "namespace": "public"}}
    restricted.server.script(
        "GET", PUBLISHED, Reply(200, data | {"data": {"queue": json.dumps(document)}})
    )
    for path in (f"{CORE}/pods", BATCH, QUOTAS):
        restricted.server.script("GET", path, FORBIDDEN)

    done = run("-s", settings_file, "queue")

    assert done.code == 0
    assert "published in ConfigMap public/queue, 20m ago (old: is it still published?)" in done.out
    assert "pods of namespace team may not be read" in done.out


def test_nothing_may_be_read(run: Run, restricted: JobWorld) -> None:
    restricted.server.script("GET", f"{CORE}/pods", FORBIDDEN)
    done = run("queue")
    assert done.code == 4
    assert "it is forbidden" in done.talk
    assert run("nodes").code == 4


def test_nodes(run: Run, cluster: JobWorld) -> None:
    assert run("nodes", "-v", "n*").lines == [
        "NODE  STATE           GPU   GPUS  USED  FREE  CPU FREE  MEM FREE",
        "n1    Ready           A100     4     1     3        14      64Gi",
        "n2    Ready           A100     4     3     1        15      64Gi",
        "n3    Ready,cordoned  A100     4     0     4        16      64Gi",
        "",
        "NODE  GPUS  USER   NAMESPACE  POD",
        "n1       1  alice  team       a",
        "n2       3  -      team       c",
    ]
    assert run("nodes", "--by", "gpu").lines[1].split() == [
        *("A100", "3", "3", "1", "12", "4", "4", "3", "29", "128Gi"),
    ]
    assert run("nodes", "-o", "name", "n1", "n3").out == "n1\nn3\n"
    assert [row["gpusFree"] for row in json.loads(run("nodes", "-o", "json").out)] == [3, 1, 4]


def test_taints_of_nodes(run: Run, cluster: JobWorld) -> None:
    taints = [
        {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
        {"key": "team", "value": "a", "effect": "NoExecute"},
    ]
    cluster.server.script("GET", NODES, listed(machine("n1", taints=taints)))
    assert run("nodes").lines[0].endswith("  TAINTS")
    assert run("nodes").lines[1].endswith("  team=a:NoExecute")


@pytest.mark.parametrize(
    ("args", "kinds"),
    [
        ([], ["Deployment"]),
        (["--as", "cronjob"], ["CronJob"]),
        (["--as", "none"], []),
    ],
)
def test_manifests(run: Run, args: list[str], kinds: list[str]) -> None:
    done = run("-n", "public", "admin", "manifests", *args)
    found = list(yaml.safe_load_all(done.out))
    assert [each["kind"] for each in found] == [
        *("ServiceAccount", "ClusterRole", "ClusterRoleBinding"),
        *("Role", "RoleBinding", "Role", "RoleBinding"),
        *kinds,
    ]
    assert {each["metadata"].get("namespace", "public") for each in found} == {"public"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["admin", "manifests"], "give -n"),
        (["-n", "public", "admin", "manifests", "--every", "soon"], "--every"),
        (["-n", "public", "admin", "manifests", "--configmap", "A b"], "is no name"),
        (["queue", "publish", "--every", "10ms"], "--every"),
        (["queue", "publish", "--names-configmap", "x"], "goes with --names"),
        (["queue", "publish", "--names", "--configmap", "x", "--names-configmap", "x"], "taken"),
    ],
)
def test_what_an_administrator_gets_wrong(run: Run, args: list[str], said: str) -> None:
    done = run(*args)
    assert done.code == 2
    assert said in done.talk


LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
CONFIGMAPS = f"{CORE}/configmaps"
MISSING = Reply(404, {"kind": "Status", "reason": "NotFound", "code": 404})


def accepted(asked: Any) -> Reply:
    marked = {"uid": "u", "resourceVersion": "1"} | asked.body["metadata"]
    return Reply(201, asked.body | {"metadata": marked})


@pytest.fixture
def writable(cluster: JobWorld) -> JobWorld:
    """The same, where a queue may be published for the first time."""
    script = cluster.server.script
    script("GET", f"{LEASE}/jobman-queue-writer", MISSING)
    script("POST", LEASE, accepted)
    script("PATCH", f"{CONFIGMAPS}/jobman-queue", MISSING)
    script("PATCH", f"{CONFIGMAPS}/jobman-queue-names", MISSING)
    script("POST", CONFIGMAPS, accepted)
    return cluster


def test_publishing_once(run: Run, writable: JobWorld) -> None:
    done = run("queue", "publish", "--names")
    assert done.code == 0, done.talk
    assert "published 3 pods in 2 groups" in done.talk
    own, names = (r.body for r in writable.server.asked("POST", CONFIGMAPS))
    assert json.loads(own["data"]["jobman-queue"])["groups"][0]["flavor"] == "small-gpu"
    assert json.loads(names["data"]["jobman-queue-names"])["jobs"][0]["name"] == "b"


def test_a_cron_job_publishes_with_its_words_as_they_stand(run: Run, writable: JobWorld) -> None:
    text = run("-n", NAMESPACE, "admin", "manifests", "--as", "cronjob", "--names").out
    cron_job = [*yaml.safe_load_all(text)][-1]
    pod_spec = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    program, *words = pod_spec["containers"][0]["command"]
    done = run(*words)
    assert (program, done.code) == ("jobman", 0), done.talk
    published = writable.server.asked("POST", CONFIGMAPS)
    assert [asked.body["metadata"]["name"] for asked in published] == [
        "jobman-queue",
        "jobman-queue-names",
    ]


def test_a_part_is_not_published_as_the_whole(run: Run, writable: JobWorld) -> None:
    writable.server.script("GET", JOBS, FORBIDDEN)
    done = run("queue", "publish")
    assert done.code == 4
    assert "needs to list jobs of the whole cluster" in done.talk
    assert not writable.server.asked("POST", CONFIGMAPS)
