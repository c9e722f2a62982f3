"""`jobman map` before it reaches a cluster: what is asked for, printed, and refused."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobman.map.items import lines
from jobman.map.ledger import Ledger, RunFile, Source
from jobman.map.template import Template

TEMPLATE = """
apiVersion: v1
kind: Pod
metadata: {name: "p-{{.Item}}"}
spec:
  containers: [{name: main, image: busybox, args: ["{{.Item}}"]}]
"""


@pytest.fixture
def here(run: Any) -> Path:
    place = Path.cwd()
    (place / "pod.yaml").write_text(TEMPLATE)
    (place / "list").write_text("a\nb\n")
    (place / "p.csv").write_text("x,y\n1,2\n")
    return place


def printed(done: Any) -> list[dict[str, Any]]:
    assert done.code == 0, done.talk
    return list(yaml.safe_load_all(done.out))


def words_of(pod: dict[str, Any]) -> list[str]:
    found: list[str] = pod["spec"]["containers"][0]["args"]
    return found


def test_print_shows_every_pod(run: Any, here: Path) -> None:
    pods = printed(run("map", "-i", "list", "--print", "pod.yaml"))
    assert [(pod["metadata"]["name"], words_of(pod)) for pod in pods] == [
        ("p-a", ["a"]),
        ("p-b", ["b"]),
    ]
    assert pods == printed(run("map", "pod.yaml", "-i", "list", "-P"))
    assert not (here / "JOBMAN").exists()


def test_a_command_takes_what_submit_takes(run: Any, here: Path) -> None:
    args = ("--image", "busybox", "--cpu", "2", "--memory", "1Gi", "-e", "A=$B", "--time-limit")
    (pod,) = printed(run("map", "-p", "p.csv", *args, "1m", "-P", "sim", "{x}", "${y}", "-v"))
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert words_of(pod) == ["sim", "1", "$${y}", "-v"]
    assert container["resources"]["requests"] == {"cpu": "2", "memory": "1Gi"}
    assert container["env"] == [{"name": "A", "value": "$$B"}]
    assert (spec["activeDeadlineSeconds"], spec["restartPolicy"]) == (60, "Never")


def test_dry_run_tells_what_would_be_done(run: Any, here: Path) -> None:
    done = run("map", "-b", "{1..5}", "--dryrun", "--logdir", "logs", "pod.yaml")
    assert done.lines[:2] == ["items: 5", "pods: p-1, p-2, p-3, …"]
    assert done.lines[3] == "logs: logs"


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("-i", "list", "pod.yaml"), ""),
        (("--seq", "3", "pod.yaml"), "items: 2 there, 3 here"),
        (("-i", "list", "-n", "other", "pod.yaml"), "namespace: team there, other here"),
        (("-i", "list", "other.yaml"), "template spec.containers[0]"),
        (("-i", "list", "--image", "busybox", "echo", "{{.Item}}"), ""),
    ],
)
def test_dry_run_refuses_what_the_run_would(
    run: Any, here: Path, args: tuple[str, ...], told: str
) -> None:
    (here / "other.yaml").write_text(TEMPLATE.replace("image: busybox", "image: alpine"))
    of_list = lines(here / "list", io.BytesIO())
    template = Template.of_file(here / "pod.yaml", "abcdefgh", of_list.columns)
    source = Source(of_list.count, of_list.digest, template.digest, "team")
    file = RunFile(run="abcdefgh", source=source, template=template.document)
    Ledger.open(here / "JOBMAN", file)
    (here / "JOBMAN" / "p-a.log").touch()
    done = run("map", "--dry-run", *args)
    assert (done.code, told in done.talk) == (2 if told else 0, True)
    assert bool(told) == ("JOBMAN holds another run (abcdefgh" in done.talk)


def test_a_word_behind_dashes_is_no_command_of_jobman(run: Any, here: Path) -> None:
    (pod,) = printed(run("map", "--seq", "1", "--image", "busybox", "-P", "--", "status", "{i}"))
    assert words_of(pod) == ["status", "0"]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("-i", "list"), "a template or a command is needed"),
        (("pod.yaml",), "no items are given: one of -i, -j, -b, -p, --seq names them"),
        (("-i", "list", "--seq", "2", "pod.yaml"), "-i and --seq exclude each other"),
        (("-i", "list", "pod.yaml", "more"), "nothing more is expected: more"),
        (("-i", "list", "pod.yaml", "--image", "x", "--cpu", "1"), "leave out --image, --cpu"),
        (("-i", "list", "--rerun", "--retry-failed", "pod.yaml"), "--rerun runs everything again"),
        (("-i", "list", "-P", "--dry-run", "pod.yaml"), "--print and --dry-run exclude each other"),
        (("-i", "list", "--log-dir", "list", "pod.yaml"), "--log-dir list: is no directory"),
        (("-i", "list", "--image", "x", "-P", "echo", "{{.Itm}}"), "{{.Itm}} is not known"),
        (("-p", "p.csv", "--image", "x", "-P", "echo", "{z}"), "{z} is no column"),
        (("-b", "{1..2", "pod.yaml"), "-b {1..2: a '{' is not closed"),
        (("-b", "{A,A}", "-P", "pod.yaml"), "names that several items have: 'p-A' (items 0, 1)"),
        (("-i", "/dev/null", "pod.yaml"), "there are no items"),
        (("-i", "missing", "pod.yaml"), "missing: No such file"),
        (("-i", "list", "missing.yaml"), "missing.yaml: No such file"),
        (("-n", "A_b", "-i", "list", "pod.yaml"), "namespace 'A_b'"),
    ],
)
def test_what_is_wrong_is_told(run: Any, here: Path, args: tuple[str, ...], told: str) -> None:
    done = run("map", *args)
    assert (done.code, told in done.talk) == (2, True), done.talk


@pytest.mark.parametrize(
    "args",
    [
        ("-b", "{a,\udcff}", "-P", "pod.yaml"),
        ("-i", "list", "--log-dir", "\udcff", "--dry-run", "pod.yaml"),
    ],
)
def test_what_cannot_be_written_down_is_told(run: Any, here: Path, args: tuple[str, ...]) -> None:
    done = run("map", *args)
    assert (done.code, "\\udcff" in done.talk, "is not UTF-8" in done.talk) == (2, True, True)


def test_a_directory_whose_name_is_no_text(
    run: Any, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = here / "\udcff"
    place.mkdir()
    monkeypatch.chdir(place)
    done = run("map", "--seq", "2", "--image", "x", "--", "true")
    assert (done.code, "is not UTF-8" in done.talk) == (2, True), done.talk
    assert list(place.iterdir()) == []


def test_stdin_is_a_list(run: Any, here: Path) -> None:
    done = run("map", "-i", "-", "-P", "pod.yaml", typed="x\ny\n")
    assert [pod["metadata"]["name"] for pod in printed(done)] == ["p-x", "p-y"]


def test_another_namespace_than_the_template_says(run: Any, here: Path) -> None:
    text = TEMPLATE.replace("{name:", "{namespace: other, name:")
    (here / "pod.yaml").write_text(text)
    done = run("map", "-n", "mine", "-i", "list", "-P", "pod.yaml")
    assert (done.code, "names the namespace 'other', chosen is 'mine'" in done.talk) == (2, True)
