"""A runner inside a cluster has no more rights than `jobman admin manifests --map` gives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import yaml
from kubernetes import client as k8s

ACCOUNT = "jobman-map"


@pytest.fixture
def give(jobman: Any, kubectl: Callable[..., Any]) -> Callable[..., None]:
    """Make the account with its Role, less one verb of one resource where it is named."""

    def give(resource: str = "", verb: str = "") -> None:
        text = jobman("-n", jobman.namespace, "admin", "manifests", "--map").ok().text
        found = list(yaml.safe_load_all(text))
        for rule in found[1]["rules"]:
            if resource in rule["resources"]:
                rule["verbs"] = [each for each in rule["verbs"] if each != verb] or ["none"]
        kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(found).encode()).ok()

    return give


def test_they_suffice_for_a_run(
    jobman: Any, give: Callable[..., None], as_account: Callable[[str], Any], api: k8s.ApiClient
) -> None:
    give()
    runner = as_account(ACCOUNT)
    script = "echo {{.Item}}; case {{.Item}} in b) exit 4;; esac"
    words = ("--stream-logs", "--image", jobman.cluster.image, "sh", "-c", script)
    result = runner("map", "-b", "{a,b,c}", *words)
    assert (result.code, "2 of 3 succeeded, 1 failed" in result.talk) == (1, True), result.talk
    assert "a second jobman map" not in result.talk
    assert runner("map", "-b", "{a,b,c}", "--rerun", *words).code == 1
    namespace = jobman.namespace
    assert k8s.CoreV1Api(api).list_namespaced_pod(namespace).items == []
    (lease,) = k8s.CoordinationV1Api(api).list_namespaced_lease(namespace).items
    assert not lease.spec.holder_identity


def test_they_suffice_for_a_run_that_was_handed_over(
    jobman: Any, give: Callable[..., None], as_account: Callable[[str], Any]
) -> None:
    """The same command as in the runner's pod, as the pod's account."""
    if not jobman.cluster.embedded:
        pytest.skip("what is handed over is on this machine on the embedded cluster alone")
    give()
    words = ("--image", jobman.cluster.image, "--", "echo", "{{.Item}}")
    run = jobman("map", "-b", "{a,b}", "--detach", *words).ok().text.strip()
    jobman("wait", f"map-{run}").ok()
    parcel = str(jobman.cwd / "JOBMAN" / ".parcel")
    result = as_account(ACCOUNT)("map", "carry-out", parcel, "--log-dir", "again").ok()
    assert "2 of 2 succeeded" in result.talk
    assert (jobman.cwd / "again" / f"{run}-1.log").read_text() == "b\n"


@pytest.mark.parametrize(
    ("resource", "verb", "said"),
    [
        ("pods", "watch", "watch pods"),
        ("pods", "delete", "delete pods"),
        ("pods/log", "get", "get pods --subresource=log"),
        ("leases", "create", "nothing keeps a second jobman map off this run"),
    ],
)
def test_one_verb_less_is_too_little(
    jobman: Any,
    give: Callable[..., None],
    as_account: Callable[[str], Any],
    resource: str,
    verb: str,
    said: str,
) -> None:
    give(resource, verb)
    words = ("--image", jobman.cluster.image, "--", "echo")
    result = as_account(ACCOUNT)("map", "--seq", "1", *words)
    assert said in result.talk
    assert result.code == (0 if resource == "leases" else 4)
