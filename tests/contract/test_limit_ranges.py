"""What pods and claims get, and are refused for, where there is a LimitRange: as recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer

Object = dict[str, Any]

RECORDED = json.loads((Path(__file__).parent / "recordings" / "limit-ranges.json").read_text())
KEPT = ("requests", "limits")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("cluster")) as found:
        for name, limit_range in RECORDED["ranges"].items():
            found.ask("POST", "/api/v1/namespaces", body={"metadata": {"name": name}})
            path = f"/api/v1/namespaces/{name}/limitranges"
            assert found.ask("POST", path, body=limit_range).code == 201
        yield found


@pytest.mark.parametrize("case", RECORDED["cases"], ids=lambda case: case["range"])
def test_it_is_as_recorded(server: ApiServer, case: Object) -> None:
    plural = "pods" if "containers" in case["object"]["spec"] else "persistentvolumeclaims"
    path = f"/api/v1/namespaces/{case['range']}/{plural}"
    answer = server.ask("POST", path, {"dryRun": "All"}, body=case["object"])
    assert answer.code == case["status"], answer.text
    if answer.code == 403:
        said = answer.json["message"].partition(" is forbidden: ")[2].strip("[]")
        assert sorted(said.split(", ")) == case["problems"]
        return
    spec = answer.json["spec"]
    containers = [*spec.get("containers", []), *spec.get("initContainers", [])]
    assert [shown(container.get("resources", {})) for container in containers] == [
        shown(resources or {}) for resources in case["resources"]
    ]
    assert answer.json["metadata"].get("annotations", {}) == case["annotations"]


def shown(resources: Object) -> Object:
    return {part: resources[part] for part in KEPT if resources.get(part)}
