"""What goes with what: owners, dependents, namespaces, time to live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from plugins.local_registry import JOBS, config_map, job, names, owner, pod, settle
from plugins.manual_clock import ManualClock
from plugins.work import assert_grows_in_proportion

from jobman.local.api.registry import DeleteOptions, Registry
from jobman.local.controllers.garbage import GarbageCollector
from jobman.local.controllers.job import JobController
from jobman.local.controllers.namespaces import NamespaceController
from jobman.local.controllers.serviceaccounts import BUNDLE, NamespaceDefaults
from jobman.local.controllers.ttl import TtlController
from jobman.local.stored import Change

Object = dict[str, Any]
Collect = Callable[[], list[str]]


@pytest.fixture
def collect(registry: Registry) -> Iterator[Collect]:
    """Let the collector work; the ConfigMaps that are left."""
    collector = GarbageCollector(registry)
    stop = collector.start()

    def work() -> list[str]:
        settle(collector)
        return names(registry.list("configmaps", "default"))

    yield work
    stop()


def make(registry: Registry, name: str, *owners: Object) -> Object:
    return registry.create("configmaps", "default", config_map(name, list(owners)))


def delete(registry: Registry, name: str, propagation: Any = "Background") -> None:
    registry.delete("configmaps", "default", name, DeleteOptions(propagation=propagation))


def test_dependents_go_with_their_owner(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    middle = make(registry, "middle", owner(top))
    make(registry, "bottom", owner(middle))
    make(registry, "other")
    assert collect() == ["bottom", "middle", "other", "top"]
    delete(registry, "top")
    assert collect() == ["other"]


def test_what_is_born_without_its_owner_goes(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    delete(registry, "top")
    make(registry, "dangling", owner(top))
    again = make(registry, "top")
    make(registry, "namesake", owner(again) | {"uid": "another"})
    assert collect() == ["top"]


def test_owners_of_unknown_kinds_are_believed(registry: Registry, collect: Collect) -> None:
    stranger = {"apiVersion": "x.io/v1", "kind": "Thing", "name": "t", "uid": "u"}
    make(registry, "owned", stranger)
    assert collect() == ["owned"]


def test_one_owner_is_enough(registry: Registry, collect: Collect) -> None:
    one, other = make(registry, "one"), make(registry, "other")
    make(registry, "shared", owner(one) | {"controller": False}, owner(other))
    delete(registry, "one")
    assert collect() == ["other", "shared"]
    left = registry.get("configmaps", "default", "shared")["metadata"]["ownerReferences"]
    assert [ref["name"] for ref in left] == ["other"]
    delete(registry, "other")
    assert collect() == []


def test_foreground_waits_for_those_that_block(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    held = make(registry, "held", owner(top))
    make(registry, "free", owner(top, blocks=False))
    registry.modify(
        "configmaps", "default", "held", lambda o: o["metadata"].update(finalizers=["x.io/y"])
    )
    assert held
    delete(registry, "top", "Foreground")
    assert collect() == ["held", "top"]
    assert registry.get("configmaps", "default", "top")["metadata"]["finalizers"] == [
        "foregroundDeletion"
    ]
    registry.modify("configmaps", "default", "held", lambda o: o["metadata"].pop("finalizers"))
    assert collect() == []


def test_foreground_goes_all_the_way_down(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    middle = make(registry, "middle", owner(top))
    make(registry, "bottom", owner(middle))
    delete(registry, "top", "Foreground")
    assert collect() == []


def test_a_circle_goes(registry: Registry, collect: Collect) -> None:
    one = make(registry, "one")
    other = make(registry, "other", owner(one) | {"blockOwnerDeletion": True})

    def close(obj: Object) -> None:
        obj["metadata"]["ownerReferences"] = [owner(other) | {"blockOwnerDeletion": True}]

    registry.modify("configmaps", "default", "one", close)
    delete(registry, "one", "Foreground")
    assert collect() == []


def test_orphans_stay_without_the_reference(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    make(registry, "left", owner(top))
    delete(registry, "top", "Orphan")
    assert collect() == ["left"]
    assert "ownerReferences" not in registry.get("configmaps", "default", "left")["metadata"]


def test_a_lost_reference_is_no_reason(registry: Registry, collect: Collect) -> None:
    top = make(registry, "top")
    make(registry, "freed", owner(top))
    registry.modify(
        "configmaps", "default", "freed", lambda o: o["metadata"].pop("ownerReferences")
    )
    delete(registry, "top")
    assert collect() == ["freed"]


def test_a_collector_that_was_away_catches_up(registry: Registry) -> None:
    top = make(registry, "top")
    make(registry, "owned", owner(top))
    make(registry, "waiting")
    delete(registry, "top")
    delete(registry, "waiting", "Foreground")
    collector = GarbageCollector(registry)
    stop = collector.start()
    settle(collector)
    stop()
    assert registry.list("configmaps", "default") == []


def test_a_pod_of_a_deleted_job_ends_with_grace(registry: Registry) -> None:
    controllers = (JobController(registry), GarbageCollector(registry))
    stops = [controller.start() for controller in controllers]
    registry.create(JOBS, "default", job())
    settle(*controllers)
    (made,) = registry.list("pods", "default")
    registry.modify(
        "pods", "default", made["metadata"]["name"], lambda p: p["spec"].update(nodeName="n")
    )
    registry.delete(JOBS, "default", "j")
    settle(*controllers)
    (going,) = registry.list("pods", "default")
    assert "finalizers" not in going["metadata"]
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    for stop in stops:
        stop()


class TestNamespaces:
    @pytest.fixture
    def home(self, registry: Registry) -> str:
        namespace = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "team"}}
        registry.create("namespaces", "", {**namespace, "spec": {}})
        return "team"

    def emptied(self, registry: Registry) -> None:
        controllers = (
            JobController(registry),
            GarbageCollector(registry),
            NamespaceController(registry),
        )
        stops = [controller.start() for controller in controllers]
        settle(*controllers)
        for stop in stops:
            stop()

    def test_all_of_it_goes(self, registry: Registry, home: str) -> None:
        registry.create(JOBS, home, job())
        registry.create("pods", home, pod("p"))
        registry.create("configmaps", home, config_map("c"))
        registry.create("configmaps", "default", config_map("c"))
        registry.delete("namespaces", "", home)
        self.emptied(registry)
        assert registry.find("namespaces", "", home) is None
        assert registry.list("pods", home) == registry.list("configmaps", home) == []
        assert names(registry.list("configmaps", "default")) == ["c"]

    def test_what_waits_is_told(self, registry: Registry, home: str) -> None:
        registry.create("pods", home, pod("p", nodeName="n"))
        held = config_map("c")
        held["metadata"]["finalizers"] = ["x.io/y"]
        registry.create("configmaps", home, held)
        registry.delete("namespaces", "", home)
        self.emptied(registry)
        found = registry.get("namespaces", "", home)
        conditions = {c["type"]: c for c in found["status"]["conditions"]}
        assert found["status"]["phase"] == "Terminating"
        assert conditions["NamespaceContentRemaining"]["message"] == (
            "Some resources are remaining: configmaps. has 1 resource instances,"
            " pods. has 1 resource instances"
        )
        assert conditions["NamespaceFinalizersRemaining"]["message"] == (
            "Some content in the namespace has finalizers remaining: x.io/y in 1 resource instances"
        )
        registry.modify("configmaps", home, "c", lambda o: o["metadata"].pop("finalizers"))
        registry.delete("pods", home, "p", DeleteOptions(grace_s=0))
        self.emptied(registry)
        assert registry.find("namespaces", "", home) is None

    def test_the_conditions_are_those_of_a_real_server(self, registry: Registry, home: str) -> None:
        seen: list[list[tuple[str, ...]]] = []

        def look(change: Any) -> None:
            told = change.record.object()["status"].get("conditions", [])
            seen.append([(c["type"], c["status"], c["reason"], c["message"]) for c in told])

        registry.store.subscribe(look, "namespaces")
        registry.delete("namespaces", "", home)
        self.emptied(registry)
        done = "All content successfully deleted, may be waiting on finalization"
        assert seen[-1] == [
            (
                "NamespaceDeletionDiscoveryFailure",
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            ("NamespaceDeletionContentFailure", "False", "ContentDeleted", done),
            (
                "NamespaceContentRemaining",
                "False",
                "ContentRemoved",
                "All content successfully removed",
            ),
            (
                "NamespaceFinalizersRemaining",
                "False",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            ),
        ]

    def test_each_has_an_account_and_the_ca(self, registry: Registry, home: str) -> None:
        defaults = NamespaceDefaults(registry, "PEM")
        stop = defaults.start()
        settle(defaults)
        for namespace in ("default", "kube-system", home):
            assert names(registry.list("serviceaccounts", namespace)) == ["default"]
            assert registry.get("configmaps", namespace, BUNDLE)["data"] == {"ca.crt": "PEM"}
        registry.delete("serviceaccounts", home, "default")
        registry.delete("configmaps", home, BUNDLE)
        registry.modify("configmaps", "default", BUNDLE, lambda o: o.update(data={"a": "b"}))
        settle(defaults)
        stop()
        assert names(registry.list("serviceaccounts", home)) == ["default"]
        assert registry.get("configmaps", "default", BUNDLE)["data"] == {"ca.crt": "PEM"}


@pytest.mark.parametrize("ttl_s", [0, 30])
def test_a_finished_job_goes_after_its_time(registry: Registry, ttl_s: int) -> None:
    clock = ManualClock()
    controllers = (
        JobController(registry, clock=clock),
        GarbageCollector(registry, clock=clock),
        TtlController(registry, clock=clock),
    )
    stops = [controller.start() for controller in controllers]
    registry.create(JOBS, "default", job(completions=0, ttlSecondsAfterFinished=ttl_s))
    registry.create(JOBS, "default", job("kept", completions=0))
    settle(*controllers)
    assert names(registry.list(JOBS)) == (["j", "kept"] if ttl_s else ["kept"])
    clock.advance(ttl_s)
    settle(*controllers)
    assert names(registry.list(JOBS)) == ["kept"]
    for stop in stops:
        stop()


@pytest.mark.parametrize(
    ("since", "seconds", "goes"),
    [
        ("9999-12-31T23:59:59Z", 2**31 - 1, False),
        ("0001-01-02T00:00:00Z", 2**31 - 1, True),
        (None, 0, False),
    ],
)
def test_a_job_that_finished_at_an_odd_time(
    registry: Registry,
    caplog: pytest.LogCaptureFixture,
    since: str | None,
    seconds: int,
    goes: bool,
) -> None:
    clock = ManualClock()
    controllers = JobController(registry, clock=clock), TtlController(registry, clock=clock)
    stops = [controller.start() for controller in controllers]
    registry.create(JOBS, "default", job(ttlSecondsAfterFinished=seconds))

    def finish(found: Object) -> None:
        end = {"type": "Complete", "status": "True", "lastTransitionTime": since}
        found["status"]["conditions"] = [{k: v for k, v in end.items() if v}]

    registry.modify(JOBS, "default", "j", finish)
    settle(*controllers)
    assert bool(registry.get(JOBS, "default", "j")["metadata"].get("deletionTimestamp")) is goes
    assert not caplog.records
    for stop in stops:
        stop()


def test_a_namespace_whose_conditions_are_bare_can_be_deleted(registry: Registry) -> None:
    controller = NamespaceController(registry)
    stop = controller.start()
    told = {"conditions": [{}, {"type": "NamespaceContentRemaining", "status": "True"}]}
    registry.create("namespaces", "", {"kind": "Namespace", "metadata": {"name": "odd"}})
    registry.modify("namespaces", "", "odd", lambda found: found.update(status=told))
    kept = config_map("kept") | {"metadata": {"name": "kept", "finalizers": ["a/b"]}}
    registry.create("configmaps", "odd", kept)
    registry.delete("namespaces", "", "odd")
    settle(controller)
    conditions = registry.get("namespaces", "", "odd")["status"]["conditions"]
    assert all(each["lastTransitionTime"] for each in conditions)
    stop()


def test_of_many_owners_that_are_not_there_each_is_looked_at_once(registry: Registry) -> None:
    """They are dropped one with the other, when the object is told to go."""

    def told(many: int) -> Callable[[], object]:
        absent = {"apiVersion": "v1", "kind": "ConfigMap", "name": "no"}
        owners = [absent | {"uid": f"u{number}"} for number in range(many)]
        made = make(registry, f"c{many}", *owners)
        collector = GarbageCollector(registry)

        def keys() -> None:
            (there,) = (r for r in registry.store.list("configmaps") if r.uid == made_uid)
            added = Change("ADDED", there.rv, there, None)
            collector.keys_of(added)
            collector.keys_of(Change("DELETED", there.rv, there, there))

        made_uid = made["metadata"]["uid"]
        return keys

    assert_grows_in_proportion(lambda keys: keys(), told)
