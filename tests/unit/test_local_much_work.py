"""What of 3 MiB takes a moment only, and is answered with little, whatever is wrong with it."""

from __future__ import annotations

import contextlib
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from plugins.api_server import ApiServer
from plugins.new_object import made
from plugins.work import assert_grows_in_proportion

from jobman.local.api import answers, decode, json_patch, rules, schema, validation
from jobman.local.api.registry import Registry
from jobman.local.api.resources import resource_of
from jobman.local.pod_state import PodState

Object = dict[str, Any]
MAPS = "/api/v1/namespaces/default/configmaps"
TOLD_MAX = 4 * 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path) as found:
        yield found


def _pod(**spec: Any) -> Object:
    return made("Pod", spec={"containers": [{"name": "main", "image": "busybox"}], **spec})


def _spread(many: int) -> Object:
    wish = {"maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}
    return _pod(topologySpreadConstraints=[{**wish, "topologyKey": f"a{n}"} for n in range(many)])


def _exit_codes(many: int) -> Object:
    codes = {"operator": "NotIn", "values": list(range(many))}
    rules = [{"action": "FailJob", "onExitCodes": codes}]
    template = {"spec": {"containers": [{"name": "a", "image": "a"}], "restartPolicy": "Never"}}
    return made("Job", spec={"template": template, "podFailurePolicy": {"rules": rules}})


def _judged(obj: Object) -> None:
    """That the list is too long is told in one cause, and costs no more to find."""
    assert len(validation.validate_create(obj["kind"], obj)) <= 1


@pytest.mark.parametrize("asked", [_spread, _exit_codes])
def test_lists_of_many_are_looked_at_once(asked: Any) -> None:
    assert_grows_in_proportion(_judged, asked)


def _waits_for(many: int) -> Object:
    tolerations = [{"key": f"a{n}", "operator": "Exists"} for n in range(many)]
    gates = [{"name": f"a{n}"} for n in range(many)]
    return _pod(tolerations=tolerations, schedulingGates=gates)


def _changed(obj: Object) -> None:
    assert validation.validate_update("Pod", obj, obj) == []


def test_a_change_of_many_is_looked_at_once() -> None:
    assert_grows_in_proportion(_changed, _waits_for)


def _of_init_containers(many: int) -> PodState:
    names = [{"name": f"a{n}"} for n in range(many)]
    return PodState(_pod(initContainers=names), Path("/none"), {})


def _look_at_all(state: PodState) -> None:
    assert [c["name"] for c in state.containers if not state.is_init(c)] == ["main"]


def test_containers_are_told_from_init_containers_at_once() -> None:
    assert_grows_in_proportion(_look_at_all, _of_init_containers)


def test_what_quotas_count_is_kept(registry: Registry) -> None:
    def asked(many: int) -> Object:
        made = {"metadata": {"name": f"n{many}"}}
        registry.create("namespaces", "", made)
        for number in range(many // 16):
            named = {"metadata": {"name": f"a{number}"}}
            pods = {"spec": {"hard": {"pods": "9k"}, "scopes": ["BestEffort"]}}
            registry.create("resourcequotas", f"n{many}", named | pods)
            registry.create("pods", f"n{many}", {**_pod(), **named})
        return made

    def one_more(namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        obj = {**_pod(), "metadata": {"name": "more"}}
        registry.create("pods", name, obj, dry_run=True)

    assert_grows_in_proportion(one_more, asked)


def _wrong_everywhere() -> Object:
    return made("ConfigMap", data={f"?{number}": "" for number in range(100_000)})


def _long_and_repeated() -> Object:
    """A text of 1 MiB that each of many causes tells."""
    items = [{"key": "a", "path": "a"}] * 20_000
    source = {"configMap": {"name": "a" * 1024 * 1024, "items": items}}
    return _pod(volumes=[{"name": "v", "projected": {"sources": [source]}}])


@pytest.mark.parametrize("obj", [_wrong_everywhere(), _long_and_repeated()], ids=["many", "long"])
def test_what_is_wrong_is_told_up_to_a_size(obj: Object) -> None:
    causes = validation.validate_create(obj["kind"], obj)
    assert causes
    assert sum(len(cause.message) for cause in causes) < TOLD_MAX
    changed = validation.validate_update(obj["kind"], obj, {**obj, "kind": obj["kind"]})
    assert sum(len(cause.message) for cause in changed) < TOLD_MAX


def test_a_hundred_unknown_fields_are_told_each_once() -> None:
    obj: Object = {f"f{number}": 1 for number in range(50_000)}
    _, warnings = schema.check(resource_of("configmaps"), obj, "Warn")
    assert len(warnings) == 100
    pod = {"spec": {"nodeSelector": schema.decode(b'{"a":"1","a":"2"}')}}
    pod |= {"metadata": {"labels": schema.decode(b'{"a":"1","a":"2"}')}}
    _, warnings = schema.check(resource_of("pods"), pod, "Warn")
    assert warnings == [
        'duplicate field "spec.nodeSelector.a"',
        'duplicate field "metadata.labels.a"',
    ]


def _warnings(server: ApiServer, obj: Object) -> list[str]:
    got = server.ask("POST", MAPS, body=obj)
    assert got.code == 201
    texts = got.warnings
    return [text[len('299 - "') : -1].replace('\\"', '"') for text in texts]


def test_of_many_warnings_the_beginnings_are_sent(server: ApiServer) -> None:
    few = {"metadata": {"name": "few"}, "x" * 1000: 1, "y": 1}
    assert [len(text) for text in _warnings(server, few)] == [len('unknown field ""') + 1000, 17]
    many = {"metadata": {"name": "many"}, **{f"{'x' * 1000}{n}": 1 for n in range(500)}}
    told = _warnings(server, many)
    assert [len(text) for text in told] == [256] * 16
    assert told[0] == 'unknown field "' + "x" * 241


@pytest.mark.parametrize("bound", ["9" * 5000, str(2**63), "-" + "9" * 30])
def test_a_bound_of_labels_has_64_bits(server: ApiServer, bound: str) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "a", "labels": {"n": "5"}}})
    got = server.ask("GET", MAPS, {"labelSelector": f"n>{bound}"})
    assert (got.code, got.json["reason"]) == (400, "BadRequest")
    server.ask("POST", MAPS, body={"metadata": {"name": "b", "labels": {"n": "9" * 63}}})
    got = server.ask("GET", MAPS, {"labelSelector": f"n>{2**63 - 1}"})
    assert (got.code, got.json["items"]) == (200, [])


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "move", "from": "/many/0", "path": "/many/-"}] * 9_000,
        [{"op": "add", "path": "/many/0", "value": 1}] * 9_000,
    ],
    ids=["moved", "pushed"],
)
def test_a_json_patch_moves_so_many_items(operations: list[Any]) -> None:
    with pytest.raises(json_patch.PatchError, match="too much"):
        json_patch.apply({"many": [0] * 100_000}, operations)
    patched = json_patch.apply({"many": list(range(10_000))}, operations)
    assert len(patched["many"]) in (10_000, 19_000)
    ends = [{"op": "add", "path": "/many/-", "value": 1}] * 9_000
    patched = json_patch.apply({"many": [0] * 100_000}, ends)
    assert len(patched["many"]) == 109_000


def test_an_object_that_becomes_too_deep_is_refused(server: ApiServer) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "deep"}})
    operations: list[Object] = [{"op": "add", "path": "/x", "value": {}}]
    for depth in (2**power for power in range(13)):
        operations += [
            {"op": "copy", "from": "/x", "path": "/x" * depth + "/y"},
            {"op": "move", "from": "/x" * depth + "/y", "path": "/x" * depth + "/x"},
        ]
    kind = {"Content-Type": "application/json-patch+json"}
    got = server.ask("PATCH", f"{MAPS}/deep", body=operations, headers=kind)
    assert (got.code, got.json["message"]) == (400, "exceeded max depth")


def test_a_long_yaml_is_as_a_short_one(server: ApiServer) -> None:
    finalizers = [f"a.b/f{number}" for number in range(2_000)]
    server.ask("POST", MAPS, body={"metadata": {"name": "long", "finalizers": finalizers}})
    got = server.ask("GET", f"{MAPS}/long", headers={"Accept": "application/yaml"})
    assert yaml.safe_load(got.body)["metadata"]["finalizers"] == finalizers


@pytest.mark.parametrize(("where", "name"), [(decode, "decode_yaml"), (answers, "_yaml")])
def test_who_sends_or_wants_long_yaml_keeps_nobody_else_waiting(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    begun, answered, in_time = threading.Event(), threading.Event(), []
    plain = getattr(where, name)

    def slow(given: Any) -> Any:
        begun.set()
        in_time.append(answered.wait(5))
        return plain(given)

    monkeypatch.setattr(where, name, slow)
    body = b"metadata: {name: long}\ndata:\n" + b"".join(b"  k%d: v\n" % n for n in range(3000))
    kinds = {"Content-Type": "application/yaml", "Accept": "application/yaml"}
    with ThreadPoolExecutor(1) as pool:
        long = pool.submit(server.ask, "POST", MAPS, body=body, headers=kinds)
        assert begun.wait(10)
        server.ask("GET", MAPS)
        answered.set()
        assert (long.result().code, in_time) == (201, [True])


def test_of_a_big_pod_the_first_differences_are_told() -> None:
    env = [{"name": f"v{number}", "value": "x"} for number in range(20_000)]
    before, after = (
        made("Pod", spec={"containers": [{"name": "main", "image": "busybox", "env": given}]})
        for given in (env, [*env[:10_000], *env[:9_999:-1]])
    )
    (cause,) = validation.validate_update("Pod", before, after)
    assert '-     "name": "v10000"' in cause.message
    assert '     "name": "v19999"' in cause.message
    assert len(cause.message) < 100_000


def test_long_texts_are_not_remembered() -> None:
    """A key or an amount may have 3 MiB."""
    tracemalloc.start()
    try:
        for number in range(50):
            rules.qualified_name("a" * 200_000 + str(number))
            with contextlib.suppress(ValueError):
                schema.decode_as("ResourceQuotaSpec", _hard("1" * 200_000 + str(number)), "Warn")
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


def _hard(amount: str) -> Object:
    return {"hard": {"cpu": amount}}


def test_an_object_grows_by_patches_to_what_a_request_may_bring(server: ApiServer) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "grows"}})
    kind = {"Content-Type": "application/strategic-merge-patch+json"}
    answers = []
    for turn in range(4):
        finalizers = [f"a.b/{'x' * 40}-{turn}-{number}" for number in range(20_000)]
        change = {"metadata": {"finalizers": finalizers}}
        answers.append(server.ask("PATCH", f"{MAPS}/grows", body=change, headers=kind))
    assert [answer.code for answer in answers] == [200, 200, 413, 413]
    assert answers[-1].json["reason"] == "RequestEntityTooLarge"
    kind["Content-Type"] = "application/merge-patch+json"
    less = {"metadata": {"finalizers": None}}
    assert server.ask("PATCH", f"{MAPS}/grows", body=less, headers=kind).code == 200


def test_an_object_that_is_too_big_already_may_become_smaller_by_a_patch(server: ApiServer) -> None:
    server.ask("POST", MAPS, body={"metadata": {"name": "big"}})
    about = server.ask("GET", f"{MAPS}/big").json["metadata"]
    finalizers = [f"a.b/{'x' * 40}-{number}" for number in range(80_000)]
    server.put("configmaps", {"metadata": {**about, "finalizers": finalizers}})
    kind = {"Content-Type": "application/json-patch+json"}
    more = [{"op": "add", "path": "/metadata/finalizers/-", "value": "a.b/c"}]
    fewer = [{"op": "remove", "path": "/metadata/finalizers/0"}]
    for change, code in ((more, 413), (fewer, 200)):
        assert server.ask("PATCH", f"{MAPS}/big", body=change, headers=kind).code == code
