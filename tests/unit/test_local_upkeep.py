"""Quotas, nodes, and pods whose nodes fail them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plugins.local_registry import JOBS, config_map, job, names, node, pod, settle
from plugins.manual_clock import ManualClock

from jobman.local.api import quota as quotas
from jobman.local.api.quota_ledger import Sums
from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.api.status import ApiError
from jobman.local.api.users import User
from jobman.local.controllers import basics
from jobman.local.controllers.nodes import NodeController
from jobman.local.controllers.podgc import QUARANTINE_S, PodsOnNodes
from jobman.local.controllers.quota import QuotaController

Object = dict[str, Any]
TAINT = "node.kubernetes.io/"


def test_what_every_cluster_has(registry: Registry) -> None:
    version = registry.store.rv
    basics.ensure(registry)
    assert registry.store.rv == version
    assert names(registry.list("namespaces")) == list(basics.SYSTEM_NAMESPACES)
    classes = registry.list(basics.PRIORITY_CLASSES)
    assert [(c["metadata"]["name"], c["value"]) for c in classes] == [
        ("system-cluster-critical", 2_000_000_000),
        ("system-node-critical", 2_000_001_000),
    ]


def selected(scope: str, operator: str, *values: str) -> Object:
    wanted = {"scopeName": scope, "operator": operator}
    expression = wanted | ({"values": list(values)} if values else {})
    return {"scopeSelector": {"matchExpressions": [expression]}}


class TestQuota:
    def quota(self, **hard: str) -> Object:
        named = {key.replace("__", "/").replace("_", "."): value for key, value in hard.items()}
        about = {"metadata": {"name": "q"}, "spec": {"hard": named}}
        return {"kind": "ResourceQuota", "apiVersion": "v1", **about}

    @pytest.fixture
    def used(self, registry: Registry) -> Iterator[Callable[[], Object]]:
        controller = QuotaController(registry)
        stop = controller.start()

        def look() -> Object:
            settle(controller)
            return dict(registry.get("resourcequotas", "default", "q")["status"]["used"])

        yield look
        stop()

    def test_follows_what_comes_and_goes(
        self, registry: Registry, used: Callable[[], Object]
    ) -> None:
        registry.create("pods", "default", pod("early", {"cpu": "500m"}))
        hard = self.quota(pods="5", requests_cpu="4", count__jobs_batch="2", configmaps="9")
        registry.create("resourcequotas", "default", hard)
        nothing = {"count/jobs.batch": "0", "configmaps": "0"}
        assert used() == {"pods": "1", "requests.cpu": "500m", **nothing}
        registry.create("pods", "default", pod("a", {"cpu": "1"}))
        registry.create(JOBS, "default", job())
        registry.create("configmaps", "default", config_map("c"))
        registry.create("pods", "kube-system", pod("elsewhere", {"cpu": "1"}))
        both = {"count/jobs.batch": "1", "configmaps": "1"}
        assert used() == {"pods": "2", "requests.cpu": "1500m", **both}
        registry.modify("pods", "default", "a", lambda p: p["status"].update(phase="Failed"))
        assert used() == {"pods": "1", "requests.cpu": "500m", **both}
        registry.delete("pods", "default", "early", DeleteOptions(grace_s=0))
        registry.delete(JOBS, "default", "j")
        assert used() == {"pods": "0", "requests.cpu": "0", **both, "count/jobs.batch": "0"}

    def test_a_changed_quota_counts_the_new_names(
        self, registry: Registry, used: Callable[[], Object]
    ) -> None:
        registry.create("resourcequotas", "default", self.quota(pods="5"))
        registry.create("pods", "default", pod("a", {"cpu": "1"}))
        assert used() == {"pods": "1"}
        registry.modify(
            "resourcequotas", "default", "q", lambda q: q["spec"].update(hard={"requests.cpu": "3"})
        )
        assert used() == {"requests.cpu": "1"}

    def test_what_was_not_kept_is_not_counted(self, registry: Registry) -> None:
        registry.create("resourcequotas", "default", self.quota(pods="1"))
        with contextlib.suppress(ApiError), registry.store.together():
            registry.create("pods", "default", pod("a"))
            registry.create("pods", "default", pod("b"))  # refused, and nothing is kept
        assert registry.list("pods") == []
        registry.create("configmaps", "default", config_map("other"))
        registry.create("pods", "default", pod("b"))
        with pytest.raises(ApiError, match="exceeded quota"):
            registry.create("pods", "default", pod("c"))
        registry.delete("pods", "default", "b", DeleteOptions(grace_s=0))
        registry.create("pods", "default", pod("c"))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=20))
    def test_the_sum_is_that_of_the_parts(self, steps: list[tuple[str, int]]) -> None:
        sums, parts = Sums(), dict.fromkeys("abc", 0)
        for name, cores in steps:
            sums.put("pods", name, pod(name, {"cpu": str(cores)}) if cores else None)
            parts[name] = cores
        total = [amounts["requests.cpu"].value for amounts in sums.of.values()]
        assert sum(total) == sum(parts.values())
        assert sums.taken.keys() == {name for name, cores in parts.items() if cores}

    def test_agrees_with_admission(self, registry: Registry, used: Callable[[], Object]) -> None:
        registry.create("resourcequotas", "default", self.quota(pods="9", requests_memory="1Ti"))
        for number in range(3):
            registry.create("pods", "default", pod(f"p{number}", {"memory": "512Mi"}))
        names = ("pods", "requests.memory")
        counted = quotas.usage(registry, "default", names, lambda _seen: True)
        assert used() == counted == {"pods": "3", "requests.memory": "1536Mi"}

    @pytest.mark.parametrize(
        ("spec", "counted"),
        [
            ({"scopes": ["Terminating"]}, ["late"]),
            ({"scopes": ["NotTerminating", "BestEffort"]}, ["least"]),
            ({"scopes": ["NotBestEffort"]}, ["late", "urgent"]),
            (selected("PriorityClass", "In", "high"), ["urgent"]),
            (selected("PriorityClass", "NotIn", "high"), ["late", "least"]),
            (selected("PriorityClass", "Exists"), ["urgent"]),
            (selected("PriorityClass", "DoesNotExist"), ["late", "least"]),
            (selected("CrossNamespacePodAffinity", "Exists"), []),
        ],
    )
    def test_scopes_count_some_pods_alone(
        self, registry: Registry, used: Callable[[], Object], spec: Object, counted: list[str]
    ) -> None:
        high = {"metadata": {"name": "high"}, "value": 7}
        registry.create(basics.PRIORITY_CLASSES, "", high)
        quota = self.quota(pods=str(len(counted)))
        quota["spec"] |= spec
        registry.create("resourcequotas", "default", quota)
        registry.create("configmaps", "default", config_map("no-pod"))
        for made in (
            pod("late", {"cpu": "1"}, activeDeadlineSeconds=5),
            pod("least", {}),
            pod("urgent", {"cpu": "1"}, priorityClassName="high"),
        ):
            registry.create("pods", "default", made)
        assert used() == {"pods": str(len(counted))}
        for name in counted:
            again = {**registry.get("pods", "default", name), "metadata": {"name": f"{name}-2"}}
            with pytest.raises(ApiError, match="exceeded quota: q"):
                registry.create("pods", "default", again)


class Nodes:
    """The controllers that care for nodes, on a clock of ours."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.clock = ManualClock()
        self.controllers = [
            NodeController(registry, clock=self.clock),
            PodsOnNodes(registry, clock=self.clock),
        ]
        self.stops = [controller.start() for controller in self.controllers]

    def settle(self, after_s: float = 0) -> None:
        self.clock.advance(after_s)
        settle(*self.controllers)

    def remove_node(self) -> None:
        self.registry.delete("nodes", "", "n")
        self.settle()

    def taints(self, name: str = "n") -> list[tuple[str, str]]:
        spec = self.registry.get("nodes", "", name).get("spec", {})
        return [(t["key"].removeprefix(TAINT), t["effect"]) for t in spec.get("taints", [])]

    def set(self, change: Callable[[Object], Any]) -> None:
        self.registry.modify("nodes", "", "n", change)
        self.settle()

    def ready(self, value: str) -> None:
        self.set(lambda n: n["status"]["conditions"][0].update(status=value))

    def put(self, name: str, **spec: Any) -> Object:
        return self.registry.create("pods", "default", pod(name, nodeName="n", **spec))

    def pod(self, name: str) -> Object | None:
        return self.registry.find("pods", "default", name)


@pytest.fixture
def nodes(registry: Registry) -> Iterator[Nodes]:
    made = Nodes(registry)
    registry.create("nodes", "", node("n"))
    made.settle()
    yield made
    for stop in made.stops:
        stop()


def test_a_new_node_is_registered(nodes: Nodes) -> None:
    events = [e for e in nodes.registry.list("events") if e["reason"] == "RegisteredNode"]
    assert [e["message"] for e in events] == ["Node n event: Registered Node n in Controller"]
    assert nodes.taints() == []


def test_a_node_made_by_a_user_is_used_once_it_was_seen(nodes: Nodes) -> None:
    nodes.registry.create("nodes", "", node("late"), user=User("admin"))
    assert nodes.taints("late") == [("not-ready", "NoSchedule")]
    nodes.settle()
    assert nodes.taints("late") == []


def test_cordon_and_uncordon(nodes: Nodes) -> None:
    nodes.set(lambda n: n["spec"].update(unschedulable=True, taints=[own("a")]))
    assert nodes.taints() == [("a", "NoSchedule"), ("unschedulable", "NoSchedule")]
    nodes.set(lambda n: n["spec"].pop("unschedulable"))
    assert nodes.taints() == [("a", "NoSchedule")]


def own(key: str) -> Object:
    return {"key": key, "effect": "NoSchedule"}


@pytest.mark.parametrize(("value", "key"), [("False", "not-ready"), ("Unknown", "unreachable")])
def test_a_node_in_trouble_and_out_of_it(nodes: Nodes, value: str, key: str) -> None:
    nodes.ready(value)
    assert nodes.taints() == [(key, "NoSchedule"), (key, "NoExecute")]
    nodes.ready("True")
    assert nodes.taints() == []


def test_a_node_that_never_says_anything(nodes: Nodes) -> None:
    silent = node("silent")
    del silent["status"]["conditions"]
    nodes.registry.create("nodes", "", silent)
    nodes.settle(50)
    assert nodes.taints("silent") == []
    nodes.settle(11)
    assert nodes.taints("silent") == [("unreachable", "NoSchedule"), ("unreachable", "NoExecute")]
    conditions = nodes.registry.get("nodes", "", "silent")["status"]["conditions"]
    assert [(c["type"], c["status"], c["reason"]) for c in conditions] == [
        (kind, "Unknown", "NodeStatusNeverUpdated")
        for kind in ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
    ]


def test_pods_of_a_node_that_is_gone(nodes: Nodes) -> None:
    nodes.put("lost")
    nodes.put("finished")
    nodes.registry.modify(
        "pods", "default", "finished", lambda p: p["status"].update(phase="Succeeded")
    )
    nodes.settle()
    nodes.remove_node()
    nodes.settle(QUARANTINE_S - 1)
    assert nodes.pod("lost") is not None
    seen: list[Object] = []
    nodes.registry.store.subscribe(lambda change: seen.append(change.record.object()), "pods")
    nodes.settle(1)
    assert nodes.pod("lost") is None
    status = seen[-1]["status"]
    assert status["phase"] == "Failed"
    assert {k: v for k, v in status["conditions"][-1].items() if k != "lastTransitionTime"} == {
        "type": "DisruptionTarget",
        "observedGeneration": 1,
        "status": "True",
        "lastProbeTime": None,
        "reason": "DeletionByPodGC",
        "message": "PodGC: node no longer exists",
    }
    assert nodes.pod("finished") is not None


def test_a_node_that_comes_back_finds_its_pods(nodes: Nodes) -> None:
    nodes.put("kept")
    nodes.settle()
    nodes.remove_node()
    nodes.settle(QUARANTINE_S - 1)
    nodes.registry.create("nodes", "", node("n"))
    nodes.settle(QUARANTINE_S)
    assert nodes.pod("kept") is not None
    nodes.remove_node()  # which is waited for anew
    nodes.settle(QUARANTINE_S - 1)
    assert nodes.pod("kept") is not None


def test_pods_stand_trouble_for_as_long_as_they_say(nodes: Nodes) -> None:
    nodes.put("usual")
    nodes.put("steady", tolerations=[{"operator": "Exists"}])
    brief = {"key": f"{TAINT}not-ready", "operator": "Exists", "effect": "NoExecute"}
    nodes.put("brief", tolerations=[brief | {"tolerationSeconds": 10}])
    nodes.settle()
    nodes.ready("False")
    nodes.settle(11)
    going = {p["metadata"]["name"]: "deletionTimestamp" in p["metadata"] for p in pods(nodes)}
    assert going == {"usual": False, "steady": False, "brief": True}
    nodes.settle(300)
    going = {p["metadata"]["name"]: "deletionTimestamp" in p["metadata"] for p in pods(nodes)}
    assert going == {"usual": True, "steady": False, "brief": True}


def pods(nodes: Nodes) -> list[Object]:
    return nodes.registry.list("pods", "default")


def test_trouble_that_ends_evicts_nobody(nodes: Nodes) -> None:
    nodes.put("usual")
    nodes.settle()
    nodes.ready("False")
    nodes.settle(100)
    nodes.ready("True")
    nodes.settle(1000)
    assert "deletionTimestamp" not in pods(nodes)[0]["metadata"]


def test_a_pod_stands_a_taint_from_when_they_meet(nodes: Nodes) -> None:
    """As `kubectl taint` sets it: nobody has written down since when it is there."""
    taint = {"key": "mine", "value": "v", "effect": "NoExecute"}
    bounded = {"key": "mine", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}

    def going() -> dict[str, bool]:
        return {p["metadata"]["name"]: "deletionTimestamp" in p["metadata"] for p in pods(nodes)}

    nodes.put("early", tolerations=[bounded])
    nodes.settle()
    nodes.set(lambda n: n["spec"].update(taints=[taint]))
    nodes.settle(9)
    nodes.set(lambda n: n["spec"].update(taints=[]))
    nodes.settle(0.5)
    nodes.set(lambda n: n["spec"].update(taints=[taint]))
    nodes.settle(6)
    nodes.put("late", tolerations=[bounded])
    nodes.settle()
    assert going() == {"early": False, "late": False}
    nodes.settle(4)
    assert going() == {"early": True, "late": False}
    nodes.settle(6)
    assert going() == {"early": True, "late": True}


def test_a_deleted_pod_without_a_node_that_something_holds_fails(registry: Registry) -> None:
    clock = ManualClock()
    controller = PodsOnNodes(registry, clock=clock)
    stop = controller.start()
    held = pod("p")
    held["metadata"]["finalizers"] = ["x.io/hold"]
    registry.create("pods", "default", held)
    registry.delete("pods", "default", "p")

    def phase_after(seconds: float) -> str:
        clock.advance(seconds)
        settle(controller)
        return str(registry.get("pods", "default", "p")["status"]["phase"])

    assert (phase_after(0), phase_after(15), phase_after(10)) == ("Pending", "Pending", "Failed")
    stop()
