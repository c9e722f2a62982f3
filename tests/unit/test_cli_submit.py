"""`jobman submit`, whole, against a scripted server."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from plugins.command_line import Done, Run
from plugins.job_world import BATCH, CORE, JobWorld, a_pod, creating, exited, running, stuck
from plugins.queue_world import FORBIDDEN, JOBS, NODES, PODS, listed, machine
from plugins.queue_world import pod as a_pod_of_others
from plugins.scripted_server import Asked, Reply

from jobman.cli.app import application
from jobman.cli.context import AppContext

NO_GPU = {"name": "no-gpu", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
SMALL = {"name": "small-gpu", "resources": {"requests": {"cpu": 2, "nvidia.com/gpu": 1}}}
LARGE = {"name": "large-gpu", "resources": {"requests": {"cpu": 8, "nvidia.com/gpu": 4}}}
RESOURCES = {
    "default": "no-gpu",
    "label": "example.com/flavor",
    "predefined": [NO_GPU, SMALL, LARGE],
}
JOB = {"defaultImage": "alpine:3", "resources": RESOURCES}
MANIFEST = """\
apiVersion: batch/v1
kind: Job
metadata: {generateName: train-, labels: {mine: "1"}}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, args: [$(X)]}]}}}
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: i}]}
"""
Submit = Callable[..., Done]


@pytest.fixture
def submit(run: Run, world: JobWorld, tmp_path: Path) -> Submit:
    """Run `jobman submit` with these settings, against a server that creates what it is sent."""

    def create(asked: Asked) -> Reply:
        if asked.query.get("dryRun"):
            return Reply(201, asked.body | {"status": {}})
        made = world.jobs.put({"spec": {}, "status": {}} | asked.body)
        return Reply(201, {"kind": "Job", "apiVersion": "batch/v1"} | made)

    world.server.script("POST", BATCH, create)
    settings = tmp_path / "settings.json"

    def submit(
        *args: str,
        job: dict[str, Any] | None = None,
        env: dict[str, str] | None = None,
        **more: Any,
    ) -> Done:
        settings.write_text(json.dumps({"job": JOB | (job or {})}))
        env = {"JOBMAN_SETTINGS": str(settings)} | (env or {})
        return run("submit", *args, env=env, **more)

    return submit


def created(world: JobWorld) -> list[dict[str, Any]]:
    asked = world.server.asked("POST", BATCH)
    return [each.body for each in asked if "dryRun" not in each.query]


def pod_of(manifest: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return spec


def main_of(manifest: dict[str, Any]) -> dict[str, Any]:
    (container,) = pod_of(manifest)["containers"]
    return dict(container)


def printed(done: Done) -> dict[str, Any]:
    assert (done.code, done.talk) == (0, "")
    manifest: dict[str, Any] = yaml.safe_load(done.out)
    return manifest


def test_the_name_alone_is_on_stdout(submit: Submit, world: JobWorld) -> None:
    done = submit("--", "true")
    assert (done.code, done.talk) == (0, "")
    assert re.fullmatch(r"job-[bcdfghjklmnpqrstvwxz2456789]{5}\n", done.out)
    assert created(world)[0]["metadata"]["name"] == done.out.strip()


EXAMPLES = {
    "no-gpu": ["-i", "alpine", "-r", "no-gpu", "--", "ls", "-al", "/"],
    "small-gpu": [
        *("-i", "ubuntu_python_tensorflow:3.1cuda11", "-r", "small-gpu"),
        *("--", "sh", "-c", "nvidia-smi -L"),
    ],
    "large-gpu": [
        *("-i", "tf", "-r", "large-gpu", "--", "python3", "-c"),
        'exec("from tensorflow.python.client import device_lib\\ndevice_lib.list_local_devices()")',
    ],
}


@pytest.mark.parametrize("flavor", EXAMPLES)
def test_the_earlier_tools_examples(submit: Submit, world: JobWorld, flavor: str) -> None:
    words = EXAMPLES[flavor]
    assert submit(*words).code == 0
    (manifest,) = created(world)
    container = main_of(manifest)
    assert container["image"] == words[1]
    assert container["args"] == words[words.index("--") + 1 :]
    assert manifest["metadata"]["labels"]["jobman/flavor"] == flavor
    assert manifest["metadata"]["annotations"]["example.com/flavor"] == flavor
    gpus = {k: v for k, v in container["resources"]["requests"].items() if "gpu" in k}
    assert container["resources"].get("limits", {}) == gpus


def test_the_first_word_ends_the_options(submit: Submit, world: JobWorld) -> None:
    submit("-j", "x", "echo", "-n", "$x", "--wait", "--", "")
    (manifest,) = created(world)
    assert main_of(manifest)["args"] == ["echo", "-n", "$$x", "--wait", "--", ""]
    assert manifest["metadata"]["name"] == "x"


def test_an_image_of_its_own_entrypoint(submit: Submit, world: JobWorld) -> None:
    assert submit("-i", "runner").code == 0
    assert not {"args", "command"} & main_of(created(world)[0]).keys()


def test_flags_reach_the_manifest(submit: Submit, tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("# a comment\nF=1\nG=$(X)\nHOME\n")
    flags = [
        *("-j", "named", "-i", "r.io/x:1", "-r", "small-gpu", "-c", "-w", "/work"),
        *("-e", "G=2", "-e", "NEW", "--env-file", str(tmp_path / "vars")),
        *(
            "--label",
            "l=1",
            "--label",
            "l=2",
            "--annotation",
            "a=b=c",
            "-a",
            '{"a": "x", "j": "y"}',
        ),
        *("--cpu", "3", "--memory", "5Gi", "--gpus", "2"),
        *("--set-resource", "ephemeral-storage=1Gi,example.com/fpga=1"),
        *("--image-pull-policy", "IfNotPresent", "--time-limit", "1h30m", "--shm", "1Gi"),
    ]
    manifest = printed(submit(*flags, "--dry-run", "--", "run", env={"NEW": "n"}))
    container = main_of(manifest)
    assert manifest["metadata"]["name"] == "named"
    assert (container["image"], container["command"]) == ("r.io/x:1", ["run"])
    assert (container["workingDir"], container["imagePullPolicy"]) == ("/work", "IfNotPresent")
    env = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env.pop("HOME")
    assert env == {"F": "1", "G": "2", "NEW": "n"}
    extended = {"nvidia.com/gpu": "2", "example.com/fpga": "1"}
    assert container["resources"] == {
        "requests": {"cpu": "3", "memory": "5Gi", "ephemeral-storage": "1Gi"} | extended,
        "limits": extended,
    }
    assert manifest["metadata"]["labels"]["l"] == "2"
    notes = manifest["metadata"]["annotations"]
    assert (notes["a"], notes["j"]) == ("b=c", "y")
    assert json.loads(notes["jobman/flavor-spec"])["resources"]["requests"]["cpu"] == "3"
    assert pod_of(manifest)["activeDeadlineSeconds"] == 5400
    assert manifest["spec"]["template"]["metadata"]["annotations"] == notes


def test_settings_reach_the_manifest(submit: Submit) -> None:
    settings = {
        "imagePrefix": "harbor.example.com/team/",
        "imagePullPolicy": "Always",
        "imagePullSecrets": ["registry"],
        "priorityClassName": "batch",
        "securityContext": {"runAsUser": 1000, "fsGroup": 2000, "supplementalGroups": [1, 2]},
        "annotations": [
            {"key": "fixed", "value": "v"},
            {"key": "of-env", "value": "TEAM", "valueType": "env"},
            {"key": "unset", "value": "NOT_SET", "valueType": "env"},
            {"key": "example.com/flavor", "value": "settings"},
        ],
    }
    manifest = printed(submit("--dry-run", "--", "x", job=settings, env={"TEAM": "blue"}))
    assert main_of(manifest)["image"] == "harbor.example.com/team/alpine:3"
    assert main_of(manifest)["imagePullPolicy"] == "Always"
    pod = pod_of(manifest)
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["priorityClassName"] == "batch"
    assert pod["securityContext"] == settings["securityContext"]
    notes = manifest["metadata"]["annotations"]
    found = {key: value for key, value in notes.items() if not key.startswith("jobman/")}
    assert found == {"fixed": "v", "of-env": "blue", "example.com/flavor": "settings"}


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ("x", "h.io/p/x"),
        ("a/x:1", "h.io/p/a/x:1"),
        ("docker.io/library/x", "docker.io/library/x"),
        ("localhost/x", "localhost/x"),
        ("h:5000/x", "h:5000/x"),
    ],
)
def test_the_prefix_stands_before_names_without_a_registry(
    submit: Submit, image: str, result: str
) -> None:
    manifest = printed(submit("-i", image, "--dry-run", "--", "x", job={"imagePrefix": "h.io/p/"}))
    assert main_of(manifest)["image"] == result


def test_a_dry_run_asks_nobody(submit: Submit, world: JobWorld) -> None:
    manifest = printed(submit("--dry-run", "-n", "other", "--", "x"))
    assert manifest["metadata"]["namespace"] == "other"
    assert manifest["metadata"]["annotations"]["jobman/user"] == "alice"
    assert manifest["apiVersion"] == "batch/v1"
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("env", "user"),
    [({"JOBMAN_USER": "bob"}, "bob"), ({"KUBECONFIG": "/missing"}, None)],
    ids=["JOBMAN_USER", "no kubeconfig"],
)
def test_the_user_of_a_dry_run(submit: Submit, env: dict[str, str], user: str | None) -> None:
    notes = printed(submit("--dry-run", "--", "x", env=env))["metadata"]["annotations"]
    assert notes["jobman/user"] == user or (user is None and notes["jobman/user"] != "alice")


def test_a_dry_run_as_json(submit: Submit) -> None:
    done = submit("--dry-run", "-o", "json", "--", "a\nb")
    assert main_of(json.loads(done.out))["args"] == ["a\nb"]


def test_a_dry_run_for_the_embedded_cluster(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = {"PATH": "/my/bin", "CONDA_PREFIX": "/c", "SECRET": "s"}
    flags = ["--local", "--dry-run", "-e", "CONDA_PREFIX=mine"]
    container = main_of(printed(submit(*flags, "--", "x", env=env)))
    assert container["workingDir"] == str(tmp_path / "a home")
    env_sent = {entry["name"]: entry["value"] for entry in container["env"]}
    assert env_sent == {"PATH": "/my/bin", "CONDA_PREFIX": "mine"}
    moved = main_of(printed(submit(*flags, "-w", "/tmp", "--", "x", env=env)))
    assert moved["workingDir"] == "/tmp"


def test_what_of_the_caller_kubernetes_cannot_carry(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "\udcff")
    done = submit("--local", "--dry-run", "--", "x", env={"PATH": "/\udcff", "CONDA_A": "\udcff"})
    assert (done.code, done.out) == (2, "")
    assert "working directory" in done.talk
    assert "environment variable 'PATH': its value is not UTF-8" in done.talk
    flags = ["--local", "--dry-run", "-w", "/tmp", "-e", "PATH=/bin"]
    assert printed(submit(*flags, "--", "x", env={"PATH": "/\udcff"}))


def test_in_a_deleted_directory(
    submit: Submit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = submit("--local", "--dry-run", "--", "x")
    assert (done.code, done.out) == (2, "")
    assert done.talk.startswith("error: the working directory was deleted\nhint: -w DIR")
    assert main_of(printed(submit("--local", "--dry-run", "-w", "/tmp", "--", "x")))
    assert main_of(printed(submit("--dry-run", "--", "x")))


def test_the_embedded_cluster_needs_words(submit: Submit) -> None:
    done = submit("--local")
    assert done.code == 2
    assert done.talk.startswith("error: no command to run: on the embedded cluster no image")


def test_a_kubeconfig_of_the_embedded_cluster(submit: Submit, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "kubeconfig").write_text("{}")
    env = {"JOBMAN_LOCAL_STATE": str(state), "KUBECONFIG": str(state / "kubeconfig")}
    container = main_of(printed(submit("--dry-run", "--", "x", env=env)))
    assert container["workingDir"] == str(tmp_path / "a home")
    assert submit(env=env).code == 2


def test_the_embedded_cluster_adds_no_toleration(
    submit: Submit, world: JobWorld, tmp_path: Path
) -> None:
    """Elsewhere admission may add the one for a taint that is named after a resource."""
    taints = [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
    world.server.script("GET", NODES, listed(machine("n1", taints=taints)))
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(tmp_path / "config", state / "kubeconfig")
    env = {"JOBMAN_LOCAL_STATE": str(state), "KUBECONFIG": str(state / "kubeconfig")}
    words = ["-r", "small-gpu", "--", "x"]
    warning = "warning: no node may take it: 1 has the taint nvidia.com/gpu=present"
    assert warning in submit(*words, env=env).talk
    assert warning not in submit(*words, terminal=True).talk


def test_a_server_dry_run(submit: Submit, world: JobWorld) -> None:
    manifest = printed(submit("--server-dry-run", "-j", "x", "--", "x"))
    assert (manifest["metadata"]["name"], manifest["status"]) == ("x", {})
    (asked,) = world.server.asked("POST", BATCH)
    assert asked.query == {"fieldValidation": "Strict", "dryRun": "All"}
    assert world.jobs.objects == {}


def test_the_created_job_as_json(submit: Submit) -> None:
    done = submit("-o", "json", "-j", "x", "--", "x")
    assert json.loads(done.out)["metadata"]["uid"] == "uid-x"


def group_of_user(world: JobWorld, reply: Reply) -> dict[str, Any]:
    world.server.script("GET", f"{CORE}/configmaps/users", reply)
    return {"userConfigmap": "users", "securityContext": {"supplementalGroups": [1]}}


def test_the_users_group(submit: Submit, world: JobWorld) -> None:
    found = {"metadata": {"name": "users"}, "data": {"ceph.gid": "77"}}
    settings = group_of_user(world, Reply(200, found))
    assert submit("--", "x", job=settings).talk == ""
    assert pod_of(created(world)[0])["securityContext"] == {"supplementalGroups": [1, 77]}


def test_a_missing_group_is_told(submit: Submit, world: JobWorld) -> None:
    done = submit("--", "x", job=group_of_user(world, Reply(404)))
    assert done.code == 0
    assert "ConfigMap 'users' of namespace 'team' is not there" in done.talk
    assert pod_of(created(world)[0])["securityContext"] == {"supplementalGroups": [1]}


def test_everything_that_is_wrong_at_once(submit: Submit, world: JobWorld) -> None:
    done = submit(
        *("-j", "Bad", "-r", "smal-gpu", "-i", "UPPER", "-e", "NOPE", "--label", "x"),
        *("-a", "[]", "--annotation", "a b=c", "--time-limit", "soon", "--", "x"),
    )
    assert (done.code, done.out) == (2, "")
    lines = done.talk.splitlines()
    assert lines[0] == "error: 8 problems:"
    for part in ("'Bad'", "smal-gpu", "'UPPER'", "NOPE", "--label x", "-a []", "'a b'", "soon"):
        assert any(part in line for line in lines[1:]), part
    assert lines[-1].startswith("hint: flavors: ")
    assert world.server.requests == []


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--dry-run", "--server-dry-run"], "exclude each other"),
        (["--dry-run", "--wait"], "leave out --wait and --follow"),
        (["--server-dry-run", "--follow"], "leave out --wait and --follow"),
        (["--follow", "-o", "json"], "with --follow the log is on stdout"),
        (["--timeout", "5"], "--timeout bounds --wait or --follow"),
        (["--wait", "--timeout", "x"], "--timeout x: 'x' is no duration"),
        (["-n", "Bad_", "--dry-run"], "namespace 'Bad_': only lower case"),
        *(
            ([flag, ""], f"{flag}: its value is empty")
            for flag in ("-i", "-r", "-j", "-w", "--set-resource", "--priority-class", "--label")
        ),
        (["--gpu-product", "", "-i", "", "--cpu", "x"], "2 problems"),
        (["--cpu", "1", "--set-resource", "cpu=2"], "--cpu 1: --set-resource sets cpu too"),
        (["--set-resource", "cpu"], "--set-resource cpu: KEY=VALUE is needed"),
        (["--gpus", "0.5"], "'0.5' is no whole number"),
        (["--array", "99999999999"], "99999999999 tasks, 1 to 100000 are allowed"),
        (["--memory", "1Gb"], "'1Gb' is no quantity"),
        (["-a", '{"a": 1}'], "the value of 'a' is no text; write \"1\""),
        (["-f", "missing.yaml"], "-f missing.yaml: No such file or directory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_refused(submit: Submit, world: JobWorld, args: list[str], said: str) -> None:
    done = submit(*args) if "-f" in args else submit(*args, "--", "x")
    assert (done.code, done.out) == (2, "")
    assert said in done.talk
    assert "Traceback" not in done.talk
    assert created(world) == []


def test_a_manifest_and_a_pod(submit: Submit, world: JobWorld, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(MANIFEST + POD)
    done = submit("-f", str(file), "--label", "more=1", "--annotation", "n=1")
    assert done.code == 0
    assert re.fullmatch(r"train-[a-z0-9]{5}\np\n", done.out)
    assert f"{file}, document 2: Pod 'p' is submitted as a Job of one pod" in done.talk
    job, pod = created(world)
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["$(X)"]
    assert job["metadata"]["labels"].items() >= {"mine": "1", "more": "1"}.items()
    assert "jobman/flavor" not in job["metadata"]["labels"]
    assert job["metadata"]["annotations"]["n"] == "1"
    assert (pod["kind"], pod_of(pod)["restartPolicy"]) == ("Job", "Never")


def test_a_manifest_of_stdin(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MANIFEST.encode())))
    assert submit("-f", "-", "-j", "renamed").out == "renamed\n"


def test_a_dry_run_can_be_submitted(submit: Submit, world: JobWorld, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(submit("-j", "again", "-r", "small-gpu", "--dry-run", "--", "$x").out)
    assert submit("-f", str(file)).out == "again\n"
    (manifest,) = created(world)
    assert main_of(manifest)["args"] == ["$$x"]
    assert manifest["metadata"]["labels"]["jobman/flavor"] == "small-gpu"


def test_several_as_one_list(submit: Submit, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(MANIFEST + POD)
    listed = json.loads(submit("-f", str(file), "--dry-run", "-o", "json").out)
    assert (listed["kind"], len(listed["items"])) == ("List", 2)
    documents = list(yaml.safe_load_all(submit("-f", str(file), "--dry-run").out))
    assert [d["kind"] for d in documents] == ["Job", "Job"]


@pytest.mark.parametrize(
    ("content", "args", "said"),
    [
        (MANIFEST, ["-i", "x", "-e", "A=1", "--", "w"], "as it is: -i, -e cannot stand beside"),
        (MANIFEST, ["--", "word"], "the words 'word …' have no place in it"),
        (MANIFEST + POD, ["-j", "x"], "the manifest holds 2 jobs, each has its own name"),
        (MANIFEST, ["-j", "X"], "job name 'X': only lower case"),
        (MANIFEST + POD, ["--follow"], "--follow follows one job, the manifest holds 2"),
        (
            POD.replace("name: p", "name: p, namespace: a"),
            ["-n", "b"],
            "it names the namespace 'a'",
        ),
        (POD.replace("Pod", "Service"), [], "kind Service 'p': jobman submits Jobs and Pods"),
        ("a: [", [], "no YAML: line 2"),
        ("", [], "holds no Job and no Pod"),
        (MANIFEST, ["--label", "jobman/user=eve"], "'jobman/user' is written by jobman itself"),
    ],
)
def test_manifests_that_are_refused(
    submit: Submit, world: JobWorld, tmp_path: Path, content: str, args: list[str], said: str
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(content)
    done = submit("-f", str(file), *args)
    assert (done.code, done.out) == (2, "")
    assert said in done.talk
    assert created(world) == []


def test_what_was_submitted_before_a_refusal(
    submit: Submit, world: JobWorld, tmp_path: Path
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(POD + POD.replace("name: p", "name: taken"))
    status = {"kind": "Status", "reason": "AlreadyExists", "code": 409, "message": "there"}
    there = lambda asked: Reply(201, asked.body)  # noqa: E731
    world.server.script("POST", BATCH, there, there, there, Reply(409, status))
    done = submit("-f", str(file))
    assert (done.code, done.out) == (1, "p\n")
    assert "1 of 2 jobs were submitted before this one" in done.talk
    assert f"error: {file}, document 2 (taken): a job 'taken' is there already" in done.talk


@pytest.mark.parametrize("flags", [[], ["--server-dry-run"]], ids=["for real", "dry run"])
def test_nothing_is_submitted_of_several_where_the_server_refuses_one(
    submit: Submit, world: JobWorld, tmp_path: Path, flags: list[str]
) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(POD + POD.replace("name: p", "name: wrong"))
    status = {"kind": "Status", "reason": "Invalid", "code": 422, "message": "no comand"}
    world.server.script("POST", BATCH, lambda asked: Reply(201, asked.body), Reply(422, status))
    done = submit("-f", str(file), *flags)
    assert (done.code, done.out) == (2, "")
    assert f"error: {file}, document 2 (wrong): no comand" in done.talk
    assert "submitted before" not in done.talk
    assert len(world.server.asked("POST", BATCH)) == 2
    assert created(world) == []


def pod(
    world: JobWorld, status: dict[str, Any], log: bytes | Callable[[Asked], Reply] = b""
) -> Callable[[Asked], Reply]:
    """A server that makes the job's pod at once, with this status and log."""
    plain = {"Content-Type": "text/plain"}

    def create(asked: Asked) -> Reply:
        name = asked.body["metadata"]["name"]
        made = world.jobs.put({"status": {}} | asked.body)
        world.log(f"{name}-x", Reply(200, log, plain) if isinstance(log, bytes) else log)
        world.pods.put(a_pod(name, **status))
        return Reply(201, made)

    return create


@pytest.mark.parametrize(("status", "code"), [(exited(0), 0), (exited(3), 3), (exited(137), 137)])
def test_waiting_ends_with_the_jobs_exit_code(
    submit: Submit, world: JobWorld, status: dict[str, Any], code: int
) -> None:
    world.server.script("POST", BATCH, pod(world, status))
    done = submit("--wait", "-j", "x", "--", "x")
    assert (done.code, done.out) == (code, "x\n")
    assert ("job x: Failed: " in done.talk) == bool(code)


def test_a_terminal_is_told_what_the_job_waits_for(submit: Submit, world: JobWorld) -> None:
    def create(asked: Asked) -> Reply:
        made = world.jobs.put({"status": {}} | asked.body)
        world.refusal("x", 'pods "x-1" is forbidden: no PriorityClass with name high was found')
        return Reply(201, made)

    world.server.script("POST", BATCH, create)
    done = submit("-j", "x", "--", "x", terminal=True)
    assert (done.code, done.out) == (0, "x\n")
    assert "x cannot start: the cluster refuses its pods: " in done.talk


def test_a_terminal_is_told_how_much_is_missing(submit: Submit, world: JobWorld) -> None:
    def create(asked: Asked) -> Reply:
        made = world.jobs.put({"status": {}} | asked.body)
        pod = a_pod("x", phase="Pending", conditions=[unscheduled])
        spec = asked.body["spec"]["template"]["spec"] | {"nodeName": ""}
        world.pods.put(pod | {"spec": spec})
        return Reply(201, made)

    words = "0/1 nodes are available: 1 Insufficient memory."
    unscheduled = {"type": "PodScheduled", "status": "False", "message": words}
    node = machine("n1")
    node["status"]["allocatable"] = {"cpu": "16", "pods": "110", "memory": "65436Mi"}
    world.server.script("POST", BATCH, create)
    world.server.script("GET", NODES, listed(node))
    world.server.script("GET", JOBS, listed())
    world.server.script("GET", PODS, listed(a_pod_of_others("y", "big", node="n1", memory="48Gi")))
    done = submit("-j", "x", "--memory", "16Gi", "--", "x", terminal=True)
    assert "x waits: it needs 16 GiB of memory; 15.9 GiB of memory are free on n1: " in done.talk
    assert "100 MiB of memory are missing" in done.talk


def test_what_may_not_be_read_is_not_told(submit: Submit, world: JobWorld) -> None:
    world.server.script("GET", f"{CORE}/pods", FORBIDDEN)
    done = submit("-j", "x", "--", "x", terminal=True)
    assert (done.code, done.out, done.talk) == (0, "x\n", "")


def test_following_prints_the_log_alone(submit: Submit, world: JobWorld) -> None:
    log = b"2026-11-21T11:52:00.000000000Z one\n2026-11-21T11:52:01.000000000Z \xfftwo"
    world.server.script("POST", BATCH, pod(world, exited(4), log))
    done = submit("--follow", "-j", "x", "--", "x")
    assert (done.code, done.raw) == (4, b"one\n\xfftwo")
    assert done.talk.splitlines()[0] == "x"


@pytest.mark.parametrize("mode", ["--wait", "--follow"])
def test_a_job_that_can_never_start(submit: Submit, world: JobWorld, mode: str) -> None:
    status = stuck("InvalidImageName", "cannot parse it")
    world.server.script("POST", BATCH, pod(world, status))
    done = submit(mode, "-j", "x", "--", "x")
    assert done.code == 1
    assert "job x: Stuck: InvalidImageName: cannot parse it" in done.talk
    assert "jobman details x" in done.talk


@pytest.mark.parametrize("status", [creating(), running()], ids=["starting", "running"])
def test_a_timeout_bounds_the_waiting(
    submit: Submit, world: JobWorld, status: dict[str, Any]
) -> None:
    world.server.script("POST", BATCH, pod(world, status))
    done = submit("--wait", "--timeout", "1", "-j", "x", "--", "x")
    assert (done.code, done.out) == (124, "x\n")
    assert "job x has not finished after 1s; the job goes on" in done.talk
    assert "jobman logs -f x" in done.talk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.usefixtures("world")
def test_a_full_disk_does_not_hide_the_name(submit: Submit, tmp_path: Path) -> None:
    submit("-j", "first", "--", "x")
    told = on_a_full_disk(tmp_path, "submit", "-j", "second", "--", "x")
    assert "submitted all the same: second" in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_does_not_hide_what_is_done_over(
    submit: Submit, world: JobWorld, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        submit("-j", name, "--", "x")
        conditions = [{"type": "Complete", "status": "True"}]
        world.jobs.update(name, status={"conditions": conditions, "succeeded": 1})
    told = on_a_full_disk(tmp_path, "retry", "a", "b")
    assert "submitted all the same: a-r2, b-r2" in told


def on_a_full_disk(tmp_path: Path, *words: str) -> str:
    """What the command says on stderr when stdout takes nothing."""
    err = io.StringIO()
    environ = {"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "config")}
    command: Any = typer.main.get_command(application())
    full = Path("/dev/full").open("w")  # noqa: SIM115 closing it fails too
    context = AppContext(out=full, err=err, environ=environ)
    with pytest.raises(SystemExit) as ended:
        command.main([*words], prog_name="jobman", obj=context)
    with contextlib.suppress(OSError):
        full.close()
    assert ended.value.code == 1
    assert "error: writing the output: No space left on device" in err.getvalue()
    return err.getvalue()


@pytest.fixture
def interrupts() -> Iterator[None]:
    """Ctrl-C as it was, after a command that changed what it does."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_an_interrupt_leaves_the_job_running(submit: Submit, world: JobWorld) -> None:
    def interrupting(asked: Asked) -> Reply:
        signal.raise_signal(signal.SIGINT)
        return Reply(chunks=[b"2026-11-21T11:52:00.000000000Z one\n"])

    world.server.script("POST", BATCH, pod(world, running(), interrupting))
    done = submit("--follow", "-j", "x", "--", "x")
    assert done.code == 130
    assert "the job goes on" in done.talk
    assert "jobman logs -f x" in done.talk
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_several_waited_for(submit: Submit, world: JobWorld, tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(POD + POD.replace("name: p", "name: q"))
    world.server.script("POST", BATCH, pod(world, exited(0)), pod(world, exited(7)))
    done = submit("-f", str(file), "--wait")
    assert (done.code, done.out) == (1, "p\nq\n")
    assert "job q: Failed" in done.talk


def test_of_several_jobs_the_one_that_never_fits_is_named(
    submit: Submit, world: JobWorld, tmp_path: Path
) -> None:
    world.server.script("GET", NODES, listed(machine("n1")))
    asks = "image: i, resources: {requests: {cpu: 100}}"
    big = MANIFEST.replace("generateName: train-", "name: big").replace("image: i", asks)
    file = tmp_path / "two.yaml"
    file.write_text(f"{MANIFEST}---\n{big}")
    done = submit("-f", str(file), terminal=True)
    assert len(created(world)) == 2
    assert done.talk.startswith("warning: ")
    assert "two.yaml, document 2 (big): it can never fit: it asks for 100 cpu" in done.talk
