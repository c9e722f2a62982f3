"""Rules that no recording covers, by tables: one broken field, the cause told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from plugins.new_object import made, told

from jobman.local.api import validation
from jobman.local.api.cause import Cause

BOT = {"kind": "Bot", "name": "b"}
MAIN = {"name": "main", "image": "busybox"}


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    return made("Pod", spec={"containers": [{**MAIN, **(container or {})}], **spec})


def job(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"restartPolicy": "Never", "containers": [MAIN]}}
    return made("Job", spec={"template": template, **spec})


MAIN_PATH = "spec.containers[0]"


@pytest.mark.parametrize(
    ("container", "cause"),
    [
        (
            {"image": " a"},
            'image: Invalid value: " a": must not have leading or trailing whitespace',
        ),
        ({"name": "a.b"}, 'name: Invalid value: "a.b": must not contain dots'),
        ({"env": [{"value": "1"}]}, "env[0].name: Required value"),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "value": "1",
                        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                    }
                ]
            },
            'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {}}]},
            'env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`,',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
            "env[0].valueFrom.secretKeyRef.key: Required value",
        ),
        ({"envFrom": [{"configMapRef": {}}]}, "envFrom[0].configMapRef.name: Required value"),
        (
            {"ports": [{"containerPort": 70000}]},
            "ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535",
        ),
        ({"ports": [{"name": "http"}]}, "ports[0].containerPort: Required value"),
        (
            {"ports": [{"containerPort": 1, "protocol": "FOO"}]},
            'ports[0].protocol: Unsupported value: "FOO": supported values: "SCTP", "TCP"',
        ),
        ({"volumeMounts": [{"mountPath": "/a"}]}, "volumeMounts[0].name: Required value"),
        (
            {"terminationMessagePolicy": "Never"},
            'terminationMessagePolicy: Unsupported value: "Never": supported values:',
        ),
        ({"livenessProbe": {}}, "livenessProbe: Required value: must specify a handler type"),
        (
            {"resources": {"requests": {"pods": "1"}}},
            'resources.requests[pods]: Invalid value: "pods": must be a standard resource for',
        ),
    ],
)
def test_containers(container: dict[str, Any], cause: str) -> None:
    found = told(pod(container))
    assert found[0].startswith(f"{MAIN_PATH}.{cause}")
    assert len(set(found)) == 1


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (
            {"volumes": [{"name": "v", "configMap": {}}]},
            "volumes[0].configMap.name: Required value",
        ),
        (
            {"volumes": [{"name": "v", "secret": {}}]},
            "volumes[0].secret.secretName: Required value",
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/a/../b"}}]},
            "volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/a"}}]},
            "volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "v", "emptyDir": {}}]},
            'volumes[1].name: Duplicate value: "v"',
        ),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 9999}}]},
            "volumes[0].configMap.defaultMode: Invalid value: 9999: must be a number between 0",
        ),
        (
            {
                "volumes": [
                    {"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "/x"}]}}
                ]
            },
            'volumes[0].configMap.items[0].path: Invalid value: "/x": must be a relative path',
        ),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {}}]},
            "volumes[0].persistentVolumeClaim.claimName: Required value",
        ),
        (
            {"activeDeadlineSeconds": 0},
            "activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647",
        ),
        (
            {"hostname": "A"},
            'hostname: Invalid value: "A": a lowercase RFC 1123 label must consist',
        ),
        ({"dnsPolicy": "Mine"}, 'dnsPolicy: Unsupported value: "Mine": supported values:'),
        (
            {"tolerations": [{"operator": "Equal", "value": "x"}]},
            'tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `ke',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "effect": "Never"}]},
            'tolerations[0].effect: Unsupported value: "Never": supported values: "NoSchedule"',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]},
            "tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute' when",
        ),
        ({"initContainers": [MAIN]}, 'initContainers[0].name: Duplicate value: "main"'),
        (
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}
                    }
                }
            },
            "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.",
        ),
    ],
)
def test_pods(spec: dict[str, Any], cause: str) -> None:
    (found,) = told(pod(**spec))
    assert found.startswith(f"spec.{cause}")


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (
            {"backoffLimitPerIndex": 1},
            "backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
        ),
        (
            {"completionMode": "Indexed", "completions": 2, "maxFailedIndexes": 1},
            "backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
        ),
        (
            {"completionMode": "Indexed", "completions": 1, "parallelism": 100001},
            "parallelism: Invalid value: 100001: must be less than or equal to 100000",
        ),
        (
            {"podFailurePolicy": {"rules": [{"action": "FailJob"}]}},
            "podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and",
        ),
        (
            {
                "podFailurePolicy": {
                    "rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [0]}}]
                }
            },
            "podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0",
        ),
        (
            {"successPolicy": {"rules": [{"succeededCount": 1}]}},
            'successPolicy: Invalid value: {"rules":[{"succeededCount":1}]}: requires indexed',
        ),
        (
            {"podReplacementPolicy": "Always"},
            'podReplacementPolicy: Unsupported value: "Always": supported values: "Failed",',
        ),
    ],
)
def test_jobs(spec: dict[str, Any], cause: str) -> None:
    (found,) = told(job(**spec))
    assert found.startswith(f"spec.{cause}")


INDEXED = {"completionMode": "Indexed", "completions": 5}
WIDE = {**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1}
ON_FAILURE = {"template": {"spec": {"restartPolicy": "OnFailure", "containers": [MAIN]}}}


@pytest.mark.parametrize(
    ("spec", "causes"),
    [
        (
            {"maxFailedIndexes": 1},
            [
                "backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
                "maxFailedIndexes: Invalid value: 1: requires indexed completion mode",
            ],
        ),
        (WIDE, ["maxFailedIndexes: Required value: must be specified when completions is above"]),
        (
            {**WIDE, "maxFailedIndexes": 10_001, "parallelism": 10_001},
            [
                "parallelism: Invalid value: 10001: must be less than or equal to 10000 when",
                "maxFailedIndexes: Invalid value: 10001: must be less than or equal to 10000 when",
            ],
        ),
        ({**WIDE, "maxFailedIndexes": 10_000}, []),
        ({**INDEXED, **ON_FAILURE, "backoffLimitPerIndex": 1}, []),
        ({"managedBy": "kueue"}, ['managedBy: Invalid value: "kueue": must be a domain-prefixed']),
        ({"managedBy": "A.io/x"}, ['managedBy: Invalid value: "A.io": a lowercase RFC 1123']),
        ({"managedBy": "a.io/?"}, ['managedBy: Invalid value: "?": Invalid path (regex used']),
        ({"managedBy": "a.io/" + "x" * 59}, ["managedBy: Too long: may not be more than 63"]),
        ({"managedBy": "kueue.x-k8s.io/multikueue"}, []),
    ],
)
def test_bounds_of_jobs(spec: dict[str, Any], causes: list[str]) -> None:
    found = told(job(**spec))
    assert len(found) == len(causes)
    assert all(map(str.startswith, found, (f"spec.{cause}" for cause in causes)))


def codes(*values: int, operator: str = "In", **more: Any) -> dict[str, Any]:
    return {"onExitCodes": {"operator": operator, "values": list(values), **more}}


ON_TARGET = {"type": "DisruptionTarget", "status": "True"}


@pytest.mark.parametrize(
    ("rule", "causes"),
    [
        (
            {"action": "FailIndex", **codes(1)},
            ['.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set'],
        ),
        (
            codes(1),
            ['.action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]'],
        ),
        (
            {"action": "Count", **codes(2, 1, containerName="other")},
            [
                '.onExitCodes.containerName: Invalid value: "other": must be one of the container',
                ".onExitCodes.values: Invalid value: [2,1]: must be ordered",
            ],
        ),
        (
            {"action": "Count", **codes(*range(1, 257), operator="NotIn")},
            [".onExitCodes.values: Too many: 256: must have at most 255 items"],
        ),
        (
            {"action": "Count", **codes(1), "onPodConditions": [ON_TARGET]},
            [": Invalid value: specifying both OnExitCodes and OnPodConditions is not supported"],
        ),
        (
            {"action": "Count", "onPodConditions": [{"type": "a b", "status": "Perhaps"}]},
            [
                '.onPodConditions[0].type: Invalid value: "a b": name part must consist of',
                (
                    '.onPodConditions[0].status: Unsupported value: "Perhaps": supported values: '
                    '"False", "True", "Unknown"'
                ),
            ],
        ),
        (
            {"action": "Count", "onPodConditions": [ON_TARGET] * 21},
            [".onPodConditions: Too many: 21: must have at most 20 items"],
        ),
        ({"action": "Count", **codes(1, 2, containerName="main")}, []),
    ],
)
def test_rules_of_a_failure_policy(rule: dict[str, Any], causes: list[str]) -> None:
    found = told(job(podFailurePolicy={"rules": [rule]}))
    assert len(found) == len(causes)
    paths = (f"spec.podFailurePolicy.rules[0]{cause}" for cause in causes)
    assert all(map(str.startswith, found, paths))


@pytest.mark.parametrize(
    ("rule", "causes"),
    [
        ({"succeededIndexes": "0,2-4", "succeededCount": 4}, []),
        ({"succeededCount": 0}, []),
        (
            {"succeededCount": -1},
            [".succeededCount: Invalid value: -1: must be greater than or equal to 0"],
        ),
        (
            {"succeededCount": 6},
            [
                (
                    ".succeededCount: Invalid value: 6: must be less than or equal to 5 "
                    "(the number of specified completions)"
                )
            ],
        ),
        (
            {"succeededIndexes": "0,2", "succeededCount": 3},
            [
                (
                    ".succeededCount: Invalid value: 3: must be less than or equal to 2 "
                    "(the number of indexes in the specified succeededIndexes field)"
                )
            ],
        ),
    ],
)
def test_rules_of_a_success_policy(rule: dict[str, Any], causes: list[str]) -> None:
    found = told(job(**INDEXED, successPolicy={"rules": [rule]}))
    assert found == [f"spec.successPolicy.rules[0]{cause}" for cause in causes]


@pytest.mark.parametrize(
    ("indexes", "problem"),
    [
        ("5", 'too large index: "5"'),
        ("x", 'cannot convert string to integer for index: "x"'),
        ("0,", 'cannot convert string to integer for index: ""'),
        ("3-1", "non-increasing order, previous: 3, current: 1"),
        ("0,0", "non-increasing order, previous: 0, current: 0"),
        ("1-2,2", "non-increasing order, previous: 2, current: 2"),
        (
            "1-2-3",
            (
                'the fragment "1-2-3" violates the requirement that an index interval can have '
                "at most two parts separated by '-'"
            ),
        ),
    ],
)
def test_indexes_of_a_success_policy(indexes: str, problem: str) -> None:
    found = told(job(**INDEXED, successPolicy={"rules": [{"succeededIndexes": indexes}]}))
    path, value = "spec.successPolicy.rules[0].succeededIndexes", f'"{indexes}"'
    assert found == [f"{path}: Invalid value: {value}: error parsing succeededIndexes: {problem}"]


def test_a_policy_has_at_most_twenty_rules() -> None:
    rule = {"action": "Count", **codes(1)}
    assert told(job(podFailurePolicy={"rules": [rule] * 21})) == [
        "spec.podFailurePolicy.rules: Too many: 21: must have at most 20 items"
    ]
    assert told(job(**INDEXED, successPolicy={"rules": [{"succeededCount": 1}] * 21})) == [
        "spec.successPolicy.rules: Too many: 21: must have at most 20 items"
    ]


@pytest.mark.parametrize(
    ("metadata", "cause"),
    [
        (
            {"finalizers": ["mine"]},
            'metadata.finalizers: Invalid value: "mine": name is neither a standard finalizer',
        ),
        (
            {"finalizers": ["orphan", "foregroundDeletion"]},
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer',
        ),
        (
            {"labels": {"/x": "1"}},
            'metadata.labels: Invalid value: "/x": prefix part must be non-empty',
        ),
        ({"labels": {"é": "1"}}, 'metadata.labels: Invalid value: "é": name part must consist of'),
        (
            {"annotations": {"a": "x" * 262144}},
            "metadata.annotations: Too long: may not be more than 262144 bytes",
        ),
        (
            {
                "ownerReferences": [
                    {"apiVersion": "v1", "kind": "Pod", "name": n, "uid": n, "controller": True}
                    for n in "ab"
                ]
            },
            "metadata.ownerReferences: Invalid value: [",
        ),
    ],
)
def test_metadata(metadata: dict[str, Any], cause: str) -> None:
    (found,) = told(made("ConfigMap", metadata=metadata))
    assert found.startswith(cause)


@pytest.mark.parametrize(
    ("kind", "fields", "cause"),
    [
        (
            "ConfigMap",
            {"data": {"a": "x" * 1048577}},
            "[]: Too long: may not be more than 1048576 bytes",
        ),
        ("ConfigMap", {"data": {"..": "x"}}, "data[..]: Invalid value: \"..\": must not be '..'"),
        ("Secret", {"type": "kubernetes.io/ssh-auth"}, "data[ssh-privatekey]: Required value"),
        (
            "Node",
            {"spec": {"taints": [{"key": "a", "effect": "Never"}]}},
            'metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule"',
        ),
        (
            "Node",
            {"status": {"capacity": {"cpu": "-1"}}},
            'status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            "PersistentVolumeClaim",
            {"spec": {"accessModes": ["Mine"], "resources": {"requests": {"storage": "1Gi"}}}},
            'spec.accessModes: Unsupported value: "Mine": supported values:',
        ),
        (
            "PersistentVolumeClaim",
            {"spec": {"accessModes": ["ReadWriteOnce"]}},
            "spec.resources[storage]: Required value",
        ),
        *(
            (
                "PersistentVolumeClaim",
                {
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": size}},
                    }
                },
                f'spec.resources[storage]: Invalid value: "{size}": must be greater than zero',
            )
            for size in ("0", "-1Gi")
        ),
        (
            "ResourceQuota",
            {"spec": {"hard": {"pods": "1500m"}}},
            'spec.hard[pods]: Invalid value: "1500m": must be an integer',
        ),
        (
            "LimitRange",
            {"spec": {"limits": [{"type": "Pod"}, {"type": "Pod"}]}},
            'spec.limits[1].type: Duplicate value: "Pod"',
        ),
        (
            "PriorityClass",
            {"value": 1000000001},
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            "Role",
            {"rules": [{"apiGroups": [""], "resources": ["pods"]}]},
            "rules[0].verbs: Required value: verbs must contain at least one value",
        ),
        (
            "RoleBinding",
            {"roleRef": {"kind": "Role", "name": "r"}, "subjects": [BOT]},
            'subjects[0].kind: Unsupported value: "Bot": supported values: "ServiceAccount"',
        ),
        ("RoleBinding", {"roleRef": {"kind": "Role"}}, "roleRef.name: Required value"),
        (
            "Event",
            {"involvedObject": {"namespace": "other"}},
            'involvedObject.namespace: Invalid value: "other": does not match event.namespace',
        ),
        (
            "Lease",
            {"spec": {"leaseDurationSeconds": 0}},
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
        (
            "Namespace",
            {"name": "a.b"},
            'metadata.name: Invalid value: "a.b": must not contain dots',
        ),
    ],
)
def test_other_kinds(kind: str, fields: dict[str, Any], cause: str) -> None:
    found = told(made(kind, **fields))
    assert found[0].startswith(cause)


@pytest.mark.parametrize("name", ["system:node", "a b", "Ä"])
def test_roles_may_have_any_name_that_fits_a_path(name: str) -> None:
    assert told(made("Role", name=name)) == []


FIXED = (
    "spec: Forbidden: spec is immutable after creation except resources.requests and"
    " volumeAttributesClassName for bound claims"
)
TOO_SMALL = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"


def changed(before: dict[str, Any], **spec: Any) -> list[str]:
    after = copy.deepcopy(before)
    for key, value in spec.items():
        if value is None:
            after["spec"].pop(key)
        else:
            after["spec"][key] = value
    causes = validation.validate_update(before["kind"], before, after)
    return [f"{cause.field}: {cause.message.splitlines()[0]}" for cause in causes]


DEADLINE = "spec.activeDeadlineSeconds: Invalid value: "


@pytest.mark.parametrize(
    ("before", "after", "causes"),
    [
        (None, 5, []),
        (10, 5, []),
        (10, 0, []),
        (5, 10, [f"{DEADLINE}10: must be less than or equal to previous value"]),
        (5, None, [f"{DEADLINE}null: must not update from a positive integer to nil value"]),
        (5, -1, [f"{DEADLINE}-1: must be between 0 and 2147483647, inclusive"]),
    ],
)
def test_a_pods_deadline_only_comes_nearer(
    before: int | None, after: int | None, causes: list[str]
) -> None:
    start = pod(**({} if before is None else {"activeDeadlineSeconds": before}))
    assert changed(start, activeDeadlineSeconds=after) == causes


def test_what_else_of_a_pod_may_change() -> None:
    start = pod(tolerations=[{"key": "a", "operator": "Exists", "effect": "NoExecute"}])
    image = [{**start["spec"]["containers"][0], "image": "other"}]
    longer = [{**start["spec"]["tolerations"][0], "tolerationSeconds": 9}, {"operator": "Exists"}]
    assert changed(start, containers=image) == []
    assert changed(start, tolerations=longer) == []
    assert changed(start, tolerations=longer[1:]) == [
        (
            "spec.tolerations: Forbidden: existing toleration can not be modified except its"
            " tolerationSeconds"
        )
    ]
    assert changed(start, containers=[*image, {**MAIN, "name": "more"}]) == [
        "spec.containers: Forbidden: pod updates may not add or remove containers"
    ]
    (cause,) = changed(start, nodeName="n")
    assert cause.startswith("spec: Forbidden: pod updates may not change fields other than")


def test_a_started_jobs_template_is_fixed_and_a_suspended_ones_is_not() -> None:
    for suspend, fields in ((True, []), (False, ["spec.template.spec"])):
        before = job(suspend=suspend)
        after = copy.deepcopy(before)
        after["spec"]["template"]["spec"]["nodeSelector"] = {"gpu": "a100"}
        causes = validation.validate_update("Job", before, after)
        assert [cause.field for cause in causes] == fields


TERMS = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}
NODES = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": TERMS}}
NEAR = {"topologyKey": "a", "labelSelector": {"matchLabels": {"a": "b"}}}
PODS = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [NEAR]}}


@pytest.mark.parametrize(
    ("before", "after", "fields"),
    [
        ({}, {"affinity": NODES}, []),
        ({"affinity": NODES}, {}, []),
        ({"affinity": PODS}, {"affinity": PODS | NODES}, []),
        ({}, {"affinity": PODS}, ["spec.template.spec"]),
        ({"affinity": PODS}, {}, ["spec.template.spec"]),
        ({"affinity": PODS | NODES}, {"affinity": NODES}, ["spec.template.spec"]),
    ],
)
def test_of_a_suspended_jobs_affinity_what_is_about_nodes_may_change(
    before: dict[str, Any], after: dict[str, Any], fields: list[str]
) -> None:
    old = job(suspend=True)
    jobs = old, copy.deepcopy(old)
    for one, more in zip(jobs, (before, after), strict=True):
        one["spec"]["template"]["spec"] |= more
    assert [cause.field for cause in validation.validate_update("Job", *jobs)] == fields


def test_a_finished_jobs_status_cannot_be_taken_back() -> None:
    done = {
        "conditions": [{"type": t, "status": "True"} for t in ("SuccessCriteriaMet", "Complete")]
    }
    before, after = job(), job()
    before["status"], after["status"] = {**done, "succeeded": 1}, {}
    assert validation.validate_status("Job", before, after) == [
        Cause(
            "FieldValueInvalid",
            "status.conditions",
            "Invalid value: cannot disable the terminal Complete=True condition",
        ),
        Cause(
            "FieldValueInvalid",
            "status.succeeded",
            "Invalid value: 0: cannot decrease the succeeded counter",
        ),
        Cause(
            "FieldValueInvalid",
            "status.conditions",
            "Invalid value: cannot disable the SuccessCriteriaMet=True condition",
        ),
    ]
    assert validation.validate_status("Job", before, before) == []


def test_being_deleted_no_finalizer_may_come() -> None:
    before = made("ConfigMap", metadata={"finalizers": ["a/b"]})
    before["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    after = copy.deepcopy(before)
    after["metadata"]["finalizers"].append("c/d")
    causes = validation.validate_update("ConfigMap", before, after)
    assert {cause.field for cause in causes} == {"metadata.finalizers"}
    after["metadata"]["finalizers"] = []
    assert validation.validate_update("ConfigMap", before, after) == []


@pytest.mark.parametrize(
    ("phase", "change", "why"),
    [
        ("Bound", {"storage": "4Gi"}, []),
        ("Bound", {"storage": "2049Mi"}, []),
        ("Bound", {"storage": "2Gi"}, [TOO_SMALL]),
        ("Bound", {"storage": "1"}, [TOO_SMALL]),
        ("Bound", {"volumeAttributesClassName": "fast"}, []),
        ("Bound", {"accessModes": ["ReadOnlyMany"]}, [FIXED]),
        ("Bound", {"volumeName": "other"}, [FIXED]),
        ("Pending", {"volumeName": "other"}, [FIXED]),
        ("Pending", {"storage": "4Gi"}, [FIXED]),
        ("Pending", {"volumeAttributesClassName": "fast"}, [FIXED]),
    ],
)
def test_what_may_change_of_a_claim(phase: str, change: dict[str, Any], why: list[str]) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "volumeName": "v"}
    more = dict(change)
    resources = {"requests": {"storage": more.pop("storage", "3Gi")}}
    before: dict[str, Any] = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {**spec, "resources": {"requests": {"storage": "3Gi"}}},
        "status": {"phase": phase, "capacity": {"storage": "2Gi"}},
    }
    after = {**before, "spec": {**spec, "resources": resources, **more}}
    causes = validation.validate_update(before["kind"], before, after)
    assert [f"{cause.field}: {cause.message}" for cause in causes] == why


def test_a_claim_gets_its_volume_once() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"metadata": {"name": "c", "namespace": "default"}, "spec": spec}
    named = {**claim, "spec": {**spec, "volumeName": "v"}}
    assert validation.validate_update("PersistentVolumeClaim", claim, named) == []
