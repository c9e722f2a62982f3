"""What a real API server refuses is refused here with the same causes.

Recorded of an older server, 1.20.2: cases whose rules or words have changed since are not among
them. It prints an invalid object as Go does; here it is JSON, and both are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plugins.api_server import ApiServer

Object = dict[str, Any]

FILES = sorted((Path(__file__).parent / "recordings" / "refusals").glob("*.json"))
CASES = [
    pytest.param(case, id=f"{file.stem}-{case['name']}")
    for file in FILES
    for case in json.loads(file.read_text())["cases"]
]
NAMESPACE = "refusals"
_VALUE = re.compile(
    r'^(Invalid|Duplicate|Unsupported) value: ("(?:[^"\\]|\\.)*"|-?\d+|null|[\[{].*?[\]}]|'
    r"(?:map\[\w+\]\w+|(?:\[\])?[a-zA-Z0-9]+\.?[A-Za-z]*)(?:\{.*?\}+|\(nil\)))(?=: |$)"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with ApiServer(tmp_path_factory.mktemp("cluster")) as found:
        found.ask("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
        yield found


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_as_recorded(server: ApiServer, case: Object) -> None:
    path = case["path"].replace("{ns}", NAMESPACE)
    headers = {"Content-Type": case["contentType"]}
    answer = server.ask(case["method"], path, body=case["body"], headers=headers)
    found = answer.json
    assert (answer.code, found.get("reason")) == (case["status"], case["reason"])
    causes = [
        [cause["reason"], cause["field"], cause["message"]]
        for cause in found.get("details", {}).get("causes", [])
    ]
    assert without_values(causes) == without_values(case["causes"])
    if not causes:
        assert found["message"] == case["message"].replace("{ns}", NAMESPACE)


def without_values(causes: list[list[str]]) -> list[list[str]]:
    return [[reason, field, _VALUE.sub(r"\1 value", text)] for reason, field, text in causes]
