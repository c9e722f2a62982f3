"""`jobman submit` beyond the main road: limits, retries, arrays, secrets, manifests."""

from __future__ import annotations

import json
from typing import Any

import yaml
from kubernetes import client as k8s

POD = """
apiVersion: v1
kind: Pod
metadata: {name: solo, labels: {mine: "1"}}
spec:
  containers:
  - name: shell
    image: %s
    imagePullPolicy: IfNotPresent
    command: [sh, -c, 'echo "$1" "$2"; exit 5', sh, $$(A), $(A)]
    env: [{name: A, value: x}]
"""


def whole(jobman: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(jobman("details", name, "-o", "json").ok().out)
    return found


def row(jobman: Any, name: str) -> dict[str, Any]:
    (found,) = json.loads(jobman("list", name, "-o", "json").ok().out)
    return dict(found)


def test_a_time_limit_leaves_the_log(jobman: Any) -> None:
    words = ["sh", "-c", "echo up; sleep 60"]
    done = jobman("submit", "-j", "late", "--time-limit", "4s", "--wait", "--", *words)
    assert done.code not in (0, 124)
    assert "DeadlineExceeded" in done.talk
    assert row(jobman, "late")["reason"] == "DeadlineExceeded"
    assert jobman("logs", "late").ok().text == "up\n"


def test_retries(jobman: Any) -> None:
    done = jobman("submit", "-j", "again", "--retries", "1", "--wait", "--", "sh", "-c", "exit 3")
    assert done.code == 3
    assert len(whole(jobman, "again")["pods"]) == 2


def test_one_index_of_an_array_fails(jobman: Any) -> None:
    script = "echo task $JOB_COMPLETION_INDEX; test $JOB_COMPLETION_INDEX != 1"
    done = jobman("submit", "-j", "many", "--array", "3%2", "--wait", "--", "sh", "-c", script)
    assert done.code == 1
    found = whole(jobman, "many")
    status = found["job"]["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1")
    assert jobman("logs", "many").ok().text == "task 0\ntask 1\ntask 2\n"


def test_a_held_job_has_no_pod(jobman: Any) -> None:
    jobman.submit("-j", "held", "--hold", "--", "true")
    assert row(jobman, "held")["state"] == "Suspended"
    assert whole(jobman, "held")["pods"] == []


def test_where_and_with_what_it_runs(jobman: Any) -> None:
    """As the server keeps it; held, for not every cluster has all of this."""
    flags = {
        "--priority-class": "high",
        "--local-queue": "team",
        "--node-selector": "disk=fast",
        "--gpu-product": "A100",
        "--toleration": "dedicated=ml:NoSchedule",
        "--volume": "data:/data:ro",
        "--shm": "64Mi",
        "--secret-env": "keys",
        "--image-pull-secret": "registry",
        "--service-account": "runner",
        "--ttl": "1d",
        "--time-limit": "1-02:00:00",
    }
    words = [word for flag in flags.items() for word in flag]
    job = whole(jobman, jobman.submit("--hold", *words, "--", "true"))["job"]
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert (spec["suspend"], spec["ttlSecondsAfterFinished"]) == (True, 86400)
    assert (pod["activeDeadlineSeconds"], pod["priorityClassName"]) == (93600, "high")
    assert pod["nodeSelector"] == {"disk": "fast", "nvidia.com/gpu.product": "A100"}
    (toleration,) = pod["tolerations"]
    taint = {"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
    assert toleration == taint
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["serviceAccountName"] == "runner"
    container = pod["containers"][0]
    assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    data, shm = (volumes[mounts[path]["name"]] for path in ("/data", "/dev/shm"))
    assert mounts["/data"]["readOnly"]
    assert data["persistentVolumeClaim"] == {"claimName": "data", "readOnly": True}
    assert shm["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_a_job_that_is_deleted_at_its_end(jobman: Any, kubectl: Any) -> None:
    words = ["sh", "-c", "echo gone soon; sleep 1"]
    done = jobman("submit", "-j", "brief", "--ttl", "0s", "--follow", "--", *words).ok()
    assert done.text == "gone soon\n"
    kubectl("wait", "--for=delete", "job/brief", "--timeout=60s").ok()


def test_a_secret_as_variables(jobman: Any, api: k8s.ApiClient, namespace: str) -> None:
    secret = k8s.V1Secret(metadata=k8s.V1ObjectMeta(name="keys"), string_data={"KEY": "$(HOME)"})
    k8s.CoreV1Api(api).create_namespaced_secret(namespace, secret)
    words = ["sh", "-c", 'echo "$KEY"']
    assert jobman("submit", "--secret-env", "keys", "--follow", "--", *words).text == "$(HOME)\n"


def test_a_name_that_is_taken(jobman: Any) -> None:
    jobman.submit("-j", "once", "--", "true")
    done = jobman("submit", "-j", "once", "--", "true")
    assert done.code == 1
    assert "a job 'once' is there already" in done.talk


def test_a_pod_is_a_job_of_one_pod(jobman: Any) -> None:
    manifest = (POD % jobman.cluster.image).encode()
    done = jobman("submit", "-f", "-", "--follow", stdin=manifest)
    assert (done.code, done.text) == (5, "$(A) x\n")
    assert "Pod 'solo' is submitted as a Job of one pod" in done.talk
    assert row(jobman, "solo")["exitCode"] == 5


def test_an_exported_job_runs_again(jobman: Any, kubectl: Any) -> None:
    jobman.submit("-j", "first", "--wait", "--", "echo", "$x")
    exported = kubectl("get", "job", "first", "-o", "yaml").ok().out
    done = jobman("submit", "-f", "-", "-j", "second", "--follow", stdin=exported)
    assert done.ok().text == "$x\n"


def test_two_jobs_of_one_file(jobman: Any, tmp_path: Any) -> None:
    done = jobman("submit", "-j", "a", "--dry-run", "--", "true").ok()
    other = jobman("submit", "-j", "b", "--dry-run", "--", "sh", "-c", "exit 4").ok()
    (tmp_path / "jobs.yaml").write_text(f"{done.text}---\n{other.text}")
    done = jobman("submit", "-f", "jobs.yaml", "--wait")
    assert (done.code, done.text) == (1, "a\nb\n")


def test_the_server_sees_what_jobman_lets_through(jobman: Any) -> None:
    done = jobman("submit", "-j", "x", "--server-dry-run", "--cpu", "1.5", "--", "true").ok()
    seen = yaml.safe_load(done.out)
    container = seen["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["requests"]["cpu"] == "1500m"
    assert seen["metadata"]["uid"]


def test_the_way_back_is_told(jobman: Any) -> None:
    running = jobman.start("submit", "-j", "long", "--wait", "--", "sleep", "60")
    running.wait_for(b"long\n")
    running.interrupt()
    assert running.finish() == 130
    assert b"jobman logs -f long" in running.err
    jobman("delete", "long", "-y").ok()
