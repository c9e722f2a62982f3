"""Speaking for somebody else: as whom, and who may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import Answer, ApiServer

from jobman.local.api.users import identified

Object = dict[str, Any]
RBAC, AUTHENTICATION = "rbac.authorization.k8s.io", "authentication.k8s.io"
REVIEWS = f"/apis/{AUTHENTICATION}/v1/selfsubjectreviews"
USER, UID, GROUP, EXTRA = (f"Impersonate-{word}" for word in ("User", "Uid", "Group", "Extra-"))
RUNNER = "system:serviceaccount:default:runner"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as server:
        yield server


def rule(verb: str, resource: str, group: str = "", *names: str) -> Object:
    about = {"verbs": [verb], "apiGroups": [group], "resources": [resource]}
    return {**about, "resourceNames": list(names)} if names else about


def allow(server: ApiServer, *rules: Object) -> None:
    """Give alice these rights, in the whole cluster."""
    role = {"kind": "ClusterRole", "metadata": {"name": "speaks"}, "rules": list(rules)}
    binding = {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "speaks"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "speaks"},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "alice"}],
    }
    for obj in (role, binding):
        obj["apiVersion"] = f"{RBAC}/v1"
        url = f"/apis/{RBAC}/v1/{str(obj['kind']).lower()}s"
        assert server.ask("POST", url, body=obj).code == 201


def who(server: ApiServer, headers: Sequence[tuple[str, str]], user: str = "alice") -> Answer:
    """Who one is, asked with these headers, any of them repeated."""
    review = b'{"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}'
    with server.connection() as connection:
        connection.putrequest("POST", REVIEWS)
        said = [("Authorization", f"Bearer token-of-{user}"), ("Content-Type", "application/json")]
        for name, value in (*said, ("Content-Length", str(len(review))), *headers):
            connection.putheader(name, value.encode("latin-1"))
        connection.endheaders(review)
        got = connection.getresponse()
        return Answer(got.status, dict(got.headers), got.read())


def told(server: ApiServer, headers: Sequence[tuple[str, str]], user: str = "alice") -> Any:
    """Who one is then, or why not."""
    answer = who(server, headers, user)
    return answer.json["status"]["userInfo"] if answer.code == 201 else answer.json["message"]


def refusal(of: str, verb: str, resource: str, group: str, why: str = "") -> str:
    return (
        f'{of} is forbidden: User "alice" cannot {verb} resource "{resource}" in API group'
        f' "{group}" at the cluster scope{why}'
    )


def refused_on(mode: str) -> str:
    kind = f"selfsubjectreviews.{AUTHENTICATION}"
    verb = f"impersonate-on:{mode}:create"
    return refusal(kind, verb, "selfsubjectreviews", AUTHENTICATION)


AS_BOB = (USER, "bob")
SCOPED = (f"{EXTRA}acme.io%2Fscopes", "read")


@pytest.mark.parametrize(
    ("headers", "info"),
    [
        ([AS_BOB], {"username": "bob", "groups": ["system:authenticated"]}),
        (
            [AS_BOB, (UID, "42"), (GROUP, "a"), (GROUP, "b")],
            {"username": "bob", "uid": "42", "groups": ["a", "b", "system:authenticated"]},
        ),
        (
            [AS_BOB, SCOPED, (f"{EXTRA.lower()}Acme.IO%2fscopes", "write"), (f"{EXTRA}X", "")],
            {
                "username": "bob",
                "groups": ["system:authenticated"],
                "extra": {"acme.io/scopes": ["read", "write"], "x": [""]},
            },
        ),
        (
            [AS_BOB, (f"{EXTRA}a%zz%2Fb", "\xff")],
            {
                "username": "bob",
                "groups": ["system:authenticated"],
                "extra": {"a%zz%2fb": ["\ufffd"]},
            },
        ),
        (
            [(USER, "system:node:n1")],
            {"username": "system:node:n1", "groups": ["system:nodes", "system:authenticated"]},
        ),
        (
            [(USER, "root"), (GROUP, "system:masters")],
            {"username": "root", "groups": ["system:masters", "system:authenticated"]},
        ),
    ],
)
def test_as_whom_the_owner_speaks(
    served: ApiServer, headers: list[tuple[str, str]], info: Object
) -> None:
    assert told(served, headers, "admin") == info


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        (
            [(GROUP, "a"), (GROUP, "b")],
            'UID:"", Groups:[]string{"a", "b"}, Extra:map[string][]string(nil)',
        ),
        ([(UID, "1")], 'UID:"1", Groups:[]string(nil), Extra:map[string][]string(nil)'),
        (
            [SCOPED],
            (
                'UID:"", Groups:[]string(nil),'
                ' Extra:map[string][]string{"acme.io/scopes":[]string{"read"}}'
            ),
        ),
    ],
)
def test_nobody_is_named(served: ApiServer, headers: list[tuple[str, str]], wanted: str) -> None:
    answer = who(served, headers)
    assert (answer.code, answer.json["message"]) == (
        400,
        f'requested &user.DefaultInfo{{Name:"", {wanted}}} without impersonating a user name',
    )


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([AS_BOB], refused_on("user-info")),
        ([AS_BOB, (UID, "1")], refused_on("user-info")),
        ([(USER, RUNNER)], refused_on("serviceaccount")),
        ([(USER, "system:node:n1")], refused_on("arbitrary-node")),
        (
            [(USER, "system:node:n1"), (UID, "1")],
            refusal('users "system:node:n1"', "impersonate", "users", ""),
        ),
    ],
)
def test_why_one_may_not(served: ApiServer, headers: list[tuple[str, str]], message: str) -> None:
    assert told(served, headers) == message


OF_BOB = rule("impersonate", "users", "", "bob")


@pytest.mark.parametrize(
    ("rules", "more", "allowed"),
    [
        ([OF_BOB], [], True),
        ([OF_BOB], [(GROUP, "a")], False),
        ([OF_BOB, rule("impersonate", "groups", "", "a")], [(GROUP, "a")], True),
        ([OF_BOB, rule("impersonate", "groups", "", "a")], [(GROUP, "a"), (GROUP, "b")], False),
        ([OF_BOB], [(UID, "1")], False),
        ([OF_BOB, rule("impersonate", "uids", "")], [(UID, "1")], False),
        ([OF_BOB, rule("impersonate", "uids", AUTHENTICATION, "1")], [(UID, "1")], True),
        ([OF_BOB, rule("impersonate", "uids", AUTHENTICATION, "1")], [(UID, "2")], False),
        ([OF_BOB], [SCOPED], False),
        ([OF_BOB, rule("impersonate", "userextras", AUTHENTICATION)], [SCOPED], False),
        (
            [OF_BOB, rule("impersonate", "userextras/acme.io/scopes", AUTHENTICATION, "read")],
            [SCOPED],
            True,
        ),
        (
            [OF_BOB, rule("impersonate", "userextras/acme.io/scopes", AUTHENTICATION, "read")],
            [SCOPED, (SCOPED[0], "write")],
            False,
        ),
        ([rule("impersonate", "users", "", "eve")], [], False),
    ],
)
def test_each_part_of_somebody_needs_a_right(
    served: ApiServer, rules: list[Object], more: list[tuple[str, str]], allowed: bool
) -> None:
    allow(served, *rules)
    assert who(served, [AS_BOB, *more]).code == (201 if allowed else 403)


ON_REVIEWS = rule("impersonate-on:user-info:create", "selfsubjectreviews", AUTHENTICATION)
CONSTRAINED = (ON_REVIEWS, rule("impersonate:user-info", "*", AUTHENTICATION))


def test_one_who_may_do_one_thing_for_another_does_no_other(served: ApiServer) -> None:
    allow(served, *CONSTRAINED)
    assert told(served, [AS_BOB, (UID, "1"), SCOPED, (GROUP, "a")])["username"] == "bob"
    pods = served.ask("GET", "/api/v1/pods", headers={USER: "bob"}, user="alice")
    assert "cannot impersonate-on:user-info:list" in pods.json["message"]
    path = served.ask("GET", "/version", headers={USER: "bob"}, user="alice")
    verb = "impersonate-on:user-info:get"
    assert path.json["message"] == f'forbidden: User "alice" cannot {verb} path "/version"'


@pytest.mark.parametrize(
    ("headers", "of", "resource", "why"),
    [
        (
            [(GROUP, "system:masters")],
            f'groups.{AUTHENTICATION} "system:masters"',
            "groups",
            ": impersonating the system:masters group is not allowed",
        ),
        (
            [(GROUP, "a"), (GROUP, "")],
            f"groups.{AUTHENTICATION}",
            "groups",
            ": impersonating the empty string group is not allowed",
        ),
        (
            [(f"{EXTRA}scopes", "read")],
            f"userextras.{AUTHENTICATION}",
            "userextras",
            (
                ": impersonating an invalid key in extra is not allowed: extra.key: Invalid value:"
                ' "scopes": must be a domain-prefixed path (such as "acme.io/foo")'
            ),
        ),
        (
            [(f"{EXTRA}acme.io%2F%41", "read")],
            f"userextras.{AUTHENTICATION}",
            "userextras",
            ': impersonating a non-lowercase key in extra is not allowed: "acme.io/A"',
        ),
    ],
)
def test_what_nobody_may_claim_who_is_bound_to_one_thing(
    served: ApiServer, headers: list[tuple[str, str]], of: str, resource: str, why: str
) -> None:
    allow(served, *CONSTRAINED)
    verb = "impersonate:user-info"
    assert told(served, [AS_BOB, *headers]) == refusal(of, verb, resource, AUTHENTICATION, why)


def test_a_node_and_an_account_have_modes_of_their_own(served: ApiServer) -> None:
    def on(mode: str) -> Object:
        return rule(f"impersonate-on:{mode}:create", "selfsubjectreviews", AUTHENTICATION)

    allow(
        served,
        on("arbitrary-node"),
        rule("impersonate:arbitrary-node", "nodes", AUTHENTICATION, "n1"),
        on("serviceaccount"),
        rule("impersonate:serviceaccount", "serviceaccounts", AUTHENTICATION, "runner"),
    )
    assert told(served, [(USER, "system:node:n1")])["groups"][0] == "system:nodes"
    assert told(served, [(USER, RUNNER)])["groups"][0] == "system:serviceaccounts"
    for other in ("system:node:n2", f"{RUNNER}2", "bob"):
        assert who(served, [(USER, other)]).code == 403


def test_an_editor_speaks_for_the_accounts_of_his_namespace(served: ApiServer) -> None:
    binding = {
        "kind": "RoleBinding",
        "apiVersion": f"{RBAC}/v1",
        "metadata": {"name": "edit"},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": "alice"}],
    }
    url = f"/apis/{RBAC}/v1/namespaces/default/rolebindings"
    assert served.ask("POST", url, body=binding).code == 201
    assert told(served, [(USER, RUNNER)])["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    for other in ("system:serviceaccount:kube-system:runner", "bob"):
        assert who(served, [(USER, other)]).code == 403


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("bob", "", "system:authenticated"),
        ("bob", "team", "team system:authenticated"),
        ("bob", "system:authenticated", "system:authenticated"),
        ("bob", "system:unauthenticated", "system:unauthenticated"),
        ("system:anonymous", "system:authenticated", "system:authenticated system:unauthenticated"),
        ("system:anonymous", "", "system:unauthenticated"),
        ("system:anonymous", "system:unauthenticated", "system:unauthenticated"),
        ("system:serviceaccount:a:b", "team", "team system:authenticated"),
        (
            "system:serviceaccount:a:b",
            "",
            "system:serviceaccounts system:serviceaccounts:a system:authenticated",
        ),
        ("system:serviceaccount:a.b:c", "", "system:authenticated"),
        ("system:serviceaccount:a:", "", "system:authenticated"),
        ("system:serviceaccount:a:b:c", "", "system:authenticated"),
    ],
)
def test_which_groups_go_with_a_name(name: str, given: str, expected: str) -> None:
    assert identified(name, given.split()).groups == tuple(expected.split())
