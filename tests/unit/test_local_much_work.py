"""What of 3 MiB takes a moment only, and is answered with little, whatever is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer
from plugins.new_object import made
from plugins.work import assert_grows_in_proportion

from jobman.local.api import schema, validation
from jobman.local.api.resources import resource_of

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


def _created(obj: Object) -> None:
    assert validation.validate_create(obj["kind"], obj) == []


@pytest.mark.parametrize("asked", [_spread, _exit_codes])
def test_lists_of_many_are_looked_at_once(asked: Any) -> None:
    assert_grows_in_proportion(_created, asked)


def _waits_for(many: int) -> Object:
    tolerations = [{"key": f"a{n}", "operator": "Exists"} for n in range(many)]
    gates = [{"name": f"a{n}"} for n in range(many)]
    return _pod(tolerations=tolerations, schedulingGates=gates)


def _changed(obj: Object) -> None:
    assert validation.validate_update("Pod", obj, obj) == []


def test_a_change_of_many_is_looked_at_once() -> None:
    assert_grows_in_proportion(_changed, _waits_for)


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
