"""`jobman logs` with its options, whole, against a scripted server; where its bytes go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from plugins.command_line import Run
from plugins.job_world import JobWorld, a_job, a_pod, exited, running
from plugins.kube import KubeconfigWriter
from plugins.scripted_server import Asked, Reply

from jobman.cli.render.log_sinks import Directory, OneFile, save_to
from jobman.errors import JobmanError, UsageError
from jobman.jobs.exec import exit_code
from jobman.jobs.pods import PodView
from jobman.values.enums import State

TEXT = {"Content-Type": "text/plain"}
STAMP = b"2026-11-21T11:52:01.000000000Z "
POD = PodView(name="p", state=State.RUNNING)


def an_array(world: JobWorld) -> None:
    spec = {"completions": 2, "parallelism": 2, "completionMode": "Indexed"}
    world.jobs.put(a_job("a", spec=spec))
    for index in range(2):
        pod = a_pod("a", f"a-{index}", **exited(0))
        pod["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
        world.pods.put(pod)
        world.log(f"a-{index}", Reply(200, STAMP + b"from %d\n" % index, headers=TEXT))


def test_prefixes_have_colours_on_a_terminal_alone(run: Run, world: JobWorld) -> None:
    an_array(world)
    # which of the two pods is read first is not fixed
    plain = run("logs", "a", "--all-pods").lines
    assert sorted(plain) == ["[a-0/0] from 0", "[a-1/1] from 1"]
    colored = run("logs", "a", "--all-pods", terminal=True).lines
    assert {*colored} == {"\x1b[36m[a-0/0]\x1b[0m from 0", "\x1b[33m[a-1/1]\x1b[0m from 1"}
    assert "\x1b" not in run("logs", "a", "--all-pods", terminal=True, env={"NO_COLOR": "1"}).out


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["a", "--index", "x"], 2, "'x' is no index"),
        (["a", "--index", "2"], 2, "its indexes are 0 to 1"),
        (["a", "-c", "side"], 2, "it has: main"),
        (["a", "-f", "-p"], 2, "nothing to follow"),
        (["a", "--all-pods", "--save", "f"], 2, "leave out --all-pods"),
        (["a", "--save", ""], 2, "--save: its value is empty"),
        (["a", "--save", "no/such/f"], 2, "--save no/such/f"),
    ],
)
def test_refusals(run: Run, world: JobWorld, args: list[str], code: int, said: str) -> None:
    an_array(world)
    done = run("logs", *args)
    assert (done.code, said in done.talk, done.raw) == (code, True, b""), done.talk


def test_sigterm_leaves_as_little_as_ctrl_c(
    world: JobWorld, write_kubeconfig: KubeconfigWriter, tmp_path: Path
) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **running()))
    began: list[subprocess.Popen[bytes]] = []
    saved = tmp_path / "saved"
    saved.mkdir()
    during: list[int] = []

    def terminating(_asked: Asked) -> Reply:
        during.append(len([*saved.iterdir()]))
        began[0].send_signal(signal.SIGTERM)
        return Reply(200, STAMP + b"one\n", headers=TEXT)

    world.log("a-x", terminating)
    config = write_kubeconfig(world.server.url, context={"namespace": "team"})
    command = [sys.executable, "-m", "jobman", "logs", "-f", "a", "--save", str(saved / "f")]
    began.append(subprocess.Popen(command, env={**os.environ, "KUBECONFIG": str(config)}))
    try:
        assert began[0].wait(60) == 143
    finally:
        began[0].kill()
        began[0].wait()
    assert (during[:1], [*saved.iterdir()]) == ([1], [])


def test_sigterm_ends_the_reading_of_several_at_once(
    world: JobWorld, write_kubeconfig: KubeconfigWriter
) -> None:
    began: list[subprocess.Popen[bytes]] = []

    def terminating(_asked: Asked) -> Reply:
        began[0].send_signal(signal.SIGTERM)
        return Reply(200, STAMP + b"one\n", headers=TEXT)

    for name in ("a", "b"):
        world.jobs.put(a_job(name))
        world.pods.put(a_pod(name, **running()))
        world.log(f"{name}-x", Reply(200, STAMP + b"one\n", headers=TEXT))
    world.log("b-x", terminating)
    config = write_kubeconfig(world.server.url, context={"namespace": "team"})
    command = [sys.executable, "-m", "jobman", "logs", "-f", "--all-pods", "a", "b"]
    began.append(subprocess.Popen(command, env={**os.environ, "KUBECONFIG": str(config)}))
    try:
        assert began[0].wait(30) == 143
    finally:
        began[0].kill()
        began[0].wait()


def test_what_could_not_be_read_is_not_saved_as_whole(run: Run, world: JobWorld) -> None:
    an_array(world)
    world.log("a-1", Reply(503, {"kind": "Status", "code": 503, "reason": "ServiceUnavailable"}))
    done = run("logs", "a", "--save", "logs/")
    assert (done.code, done.lines) == (5, ["logs/a-0.log", "logs/a-1.log.incomplete"])


def test_one_of_two_is_not_there(run: Run, world: JobWorld) -> None:
    an_array(world)
    done = run("logs", "a", "b")
    assert (done.code, done.out) == (3, "from 0\nfrom 1\n")
    assert "error: job b not found" in done.talk
    assert "1 of 2 jobs are not there" in done.talk


def test_a_log_that_its_node_has_lost(run: Run, world: JobWorld) -> None:
    world.jobs.put(a_job("a"))
    world.pods.put(a_pod("a", **exited(0)))
    gone = b"unable to retrieve container logs for containerd://0123"
    world.log("a-x", Reply(200, gone, headers=TEXT))
    done = run("logs", "a")
    assert (done.code, done.raw) == (1, b"")
    assert "gone from its node" in done.talk


def test_one_of_two_files_cannot_be_written(run: Run, world: JobWorld) -> None:
    an_array(world)
    Path("logs/a-0.log").mkdir(parents=True)
    done = run("logs", "a", "--save", "logs")
    assert (done.code, done.lines) == (1, ["logs/a-1.log"])
    assert "error: logs/a-0.log cannot be written: Is a directory\n" in done.talk
    assert sorted(path.name for path in Path("logs").iterdir()) == ["a-0.log", "a-1.log"]


@pytest.mark.parametrize("make", [OneFile, Directory])
def test_what_was_not_finished_is_not_there(
    tmp_path: Path, make: Callable[[Path], OneFile | Directory]
) -> None:
    target = make(tmp_path / "here")
    target.sink(POD).write(b"half")
    target.discard()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_is_no_plain_file_is_not_replaced_by_a_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="fifo: is no plain file"):
        save_to(str(tmp_path / "fifo"))
    (tmp_path / "link").symlink_to("target")
    target = save_to(str(tmp_path / "link"))
    assert target.finish(set(), True).files == [tmp_path / "target"]
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "link", "target"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(UsageError, match="Too many levels of symbolic links"):
        save_to(str(tmp_path / "loop"))


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
@pytest.mark.parametrize("place", ["one", "many/"])
def test_a_saved_log_has_the_rights_of_any_file(
    place: str, umask: int, mode: int, tmp_path: Path
) -> None:
    """From the first, so that nobody has to change the umask to learn it."""
    before = os.umask(umask)
    try:
        target = save_to(f"{tmp_path}/{place}")
        target.sink(POD)
    finally:
        os.umask(before)
    (aside,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert aside.stat().st_mode & 0o777 == mode
    (saved,) = target.finish((), True).files
    assert saved.stat().st_mode & 0o777 == mode
    target.discard()


def test_a_saved_log_gets_its_name_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"old")
    target = save_to(str(tmp_path / "here"))
    target.sink(POD).write(b"new")
    assert (tmp_path / "here").read_bytes() == b"old"
    assert target.finish((), True).files == [tmp_path / "here"]
    target.discard()
    assert (tmp_path / "here").read_bytes() == b"new"
    with pytest.raises(UsageError):
        save_to(str(tmp_path / "no such" / "place"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (b'{"metadata":{},"status":"Success"}', 0),
        (b'{"status":"Failure","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}', 3),
    ],
)
def test_the_exit_code_of_a_command(status: bytes, code: int) -> None:
    assert exit_code(status) == code


@pytest.mark.parametrize(
    "status", [b"", b"{", b'{"status":"Failure","message":"no such executable"}', b"[]"]
)
def test_a_command_that_did_not_run(status: bytes) -> None:
    with pytest.raises(JobmanError):
        exit_code(status)
