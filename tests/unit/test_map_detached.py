"""A run that is handed to the cluster: nothing of it is lost on the way."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from jobman.admin import mapper
from jobman.errors import UsageError
from jobman.map import detached
from jobman.map.items import Items
from jobman.map.plan import Plan
from jobman.map.template import Template

POD: dict[str, Any] = {
    "kind": "Pod",
    "spec": {"containers": [{"name": "main", "args": ["{{.Values.x}}"]}]},
}
DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
SITE = detached.Site("registry/jobman:1", "jobman-map", "logs")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    items = Items([("a\n'b'", {"x": "1"}), ("\u2028{{.Item}}", {"x": ""})], ("x",))
    template = Template(POD, "abc", columns=("x",))
    template.surroundings = [{"name": "PATH", "value": "/bin:{{.Item}}"}]
    return Plan(
        run="abc",
        items=items,
        template=template,
        namespace="team",
        user="ann@example.com",
        log_dir=tmp_path / "logs",
        max_pending=7,
        keep_failed_pods=True,
        retry_reasons=frozenset({"OOMKilled"}),
    )


def test_what_is_unpacked_is_what_was_packed(plan: Plan, tmp_path: Path) -> None:
    for name, data in detached.parcel(plan).items():
        (tmp_path / name).write_bytes(data)
    items, template, chosen = detached.unpack(tmp_path)
    assert (items.digest, items.count, items.columns) == (plan.items.digest, 2, ("x",))
    assert template.digest == plan.template.digest
    assert template.expand(next(iter(items))) == plan.template.expand(next(iter(plan.items)))
    again = Plan(items=items, template=template, namespace="team", log_dir=plan.log_dir, **chosen)
    for name in (*detached.CHOICES, "run", "user", "retry_reasons"):
        assert getattr(again, name) == getattr(plan, name)


def test_pieces_of_an_earlier_longer_list_are_none_of_it(plan: Plan, tmp_path: Path) -> None:
    for name, data in {"items-00001": b"of a longer list", **detached.parcel(plan)}.items():
        (tmp_path / name).write_bytes(data)
    items, _, _ = detached.unpack(tmp_path)
    assert items.digest == plan.items.digest


def test_each_file_is_a_config_map_of_its_own(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "PIECE_BYTES", 20)
    files = detached.parcel(plan)
    assert len(files) > 3
    found = detached.config_maps("abc", files, {"a": "b"})
    assert [found_map["metadata"]["name"] for found_map in found][:2] == ["map-abc-0", "map-abc-1"]
    assert {
        name: base64.b64decode(text)
        for found_map in found
        for name, text in found_map["binaryData"].items()
    } == files
    pod = detached.pod_of_site("abc", files, SITE, "team")
    assert [
        source["configMap"]["name"] for source in pod["volumes"][0]["projected"]["sources"]
    ] == [found_map["metadata"]["name"] for found_map in found]


def test_too_much_for_config_maps(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(detached, "PIECE_BYTES", 1)
    monkeypatch.setattr(detached, "MOST_PIECES", 5)
    with pytest.raises(UsageError, match="too much to hand to the cluster"):
        detached.parcel(plan)


def test_the_runner_is_none_of_its_own_pods(plan: Plan) -> None:
    pod = detached.pod_of_site("abc", detached.parcel(plan), SITE, "team")
    job = detached.job("abc", pod, {"jobman/user": "ann"}, {})
    template = job["spec"]["template"]
    assert template["metadata"]["labels"] == {"jobman/user": "ann", "jobman/map": "abc"}
    assert template["spec"]["serviceAccountName"] == "jobman-map"
    (container,) = template["spec"]["containers"]
    assert container["command"][-2:] == ["--log-dir", "/jobman/logs/abc"]


def test_the_volume_takes_the_logs_of_the_images_user(plan: Plan) -> None:
    """As the Dockerfile of the project makes that user."""
    pod = detached.pod_of_site("abc", detached.parcel(plan), SITE, "team")
    group = pod["securityContext"]["fsGroup"]
    (user,) = [line for line in DOCKERFILE.read_text().splitlines() if line.startswith("USER")]
    assert user == f"USER {group}:{group}"


def test_a_runner_on_this_machine_gets_its_words_untouched() -> None:
    pod = detached.pod_of_machine(["python", "/a $b"], "/w", {"X": "$(Y)"})
    (container,) = pod["containers"]
    assert container["command"] == ["python", "/a $$b"]
    assert container["env"] == [{"name": "X", "value": "$$(Y)"}]


def test_rights_of_a_runner() -> None:
    account, role, binding = mapper.manifests("team", "jobman-map")
    assert account["kind"] == "ServiceAccount"
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} <= {
        "get",
        "list",
        "watch",
        "create",
        "update",
        "delete",
    }
    assert binding["subjects"][0] == {
        "kind": "ServiceAccount",
        "name": "jobman-map",
        "namespace": "team",
    }
