"""`jobman queue` for users of few rights: whole commands, a scripted cluster behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plugins.command_line import Run
from plugins.job_world import BATCH, CORE, JobWorld, ago
from plugins.queue_world import FORBIDDEN, GPU, JOBS, NODES, PODS, QUOTAS, WORK, listed, machine
from plugins.scripted_server import Reply

PUBLISHED = "/api/v1/namespaces/public/configmaps/queue"


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


@pytest.fixture
def published(restricted: JobWorld) -> JobWorld:
    """The same, with the whole queue as it was published."""
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
    return restricted


@pytest.mark.usefixtures("published")
def test_a_published_queue_tells_of_the_others(run: Run, settings_file: str) -> None:
    lines = run("-s", settings_file, "queue").lines

    assert lines[1].split() == ["small-gpu", "2", "-", "1", "5", "1", "1r", "-", "6"]
    assert lines[4].split() == [GPU, "8", "2", "6", "3", "-"]
    assert lines[-1] == "pods, nodes: as published in ConfigMap public/queue, 40s ago"


@pytest.mark.usefixtures("published")
def test_published_nodes_have_no_names_and_no_holders(run: Run, settings_file: str) -> None:
    for word in ("n1", "n*"):
        done = run("-s", settings_file, "nodes", word)
        assert (done.code, done.out) == (3, "")
        assert f"published nodes have no names: none of them is called {word}" in done.talk

    assert "who holds the GPUs cannot be known" in run("-s", settings_file, "nodes", "-v").talk
    rows = json.loads(run("-s", settings_file, "nodes", "-v", "-o", "json").out)
    assert [row["holders"] for row in rows] == [None, None]


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
