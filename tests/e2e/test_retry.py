"""Jobs done over."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kubernetes import client as k8s
from kubernetes import watch as k8s_watch
from plugins.terminal import on_terminal


def waited(jobman: Any, *args: str) -> str:
    return str(jobman("submit", "--wait", *args).text.strip())


def exit_code(jobman: Any, name: str) -> int:
    """That of a job, when it is over."""
    jobman("logs", "-f", name)
    (found,) = json.loads(jobman("list", name, "-o", "json").ok().out)
    return int(found["exitCode"])


def test_a_failed_job_done_over(jobman: Any) -> None:
    name = waited(jobman, "-j", "train", "-e", "A=$x", "--", "sh", "-c", 'echo "$A"; exit 3')
    assert jobman("retry", name).ok().text == "train-r2\n"
    assert exit_code(jobman, "train-r2") == 3
    assert jobman("logs", "train-r2").ok().text == "$x\n"
    assert "Retry of:    train\n" in jobman("details", "train-r2").ok().text
    assert jobman("retry", "train-r2", "--failed").ok().text == "train-r3\n"


def test_another_flavor(jobman: Any, api: Any, namespace: str) -> None:
    name = waited(jobman, "-j", "small", "--node-selector", "kubernetes.io/os=linux", "--", "false")
    flavor = {"name": "other", "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}}}
    assert jobman("retry", name, "-r", json.dumps(flavor)).ok().text == "small-r2\n"
    assert jobman("retry", name, "--set-resource", "cpu=30m").ok().text == "small-r3\n"
    batch = k8s.BatchV1Api(api)
    second, third = (batch.read_namespaced_job(f"small-r{n}", namespace) for n in (2, 3))
    assert second.metadata.labels["jobman/flavor"] == "other"
    assert second.metadata.annotations["jobman/retry-of"] == "small"
    for job, wanted in ((second, {"cpu": "20m", "memory": "32Mi"}), (third, {"cpu": "30m"})):
        pod = job.spec.template.spec
        assert pod.containers[0].resources.requests == wanted
        assert pod.node_selector == {"kubernetes.io/os": "linux"}


def test_the_failed_indexes_of_an_array(jobman: Any) -> None:
    script = 'case "$JOB_COMPLETION_INDEX" in 1|3) exit 1;; esac'
    name = waited(jobman, "-j", "grid", "--array", "4", "--", "sh", "-c", script)
    assert jobman("retry", name, "--failed").ok().text == "grid-1\ngrid-3\n"
    assert [exit_code(jobman, f"grid-{index}") for index in (1, 3)] == [1, 1]
    assert jobman("retry", name).ok().text == "grid-r2\n"


def test_what_cannot_be_done_over(jobman: Any) -> None:
    held = jobman.submit("--hold", "--", "true")
    good = waited(jobman, "--", "true")
    refused = jobman("retry", held)
    assert refused.code == 1
    assert "it is not over" in refused.talk
    both = jobman("retry", good, held, "nope")
    assert both.code == 1
    assert both.text == f"{good}-r2\n"
    assert "2 of 3 were not retried; the other was" in both.talk
    assert jobman("retry", good, "-r", "nope").code == 2
    assert jobman("retry", good, "--failed").code == 1
    jobman("cancel", held).ok()
    assert jobman("retry", held).ok().text == f"{held}-r2\n"
    assert exit_code(jobman, f"{held}-r2") == 0


def test_an_array_that_still_runs(jobman: Any) -> None:
    script = 'case "$JOB_COMPLETION_INDEX" in 0) exit 1;; *) echo up; sleep 600;; esac'
    name = jobman.submit("-j", "half", "--array", "2", "--", "sh", "-c", script)
    following = jobman.start("logs", "-f", "--index", "1", name)
    following.wait_for(b"up")
    following.interrupt()
    following.finish()
    refused = jobman("retry", name)
    assert (refused.code, "--failed does its failed indexes" in refused.talk) == (1, True)
    assert jobman("retry", name, "--failed").ok().text == "half-0\n"
    assert exit_code(jobman, "half-0") == 1


def test_a_job_of_kubectl(jobman: Any, kubectl: Any) -> None:
    image = jobman.env["JOBMAN_IMAGE"]
    kubectl("create", "job", "plain", f"--image={image}", "--", "sleep", "600").ok()
    refused = jobman("retry", "plain")
    assert refused.code == 4
    assert "not made by jobman" in refused.talk
    assert jobman("retry", "plain", "--force").code == 1
    assert jobman("cancel", "plain", "--force").ok().text == "plain cancelled\n"
    assert jobman("retry", "plain", "--force").ok().text == "plain-r2\n"
    assert "Retry of:    plain\n" in jobman("details", "plain-r2").ok().text


FLAVORS = [
    {"name": name, "resources": {"requests": {"cpu": "10m", "memory": memory}}}
    for name, memory in (("vast", "4Gi"), ("small", "64Mi"), ("mid", "96Mi"))
]


def test_a_bigger_flavor_after_too_little_memory(jobman: Any, api: Any, namespace: str) -> None:
    """No node takes the pod, so that its status is this test's to write."""
    settings = jobman.cwd / "flavors.json"
    settings.write_text(json.dumps({"job": {"resources": {"predefined": FLAVORS}}}))
    env = jobman.env | {"JOBMAN_SETTINGS": str(settings), "JOBMAN_FLAVOR": "small"}
    train = replace(jobman, env=env)
    name = train.submit("-j", "train", "--node-selector", "no.such/label=x", "--", "true")
    out_of_memory(api, namespace, name)
    assert train("wait", name).code == 137
    assert "OOMKilled" in train("list", name).ok().text

    told = train("retry", name).ok()
    assert told.text == "train-r2\n"
    assert "train was OOMKilled with 64Mi; flavor mid has 96Mi" in told.talk
    assert "hint: jobman retry train -r mid" in told.talk
    with on_terminal(["retry", name], env, jobman.cwd) as terminal:
        terminal.wait_for(b"take mid?")
        terminal.type(b"y\n")
        assert terminal.finish() == 0, terminal.seen
    made = [k8s.BatchV1Api(api).read_namespaced_job(f"train-r{n}", namespace) for n in (2, 3)]
    containers = [job.spec.template.spec.containers[0] for job in made]
    assert [each.resources.requests["memory"] for each in containers] == ["64Mi", "96Mi"]
    assert [job.metadata.labels["jobman/flavor"] for job in made] == ["small", "mid"]


def out_of_memory(api: Any, namespace: str, job: str) -> None:
    """Write the end that a kubelet writes when the kernel has killed the container."""
    core = k8s.CoreV1Api(api)
    watch = k8s_watch.Watch()
    selector = f"batch.kubernetes.io/job-name={job}"
    pods = core.list_namespaced_pod
    for change in watch.stream(pods, namespace, label_selector=selector, timeout_seconds=60):
        pod = change["object"].metadata.name
        watch.stop()
    end = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-11-21T12:00:00Z"}
    end["startedAt"] = end["finishedAt"]
    main = {"name": "main", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
    status = {"phase": "Failed", "containerStatuses": [main | {"state": {"terminated": end}}]}
    core.patch_namespaced_pod_status(pod, namespace, {"status": status})
