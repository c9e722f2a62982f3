"""Nobody gives what he has not."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plugins.api_server import Answer, ApiServer

from jobman.local.api import rule_cover

Object = dict[str, Any]
RBAC = "rbac.authorization.k8s.io"
URL = f"/apis/{RBAC}/v1"
IN_DEFAULT = f"{URL}/namespaces/default"


def rule(verbs: str, resources: str, groups: str = "-", names: str = "") -> Object:
    found = {
        "verbs": verbs.split(),
        "apiGroups": ["" if group == "-" else group for group in groups.split()],
        "resources": resources.split(),
    }
    return found | ({"resourceNames": names.split()} if names else {})


def urls(*paths: str) -> Object:
    return {"verbs": ["get"], "nonResourceURLs": list(paths)}


@pytest.mark.parametrize(
    ("held", "asked", "lacking"),
    [
        ([rule("*", "*", "*")], [rule("get", "pods/log"), rule("x", "y", "z", "n")], []),
        ([rule("*", "*", "*")], [urls("/api")], [urls("/api")]),
        ([rule("get list", "pods")], [rule("list get", "pods")], []),
        ([rule("get", "pods"), rule("list", "pods")], [rule("get list", "pods")], []),
        ([rule("get", "pods")], [rule("get list watch", "pods")], [rule("list watch", "pods")]),
        ([rule("get", "pods")], [rule("get", "pods secrets")], [rule("get", "secrets")]),
        ([rule("get", "pods")], [rule("get", "pods", "- apps")], [rule("get", "pods", "apps")]),
        ([rule("get", "pods")], [rule("get", "pods/log")], [rule("get", "pods/log")]),
        ([rule("get", "*/log")], [rule("get", "pods/log")], []),
        ([rule("get", "*/log")], [rule("get", "pods")], [rule("get", "pods")]),
        ([rule("get", "pods")], [rule("get", "*")], [rule("get", "*")]),
        ([rule("get", "pods")], [rule("*", "pods")], [rule("*", "pods")]),
        ([rule("get", "pods")], [rule("get", "pods", names="a")], []),
        ([rule("get", "pods", names="a")], [rule("get", "pods")], [rule("get", "pods")]),
        (
            [rule("get", "pods", names="a")],
            [rule("get", "pods", names="a b")],
            [rule("get", "pods", names="b")],
        ),
        (
            [rule("get", "pods", names="a")],
            [rule("get list", "pods", names="a b")],
            [
                rule("get", "pods", names="b"),
                rule("list", "pods", names="a"),
                rule("list", "pods", names="b"),
            ],
        ),
        (
            [rule("get", "pods"), rule("list", "secrets")],
            [rule("list get watch", "pods"), rule("patch", "pods")],
            [rule("list watch patch", "pods")],
        ),
        ([urls("/api/*")], [urls("/api/v1", "/apis")], [urls("/apis")]),
        ([urls("/api")], [urls("/api/*")], [urls("/api/*")]),
        ([urls("*")], [urls("/a", "/b/*")], []),
    ],
)
def test_what_rules_lack(held: list[Object], asked: list[Object], lacking: list[Object]) -> None:
    found = rule_cover.missing(held, asked)
    assert sorted(found, key=str) == sorted(lacking, key=str)


def multiplied(rules: list[Object]) -> list[Object]:
    """The rules as many of one verb, and one resource or path, each."""
    parts: list[Object] = []
    for each in rules:
        keys = ["nonResourceURLs"] if "nonResourceURLs" in each else ["apiGroups", "resources"]
        keys += ["verbs"] + (["resourceNames"] if each.get("resourceNames") else [])
        parts += (
            {key: [word] for key, word in zip(keys, words, strict=True)}
            for words in product(*(each[key] for key in keys))
        )
    return sorted(parts, key=str)


def gives(held: Object, part: Object) -> bool:
    """As Kubernetes decides on one such part."""
    if not rule_cover.has(held["verbs"], part["verbs"][0]):
        return False
    if "nonResourceURLs" in part:
        return rule_cover.has_path(held.get("nonResourceURLs", []), part["nonResourceURLs"][0])
    names, wanted = held.get("resourceNames"), part.get("resourceNames", [None])[0]
    return (
        rule_cover.has(held.get("apiGroups"), part["apiGroups"][0])
        and rule_cover.has_resource(held.get("resources", []), part["resources"][0])
        and (not names or wanted in names)
    )


def any_rule() -> st.SearchStrategy[Object]:
    def some(*words: str, least: int = 1) -> st.SearchStrategy[list[str]]:
        return st.lists(st.sampled_from(words), min_size=least, max_size=3)

    verbs = some("*", "get", "list", "watch")
    of_resources = {
        "verbs": verbs,
        "apiGroups": some("*", "", "batch"),
        "resources": some("*", "pods", "pods/log", "*/log", "jobs"),
    }
    return st.one_of(
        st.fixed_dictionaries(of_resources, optional={"resourceNames": some("", "a", "b")}),
        st.fixed_dictionaries({"verbs": verbs, "nonResourceURLs": some("*", "/a", "/a/*", "/a/b")}),
    )


@given(held=st.lists(any_rule(), max_size=5), asked=st.lists(any_rule(), max_size=3))
def test_what_rules_lack_is_what_none_gives(held: list[Object], asked: list[Object]) -> None:
    parts = [part for part in multiplied(asked) if not any(gives(each, part) for each in held)]
    assert multiplied(rule_cover.missing(held, asked)) == parts


def words(name: str, count: int) -> str:
    return " ".join(f"{name}{number}" for number in range(count))


def cube(side: int) -> Object:
    return rule(words("v", side), words("r", side), words("g", side))


def test_a_rule_is_not_multiplied_out() -> None:
    huge = cube(9000)  # its parts would take days
    assert rule_cover.missing([rule("*", "*", "*")], [huge]) == []
    assert rule_cover.missing([], [huge])
    but_one = rule(huge["verbs"][0], "*", "*"), rule(" ".join(huge["verbs"][2:]), "*", "*")
    assert rule_cover.missing(but_one, [huge])[0]["verbs"] == ["v1"]
    long = {**huge, "apiGroups": ["g" * 100_000]}
    assert len(str(rule_cover.missing([], [long]))) < 40_000_000


def role(*rules: Object, kind: str = "Role", name: str = "r") -> Object:
    about = {"kind": kind, "apiVersion": f"{RBAC}/v1", "metadata": {"name": name}}
    return {**about, "rules": list(rules)}


def binding(name: str, user: str = "bob", kind: str = "ClusterRole") -> Object:
    return {
        "kind": "RoleBinding",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": f"{name}-{user}"},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
    }


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ApiServer]:
    """A server where alice is admin of the namespace `default`."""
    with ApiServer(tmp_path) as server:
        made = server.ask("POST", f"{IN_DEFAULT}/rolebindings", body=binding("admin", "alice"))
        assert made.code == 201
        yield server


def bound(server: ApiServer, name: str, **how: Any) -> Answer:
    url = f"{IN_DEFAULT}/rolebindings"
    return server.ask("POST", url, body=binding(name, **how), user="alice")


@pytest.mark.parametrize("name", ["view", "edit", "admin"])
def test_an_admin_gives_what_he_has(served: ApiServer, name: str) -> None:
    pods = "/api/v1/namespaces/default/pods"
    assert served.ask("GET", pods, user="bob").code == 403
    assert bound(served, name).code == 201
    assert served.ask("GET", pods, user="bob").code == 200
    assert served.ask("GET", "/api/v1/pods", user="bob").code == 403


def test_an_admin_does_not_give_more_than_he_has(served: ApiServer) -> None:
    refused = bound(served, "cluster-admin")
    assert (refused.code, refused.json["reason"]) == (403, "Forbidden")
    assert refused.json["message"] == (
        f'rolebindings.{RBAC} "cluster-admin-bob" is forbidden: user "alice"'
        ' (groups=["team-a" "system:authenticated"]) is attempting to grant RBAC permissions not'
        ' currently held:\n{APIGroups:["*"], Resources:["*"], Verbs:["*"]}\n'
        '{NonResourceURLs:["*"], Verbs:["*"]}'
    )
    assert bound(served, "nope").json["message"] == f'clusterroles.{RBAC} "nope" not found'
    own = role(rule("get list", "pods secrets"), rule("create", "jobs", "batch"))
    assert served.ask("POST", f"{IN_DEFAULT}/roles", body=own, user="alice").code == 201
    wider = role(*own["rules"], rule("get list", "nodes"))
    refused = served.ask("PUT", f"{IN_DEFAULT}/roles/r", body=wider, user="alice")
    assert refused.code == 403
    assert refused.json["message"].endswith(
        '\n{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'
    )
    assert served.ask("PUT", f"{IN_DEFAULT}/roles/r", body=wider).code == 200
    patch = {"metadata": {"finalizers": ["a.example/b"]}}
    merge = {"Content-Type": "application/merge-patch+json"}
    owned = served.ask("PATCH", f"{IN_DEFAULT}/roles/r", body=patch, headers=merge, user="alice")
    assert owned.code == 200
    patch = {"metadata": {"labels": {"a": "b"}}}
    named = served.ask("PATCH", f"{IN_DEFAULT}/roles/r", body=patch, headers=merge, user="alice")
    assert named.code == 403
    assert bound(served, "r", kind="Role").code == 403


def test_a_refusal_tells_all_that_a_big_rule_lacks(served: ApiServer) -> None:
    asked = role(cube(100))
    refused = served.ask("POST", f"{IN_DEFAULT}/roles", body=asked, user="alice")
    assert refused.code == 403
    verbs = " ".join(f'"v{number}"' for number in range(100))
    told = refused.json["message"].split("\n")[1:]
    assert told == sorted(
        f'{{APIGroups:["g{g}"], Resources:["r{r}"], Verbs:[{verbs}]}}'
        for g, r in product(range(100), repeat=2)
    )


def test_only_who_may_all_gathers_the_rules_of_roles(served: ApiServer) -> None:
    def tried(method: str, body: Object, name: str = "") -> str:
        answer = served.ask(method, f"{URL}/clusterroles{name}", body=body, user="alice")
        return str(answer.json["message"]) if answer.code == 403 else str(answer.code)

    def more(*rules: Object) -> None:
        given = role(*rules, kind="ClusterRole", name="more")
        served.ask("DELETE", f"{URL}/clusterroles/more")
        assert served.ask("POST", f"{URL}/clusterroles", body=given).code == 201

    bound = {**binding("more", "alice"), "kind": "ClusterRoleBinding"}
    assert served.ask("POST", f"{URL}/clusterrolebindings", body=bound).code == 201
    gathers = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    plain = role(kind="ClusterRole")
    gathering = {**plain, "aggregationRule": gathers}
    refusal = (
        f'clusterroles.{RBAC} "r" is forbidden: must have cluster-admin privileges to use the'
        " aggregationRule"
    )
    all_resources, all_paths = rule("*", "*", "*"), {"verbs": ["*"], "nonResourceURLs": ["*"]}
    more(rule("create update delete", "clusterroles", RBAC))
    assert tried("POST", gathering) == refusal
    assert served.ask("POST", f"{URL}/clusterroles", body=gathering).code == 201
    assert tried("PUT", {**plain, "metadata": {"name": "r"}}, "/r") == refusal
    more(all_resources, all_paths)
    assert tried("PUT", gathering, "/r") == "200"
    more(rule("create update escalate", "clusterroles", RBAC))
    assert tried("PUT", {**plain, "metadata": {"name": "r"}}, "/r") == "200"
    assert tried("PUT", gathering, "/r") == "200"


@pytest.mark.parametrize(
    ("verb", "resource", "asked"),
    [
        ("bind", "clusterroles", "rolebindings"),
        ("escalate", "roles", "roles"),
    ],
)
def test_who_may_give_more_is_not_asked(
    served: ApiServer, verb: str, resource: str, asked: str
) -> None:
    body = binding("cluster-admin") if verb == "bind" else role(rule("*", "*", "*"))
    assert served.ask("POST", f"{IN_DEFAULT}/{asked}", body=body, user="alice").code == 403
    more = role(rule(verb, resource, RBAC), name="more")
    assert served.ask("POST", f"{IN_DEFAULT}/roles", body=more).code == 201
    given = binding("more", "alice", "Role")
    assert served.ask("POST", f"{IN_DEFAULT}/rolebindings", body=given).code == 201
    assert served.ask("POST", f"{IN_DEFAULT}/{asked}", body=body, user="alice").code == 201
