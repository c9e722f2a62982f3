"""Rules of pods that Kubernetes words otherwise since the refusals were recorded."""

from __future__ import annotations

from typing import Any

import pytest

from jobman.local.api import pod_rules

MAIN = {"name": "main", "image": "busybox"}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
LIKE = {"matchExpressions": [{"key": "a", "operator": "Like"}]}
NO_OPERATOR = 'matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator'
NO_INIT = "Forbidden: may not be set for init containers without restartPolicy=Always"
EXEC = {"exec": {"command": ["true"]}}
RESTART = {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}


def told(**spec: Any) -> list[str]:
    given = {"containers": [MAIN], **spec}
    return [f"{cause.field}: {cause.message}" for cause in pod_rules.spec(given, "spec")]


def affinity(**term: Any) -> dict[str, Any]:
    return {"podAffinity": {REQUIRED: [{"topologyKey": "zone", **term}]}}


def ports(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**MAIN, "ports": list(given)}]


def restarts(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{**MAIN, "restartPolicy": "Never", "restartPolicyRules": list(rules)}]}


def told_in(resource: str, divisor: str) -> list[dict[str, Any]]:
    source = {"resourceFieldRef": {"resource": resource, "divisor": divisor}}
    return [{**MAIN, "env": [{"name": "A", "valueFrom": source}]}]


def projected(*sources: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "v", "projected": {"sources": list(sources)}}]


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        (
            {"affinity": affinity(labelSelector=LIKE)},
            f"affinity.podAffinity.{REQUIRED}[0].labelSelector.{NO_OPERATOR}",
        ),
        (
            {"affinity": affinity(namespaceSelector=LIKE)},
            f"affinity.podAffinity.{REQUIRED}[0].namespaceSelector.{NO_OPERATOR}",
        ),
        (
            {
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "zone",
                        "whenUnsatisfiable": "DoNotSchedule",
                        "labelSelector": LIKE,
                    }
                ]
            },
            f"topologySpreadConstraints[0].labelSelector.{NO_OPERATOR}",
        ),
        (
            {
                "affinity": affinity(
                    labelSelector={
                        "matchExpressions": [{"key": "a", "operator": "In", "values": ["b c"]}]
                    }
                )
            },
            (
                f"affinity.podAffinity.{REQUIRED}[0].labelSelector.matchExpressions[0].values[0]:"
                ' Invalid value: "b c": a valid label must be an empty string or consist of'
            ),
        ),
        (
            {"hostNetwork": True, "containers": ports({"containerPort": 7, "hostPort": 8})},
            (
                "containers[0].ports[0].hostPort: Invalid value: 8: must match `containerPort` when"
                " `hostNetwork` is true"
            ),
        ),
        (
            {"overhead": {"cpu": "-1"}},
            'overhead.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            {"containers": told_in("limits.cpu", "1k")},
            (
                "containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value:"
                ' "limits.cpu": only divisor\'s values 1m and 1 are supported with the cpu resource'
            ),
        ),
        (
            {"containers": told_in("requests.memory", "-1")},
            (
                "containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value:"
                ' "requests.memory": only divisor\'s values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi,'
                " 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource"
            ),
        ),
        (
            {"hostAliases": [{"ip": "::1"}, {"ip": "x"}]},
            'hostAliases[1].ip: Invalid value: "x": must be valid IP address',
        ),
        (
            {"hostAliases": [{"ip": "::1", "hostnames": ["a", "B"]}]},
            'hostAliases[0].hostnames[1]: Invalid value: "B": a lowercase RFC 1123 subdomain',
        ),
        (
            {"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}},
            (
                'dnsConfig.nameservers: Invalid value: ["1.1.1.1","1.1.1.1","1.1.1.1","1.1.1.1"]:'
                " must not have more than 3 nameservers"
            ),
        ),
        (
            {"securityContext": {"sysctls": [{"name": "a..b", "value": "1"}]}},
            (
                'securityContext.sysctls[0].name: Invalid value: "a..b": must have at most 253'
                r" characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*"
                "[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
            ),
        ),
        (
            {"securityContext": {"sysctls": [{"name": "a" * 254, "value": "1"}]}},
            f'securityContext.sysctls[0].name: Invalid value: "{"a" * 254}": must have at most',
        ),
        (
            {"initContainers": [{**MAIN, "name": "a", "lifecycle": {"preStop": EXEC}}]},
            f"initContainers[0].lifecycle: {NO_INIT}",
        ),
        (
            {"initContainers": [{**MAIN, "name": "a", "livenessProbe": EXEC}]},
            f"initContainers[0].livenessProbe: {NO_INIT}",
        ),
        (
            {
                "initContainers": [
                    {**MAIN, "name": "a", "restartPolicy": "Always", "startupProbe": {}}
                ]
            },
            "initContainers[0].startupProbe: Required value: must specify a handler type",
        ),
        (
            {"containers": [{**MAIN, "restartPolicy": "Maybe"}]},
            (
                'containers[0].restartPolicy: Unsupported value: "Maybe": supported values: '
                '"Always", "Never", "OnFailure"'
            ),
        ),
        (
            {"initContainers": [{**MAIN, "name": "a", "restartPolicyRules": [RESTART]}]},
            (
                "initContainers[0].restartPolicy: Required value: must specify restartPolicy"
                " when restart rules are used"
            ),
        ),
        (
            restarts({**RESTART, "action": "Stay"}),
            (
                'containers[0].restartPolicyRules[0].action: Unsupported value: "Stay": '
                'supported values: "Restart", "RestartAllContainers"'
            ),
        ),
        (
            restarts({"action": "Restart"}),
            "containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified",
        ),
        (
            restarts({"action": "Restart", "exitCodes": {}}),
            (
                'containers[0].restartPolicyRules[0].exitCodes.operator: Unsupported value: "": '
                'supported values: "In", "NotIn"'
            ),
        ),
        (
            {"volumes": projected({"serviceAccountToken": {"path": "../a"}})},
            "volumes[0].projected.path: Invalid value: \"../a\": must not contain '..'",
        ),
        (
            {"volumes": projected({"secret": {"name": "a"}, "configMap": {"name": "a"}})},
            (
                "volumes[0].projected.sources[0]: Forbidden: may not specify more than 1"
                " volume type per source"
            ),
        ),
    ],
)
def test_one_thing_is_wrong(spec: dict[str, Any], cause: str) -> None:
    (only,) = told(**spec)
    assert only.startswith(f"spec.{cause}")


@pytest.mark.parametrize(
    "spec",
    [
        restarts(RESTART, {**RESTART, "action": "RestartAllContainers"}),
        {"affinity": affinity(labelSelector={"matchLabels": {"a": "b"}}, namespaces=["a"])},
        {
            "affinity": {
                "podAntiAffinity": {
                    PREFERRED: [
                        {"weight": 1, "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname"}}
                    ]
                }
            }
        },
        {"hostNetwork": True, "containers": ports({"containerPort": 7, "hostPort": 7})},
        {
            "containers": ports(
                {"containerPort": 7, "hostPort": 7, "protocol": "TCP"},
                {"containerPort": 7, "hostPort": 7, "protocol": "UDP"},
            )
        },
        {
            "initContainers": [
                {**MAIN, "name": name, "ports": [{"containerPort": 7, "hostPort": 7}]}
                for name in "ab"
            ]
        },
        {
            "initContainers": [
                {**MAIN, "name": "a", "restartPolicy": "Always", "lifecycle": {"preStop": EXEC}}
            ]
        },
        {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.2.3.4", "::ffff:1.2.3.4"]}},
        {"securityContext": {"sysctls": [{"name": "net/ipv4/tcp_syncookies", "value": "1"}]}},
        {
            "containers": [
                {
                    **MAIN,
                    "resources": {
                        "limits": {"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi", "cpu": "1"}
                    },
                }
            ]
        },
        {
            "containers": [
                {
                    **MAIN,
                    "lifecycle": {
                        "preStop": {"sleep": {"seconds": 1}},
                        "postStart": {"httpGet": {"port": "web"}},
                    },
                }
            ]
        },
        {
            "volumes": projected(
                {
                    "downwardAPI": {
                        "items": [
                            {
                                "path": "a...b",
                                "fieldRef": {
                                    "apiVersion": "v1",
                                    "fieldPath": "metadata.annotations['A/b']",
                                },
                            }
                        ]
                    }
                },
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
            )
        },
    ],
)
def test_nothing_is_wrong(spec: dict[str, Any]) -> None:
    assert told(**spec) == []


def test_what_a_pod_takes_as_a_whole_is_not_less_than_what_its_containers_take() -> None:
    main = {**MAIN, "resources": {"requests": {"cpu": "3"}, "limits": {"memory": "2Gi"}}}
    whole = {"requests": {"cpu": "2", "acme.io/x": "1"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    assert told(containers=[main], resources=whole) == [
        (
            'spec.resources.requests[acme.io/x]: Unsupported value: "acme.io/x":'
            ' supported values: "cpu", "hugepages-", "memory"'
        ),
        "spec.resources.limits: Required value: Limit must be set for non overcommitable resources",
        'spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        (
            'spec.resources.requests[cpu]: Invalid value: "2":'
            " must be greater than or equal to aggregate container requests of 3"
        ),
        (
            'spec.resources.containers[0][memory].limits: Invalid value: "2Gi":'
            " must be less than or equal to pod limits of 1Gi"
        ),
    ]
