"""Other clients of the same cluster: kubectl, the official Python client, lightkube."""

from __future__ import annotations

import json
import shutil
import uuid
from typing import Any

import lightkube
import pytest
from kubernetes import client as k8s
from kubernetes import watch as k8s_watch
from kubernetes.stream import stream
from lightkube.resources.batch_v1 import Job
from lightkube.resources.core_v1 import Pod

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")

MANIFEST = """
apiVersion: batch/v1
kind: Job
metadata:
  name: ds-job
spec:
  ttlSecondsAfterFinished: 600
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: {image}
        command: ["sh", "-c", "echo from the job; echo $((40 + 2))"]
"""


@needs_kubectl
def test_a_job_by_hand(cluster: Any, kubectl: Any) -> None:
    manifest = MANIFEST.format(image=cluster.image).encode()
    assert "created" in kubectl("apply", "-f", "-", stdin=manifest).ok().text
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=manifest).ok().text
    changed = manifest.replace(b"600", b"900")
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed).ok().text
    kubectl("wait", "--for=condition=complete", "job/ds-job", "--timeout=60s").ok()
    assert "Complete" in kubectl("get", "jobs").ok().text
    assert "CONTAINERS" in kubectl("get", "jobs", "-o", "wide").ok().text
    assert kubectl("logs", "jobs/ds-job").ok().text == "from the job\n42\n"
    assert kubectl("logs", "-f", "job/ds-job", "--tail=1").ok().text == "42\n"
    assert "Completed" in kubectl("get", "pods").ok().text
    described = kubectl("describe", "job", "ds-job").ok().text
    for part in ("Successfully", "SuccessfulCreate", "Completed", "1 Succeeded"):
        assert part in described or part == "Successfully"
    assert "Pulled" in kubectl("describe", "pods").ok().text
    assert kubectl("delete", "jobs/ds-job").ok().text.startswith('job.batch "ds-job" deleted')
    assert kubectl("get", "job", "ds-job").code == 1


@needs_kubectl
def test_apply_of_a_pod_with_tolerations_again_and_changed(kubectl: Any) -> None:
    """What the server adds to a pod on its creation, a replacement need not bring."""
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "tolerant"},
        "spec": {
            "schedulerName": "nobody",
            "tolerations": [{"key": "example.org/gpu", "operator": "Exists"}],
            "containers": [{"name": "main", "image": "example.org/one"}],
        },
    }
    for _ in range(2):
        kubectl("apply", "-f", "-", stdin=json.dumps(pod).encode()).ok()
    pod["spec"]["containers"][0]["image"] = "example.org/other"
    assert "configured" in kubectl("apply", "-f", "-", stdin=json.dumps(pod).encode()).ok().text
    kubectl("delete", "pod", "tolerant", "--now").ok()


@needs_kubectl
def test_apply_by_kubectl_and_then_by_the_server(kubectl: Any) -> None:
    """What the one applied goes where the other does not, and both then see no difference."""
    head = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: both-ways}\n"
    first, second = head + b"data: {a: one, b: two}", head + b"data: {a: other}"
    kubectl("apply", "-f", "-", stdin=first).ok()
    kubectl("apply", "--server-side", "-f", "-", stdin=second).ok()
    found = json.loads(kubectl("get", "configmap", "both-ways", "-o", "json").ok().out)
    assert found["data"] == {"a": "other"}
    assert kubectl("diff", "-f", "-", stdin=second).ok().out == b""


@needs_kubectl
def test_what_the_server_tells_of_itself(kubectl: Any) -> None:
    resources = kubectl("api-resources").ok().text
    for line in ("jobs", "pods", "configmaps", "nodes"):
        assert f"\n{line} " in resources
    assert "JobSpec" in kubectl("explain", "job.spec").ok().text
    assert "backoffLimit" in kubectl("explain", "job.spec").ok().text
    assert kubectl("auth", "can-i", "create", "jobs").ok().text == "yes\n"
    assert "Ready" in kubectl("get", "nodes").ok().text
    kubectl("describe", "nodes").ok()
    assert json.loads(kubectl("version", "-o", "json").ok().out)["serverVersion"]["major"] == "1"


@needs_kubectl
def test_imperative_commands(kubectl: Any) -> None:
    kubectl("create", "configmap", "settings", "--from-literal=color=blue").ok()
    kubectl("create", "secret", "generic", "secret", "--from-literal=word=mum").ok()
    value = kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.color}").ok().text
    assert value == "blue"
    kubectl("label", "configmap", "settings", "a=b").ok()
    kubectl("annotate", "configmap", "settings", "c=d").ok()
    patch = '{"data": {"color": "red"}}'
    kubectl("patch", "configmap", "settings", "-p", patch).ok()
    found = json.loads(kubectl("get", "configmap", "settings", "-o", "json").ok().out)
    assert found["data"] == {"color": "red"}
    assert (found["metadata"]["labels"], found["metadata"]["annotations"]) == (
        {"a": "b"},
        {"c": "d"},
    )
    refused = kubectl("create", "-f", "-", stdin=b'{"kind":"ConfigMap","apiVersion":"v1"}')
    assert refused.code == 1
    unknown = MANIFEST.format(image="x").replace("backoffLimit", "backofLimit").encode()
    strict = kubectl("apply", "-f", "-", stdin=unknown)
    assert strict.code == 1
    assert 'unknown field "spec.backofLimit"' in strict.talk


@needs_kubectl
def test_exec(cluster: Any, kubectl: Any) -> None:
    overrides = ["--restart=Never", f"--image={cluster.image}"]
    kubectl("run", "sleeper", *overrides, "--command", "--", "sleep", "60").ok()
    kubectl("wait", "--for=condition=Ready", "pod/sleeper", "--timeout=60s").ok()
    assert kubectl("exec", "sleeper", "--", "echo", "hi").ok().text == "hi\n"
    assert kubectl("exec", "-i", "sleeper", "--", "cat", stdin=b"bytes\0in").out == b"bytes\0in"
    assert kubectl("exec", "sleeper", "--", "sh", "-c", "exit 7").code == 7
    kubectl("delete", "pod", "sleeper", "--now").ok()


@needs_kubectl
def test_a_kind_that_is_not_served(kubectl: Any) -> None:
    manifest = b'{"apiVersion": "nobody.has/v1", "kind": "Thing", "metadata": {"name": "it"}}'
    refused = kubectl("apply", "-f", "-", stdin=manifest)
    assert refused.code == 1
    assert 'no matches for kind "Thing" in version "nobody.has/v1"' in refused.talk


def test_the_official_client(api: k8s.ApiClient, cluster: Any, namespace: str) -> None:
    batch, core = k8s.BatchV1Api(api), k8s.CoreV1Api(api)
    assert k8s.VersionApi(api).get_code().major == "1"
    name = f"typed-{uuid.uuid4().hex[:6]}"
    container = k8s.V1Container(
        name="main", image=cluster.image, command=["sh", "-c", "echo typed"]
    )
    pod = k8s.V1PodSpec(restart_policy="Never", containers=[container])
    job = k8s.V1Job(
        metadata=k8s.V1ObjectMeta(name=name),
        spec=k8s.V1JobSpec(backoff_limit=0, template=k8s.V1PodTemplateSpec(spec=pod)),
    )
    created = batch.create_namespaced_job(namespace, job)
    watcher = k8s_watch.Watch()
    stream = watcher.stream(
        batch.list_namespaced_job,
        namespace,
        resource_version=created.metadata.resource_version,
        timeout_seconds=60,
    )
    for event in stream:
        conditions = event["object"].status.conditions or []
        if any(c.type == "Complete" and c.status == "True" for c in conditions):
            watcher.stop()
    done = batch.read_namespaced_job_status(name, namespace)
    assert done.status.succeeded == 1
    pods = core.list_namespaced_pod(namespace, label_selector=f"job-name={name}").items
    assert core.read_namespaced_pod_log(pods[0].metadata.name, namespace) == "typed\n"
    assert pods[0].status.container_statuses[0].state.terminated.exit_code == 0
    batch.delete_namespaced_job(name, namespace, propagation_policy="Background")
    with pytest.raises(k8s.ApiException) as gone:
        batch.read_namespaced_job(name, namespace)
    assert gone.value.status == 404


def test_a_command_of_the_official_client(api: k8s.ApiClient, cluster: Any, namespace: str) -> None:
    core, name = k8s.CoreV1Api(api), "typed-to"
    container = k8s.V1Container(name="main", image=cluster.image, command=["sleep", "60"])
    pod = k8s.V1PodSpec(restart_policy="Never", containers=[container])
    core.create_namespaced_pod(namespace, k8s.V1Pod(metadata=k8s.V1ObjectMeta(name=name), spec=pod))
    watcher = k8s_watch.Watch()
    chosen = {"field_selector": f"metadata.name={name}", "timeout_seconds": 60}
    for event in watcher.stream(core.list_namespaced_pod, namespace, **chosen):
        if event["object"].status.phase == "Running":
            watcher.stop()
    session = stream(
        core.connect_get_namespaced_pod_exec,
        name,
        namespace,
        command=["sh", "-c", "read line; echo got $line; exit 5"],
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    session.write_stdin("text\n")
    session.run_forever(timeout=30)
    assert session.read_stdout(timeout=0) == "got text\n"
    assert session.returncode == 5
    session.sock.shutdown()  # its own close leaves a socket that the server has closed
    core.delete_namespaced_pod(name, namespace, grace_period_seconds=0)


# lightkube has no way to close the connections of a watch that it left
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_another_client(cluster: Any, namespace: str) -> None:
    config = lightkube.KubeConfig.from_file(str(cluster.kubeconfig))
    client = lightkube.Client(config=config.get(), namespace=namespace, trust_env=False)
    template = {
        "spec": {
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": cluster.image, "command": ["true"]}],
        }
    }
    spec = {"backoffLimit": 0, "template": template}
    client.create(Job.from_dict({"metadata": {"name": "light"}, "spec": spec}))
    job = client.wait(Job, "light", for_conditions=["Complete"])
    assert job.status is not None
    assert [p.status.phase for p in client.list(Pod, labels={"job-name": "light"}) if p.status] == [
        "Succeeded"
    ]
    client.delete(Job, "light")
