"""What the shell offers: quick, and silent whatever goes wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from plugins.job_world import JobWorld, a_job
from plugins.scripted_server import Reply, ScriptedServer

from jobman.cli.app import application

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(
    write_kubeconfig: Callable[..., Path],
    scripted_server: ScriptedServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Complete:
    """Complete the last of the words as bash would; stderr must stay empty."""
    kubeconfig = write_kubeconfig(scripted_server.url, context={"namespace": "team"})
    for key, value in {"HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("JOBMAN_LOCAL_STATE", str(tmp_path / "local"))
    monkeypatch.setenv("_JOBMAN_COMPLETE", "complete_bash")
    monkeypatch.chdir(tmp_path)
    command = typer.main.get_command(application())

    def run(*words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", " ".join(["jobman", *words]))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            command.main([], prog_name="jobman")
        out, err = capfd.readouterr()
        assert err == ""
        return out.split()

    return run


@pytest.mark.parametrize("command", ["list", "details", "logs", "delete"])
def test_my_jobs_and_the_last(complete: Complete, world: JobWorld, command: str) -> None:
    for name in ("train-b", "train-a", "other"):
        world.jobs.put(a_job(name))
    world.jobs.put(a_job("train-bob", user="bob"))
    assert complete(command, "tr") == ["train-a", "train-b"]
    assert complete(command, "L") == ["LAST"]
    if command != "list":
        assert complete(command, "-j", "o") == ["other"]


def test_namespaces(complete: Complete, scripted_server: ScriptedServer) -> None:
    items = [{"metadata": {"name": name, "uid": name}} for name in ("team-a", "team-b", "x")]
    scripted_server.script("GET", "/api/v1/namespaces", Reply(200, {"items": items}))
    assert complete("list", "-n", "te") == ["team-a", "team-b"]
    assert complete("-n", "te") == ["team-a", "team-b"]


def test_the_namespace_typed_so_far_counts(complete: Complete, world: JobWorld) -> None:
    world.jobs.put(a_job("here"))
    assert complete("-n", "elsewhere", "details", "h") == []
    asked = [a.path for a in world.server.requests if a.method == "GET"]
    assert asked == ["/apis/batch/v1/namespaces/elsewhere/jobs"]


@pytest.mark.parametrize(
    "reply",
    [Reply(cut=True), Reply(401), Reply(500), Reply(200, b"nonsense")],
    ids=["cut", "401", "500", "nonsense"],
)
def test_trouble_is_silent(complete: Complete, world: JobWorld, reply: Reply) -> None:
    world.server.script("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", reply)
    assert complete("details", "x") == []


def test_a_server_that_does_not_answer_is_not_waited_for(
    complete: Complete, world: JobWorld, scripted_server: ScriptedServer
) -> None:
    given_up = threading.Event()

    def slow(asked: object) -> Reply:
        assert given_up.wait(60)
        return Reply(500)

    scripted_server.script("GET", "/apis/batch/v1/namespaces/team/jobs", slow)
    began = time.monotonic()
    assert complete("details", "x") == []
    assert time.monotonic() - began < 30
    given_up.set()


def test_no_cluster_is_started(
    complete: Complete, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBECONFIG")
    assert complete("details", "x") == []
    assert complete("--local", "details", "x") == []
    assert not (tmp_path / "local").exists()


def test_wrong_settings_are_silent(complete: Complete, world: JobWorld, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    assert complete("-s", str(tmp_path / "bad.json"), "details", "x") == []
