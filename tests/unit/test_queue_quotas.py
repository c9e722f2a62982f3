"""Which pods a ResourceQuota is for, how many more it lets in, and what nobody judges."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from jobman.config.flavors import Flavor
from jobman.kube.bounds import ResourceQuota
from jobman.kube.objects import PodSpec
from jobman.queue import flavors, quotas
from jobman.queue.nodes import NodeView
from jobman.queue.rules import Wanted
from jobman.why import scheduling

GPU = "nvidia.com/gpu"


def spec(*containers: dict[str, Any], **fields: Any) -> Wanted:
    body = {"containers": [*containers]} | fields
    return Wanted.of(msgspec.convert(body, PodSpec))


def asking(requests: dict[str, str] | None = None, **limits: str) -> dict[str, Any]:
    return {"resources": {"requests": requests or {}, "limits": limits}}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **fields: Any) -> quotas.Quota:
    body = {"metadata": {"name": "q"}, "spec": {"hard": hard} | fields}
    body["status"] = {"hard": hard, "used": used or {}}
    [found] = quotas.of([msgspec.convert(body, ResourceQuota)])
    return found


PLAIN = spec(asking({"cpu": "1", "memory": "1Gi"}, memory="2Gi"))


@pytest.mark.parametrize(
    ("hard", "asked", "rooms"),
    [
        pytest.param({"limits.memory": "10Gi"}, PLAIN, [5], id="limits"),
        pytest.param({"requests.memory": "10Gi"}, PLAIN, [10], id="requests"),
        pytest.param({"memory": "10Gi"}, PLAIN, [10], id="a bare name is a request"),
        pytest.param({"limits.cpu": "10"}, PLAIN, [], id="it has no such limit"),
        pytest.param({"count/pods": "3", "count/secrets": "0"}, PLAIN, [3], id="what is counted"),
        pytest.param(
            {"limits.cpu": "10"},
            spec(asking(cpu="2"), asking(cpu="3")),
            [2],
            id="containers together",
        ),
        pytest.param(
            {"limits.cpu": "10"},
            spec(asking(cpu="2"), initContainers=[asking(cpu="5")]),
            [2],
            id="a bigger init container",
        ),
        pytest.param(
            {"limits.cpu": "10"},
            spec(
                asking(cpu="2"),
                initContainers=[asking(cpu="3") | {"restartPolicy": "Always"}],
            ),
            [2],
            id="a sidecar",
        ),
        pytest.param(
            {"limits.cpu": "10"},
            spec(asking(cpu="1"), resources={"limits": {"cpu": "4"}}, overhead={"cpu": "1"}),
            [2],
            id="the pod as a whole, and its overhead",
        ),
        pytest.param(
            {f"requests.{GPU}": "8", "limits.memory": "7Gi"},
            spec(asking({GPU: "2"}, memory="3Gi", **{GPU: "2"})),
            [4, 2],
            id="each of its limits",
        ),
    ],
)
def test_how_many_more_a_quota_lets_in(
    hard: dict[str, str], asked: Wanted, rooms: list[int]
) -> None:
    assert quota(hard).rooms(asked) == rooms


def test_what_is_used_up_leaves_nothing() -> None:
    full = quota({"limits.memory": "4Gi"}, {"limits.memory": "3Gi"})
    assert full.rooms(PLAIN) == [0]
    assert quota({"pods": "1"}, {"pods": "5"}).rooms(PLAIN) == [0]


def expression(operator: str, *values: str) -> dict[str, Any]:
    one = {"scopeName": "PriorityClass", "operator": operator, "values": [*values]}
    return {"scopeSelector": {"matchExpressions": [one]}}


HIGH = spec(asking({"cpu": "1"}), priorityClassName="high")
LATE = spec(asking({"cpu": "1"}), activeDeadlineSeconds=60)
NOTHING = spec(asking())
ONLY_GPU = spec(asking({GPU: "1"}))


@pytest.mark.parametrize(
    ("fields", "asked", "counts", "words"),
    [
        pytest.param({}, HIGH, True, "", id="no scope"),
        pytest.param(expression("In", "high", "top"), HIGH, True, "PriorityClass In high|top"),
        pytest.param(expression("In", "top"), HIGH, False, "PriorityClass In top"),
        pytest.param(expression("In", "high"), PLAIN, False, "PriorityClass In high"),
        pytest.param(expression("NotIn", "high"), HIGH, False, "PriorityClass NotIn high"),
        pytest.param(expression("NotIn", "high"), PLAIN, True, "PriorityClass NotIn high"),
        pytest.param(expression("Exists"), HIGH, True, "PriorityClass"),
        pytest.param(expression("Exists"), PLAIN, False, "PriorityClass"),
        pytest.param(expression("DoesNotExist"), PLAIN, True, "PriorityClass DoesNotExist"),
        pytest.param(expression("DoesNotExist"), HIGH, False, "PriorityClass DoesNotExist"),
        pytest.param({"scopes": ["Terminating"]}, LATE, True, "Terminating"),
        pytest.param({"scopes": ["Terminating"]}, PLAIN, False, "Terminating"),
        pytest.param({"scopes": ["NotTerminating"]}, LATE, False, "NotTerminating"),
        pytest.param({"scopes": ["NotTerminating"]}, PLAIN, True, "NotTerminating"),
        pytest.param({"scopes": ["BestEffort"]}, NOTHING, True, "BestEffort"),
        pytest.param({"scopes": ["BestEffort"]}, ONLY_GPU, True, "BestEffort"),
        pytest.param({"scopes": ["BestEffort"]}, PLAIN, False, "BestEffort"),
        pytest.param({"scopes": ["NotBestEffort"]}, PLAIN, True, "NotBestEffort"),
        pytest.param({"scopes": ["NotBestEffort"]}, NOTHING, False, "NotBestEffort"),
        pytest.param({"scopes": ["Unheard"]}, PLAIN, False, "Unheard", id="unknown"),
        pytest.param(
            {"scopes": ["NotTerminating"]} | expression("In", "high"),
            HIGH,
            True,
            "NotTerminating, PriorityClass In high",
            id="both hold",
        ),
        pytest.param(
            {"scopes": ["Terminating"]} | expression("In", "high"),
            HIGH,
            False,
            "Terminating, PriorityClass In high",
            id="one does not hold",
        ),
    ],
)  # fmt: skip
def test_which_pods_a_quota_is_for(
    fields: dict[str, Any], asked: Wanted, counts: bool, words: str
) -> None:
    found = quota({"pods": "3"}, **fields)
    assert (found.is_for(asked), found.scope) == (counts, words)
    assert found.rooms(asked) == ([3] if counts else [])


def test_a_flavor_tells_its_limits_its_class_and_its_deadline() -> None:
    resources = {"requests": {"cpu": "1", "memory": "0"}, "limits": {"cpu": "2"}}
    given = {"name": "f", "resources": resources, "priorityClassName": "high", "timeLimit": "1h"}
    found = flavors.wanted(Flavor.model_validate(given))
    assert found.limits == {"cpu": 2000}
    assert found.amounts == {"cpu": 1000, "pods": 1000}
    assert (found.priority_class, found.time_limited) == ("high", True)


RULE = {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}
WISH = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ()),
        ({"affinity": {"podAffinity": RULE}}, ("affinity between pods",)),
        ({"affinity": {"podAntiAffinity": RULE}}, ("affinity between pods",)),
        ({"affinity": {"podAntiAffinity": WISH, "nodeAffinity": {}}}, ()),
        (
            {"topologySpreadConstraints": [{"whenUnsatisfiable": "DoNotSchedule"}]},
            ("topology spread",),
        ),
        ({"topologySpreadConstraints": [{"whenUnsatisfiable": "ScheduleAnyway"}]}, ()),
        ({"volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}, ("volumes",)),
        ({"volumes": [{"name": "s", "secret": {"secretName": "s"}}, {"emptyDir": {}}]}, ()),
        ({"containers": [{"ports": [{"containerPort": 80, "hostPort": 80}]}]}, ("host ports",)),
        ({"containers": [{"ports": [{"containerPort": 80}]}]}, ()),
        ({"resourceClaims": [{"name": "gpu"}]}, ("resource claims",)),
    ],
)
def test_what_is_not_judged_is_said(fields: dict[str, Any], words: tuple[str, ...]) -> None:
    asked = spec(**fields)
    assert asked.unjudged == words
    room = {"pods": 110_000}
    there = NodeView("n", {}, (), schedulable=True, ready=True, allocatable=room, used={})
    found = scheduling.diagnose(asked, [there])
    assert found.kind == scheduling.FITS
    assert found.sentence.endswith(f"minds {words[0] if words else 'something else'}")
    told = f"it asks for what is not judged here: {', '.join(words)}"
    assert found.evidence == ((told,) if words else ())
    full = scheduling.diagnose(asked, [structs.replace(there, used=room)])
    assert full.kind == scheduling.BUSY
    assert (told in full.evidence) == bool(words)
