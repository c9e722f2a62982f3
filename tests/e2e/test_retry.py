"""Jobs done over."""

from __future__ import annotations

import json
from typing import Any

from kubernetes import client as k8s


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
    assert "2 of 3 were not retried; the others were" in both.talk
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
    assert jobman("retry", name).code == 1
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
