"""A stand-in Harbor that is held to Harbor's API description.

Every request it gets and every answer it gives (but for scripted faults) is validated against
tests/contract/harbor/harbor-v2-subset.yaml; what does not fit fails the test that used it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import jsonschema
import pytest
import yaml

ROBOT = "robot$ci"
SECRET = "s3cr3t-of-the-robot"
TOKEN = base64.b64encode(f"{ROBOT}:{SECRET}".encode()).decode()
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REPORT = "application/vnd.security.vulnerability.report; version=1.1"


class Description:
    """Harbor's API description: what a request and an answer must look like."""

    def __init__(self, path: Path) -> None:
        self._spec = yaml.safe_load(path.read_text())
        self._validators: dict[tuple[str, str], jsonschema.Draft4Validator] = {}
        self._routes = [
            (re.compile("^" + re.sub(r"\{\w+\}", "[^/]+", template) + "$"), template)
            for template in self._spec["paths"]
        ]

    def route(self, path: str) -> str | None:
        return next((t for pattern, t in self._routes if pattern.match(path)), None)

    def request_problems(self, template: str, query: dict[str, str]) -> Iterator[str]:
        declared = {
            p["name"]: p
            for p in map(self._followed, self._spec["paths"][template]["get"]["parameters"])
            if p["in"] == "query"
        }
        for name, value in query.items():
            parameter = declared.get(name)
            if parameter is None:
                yield f"{template}: no query parameter '{name}'"
            elif parameter["type"] == "integer" and not value.isdigit():
                yield f"{template}: {name}={value} is no integer"
            elif int(value if parameter["type"] == "integer" else 0) > parameter.get(
                "maximum", 1e9
            ):
                yield f"{template}: {name}={value} is over {parameter['maximum']}"

    def answer_problems(self, template: str, status: int, body: Any) -> Iterator[str]:
        answers = self._spec["paths"][template]["get"]["responses"]
        if str(status) not in answers:
            yield f"{template}: no answer {status}"
            return
        validator = self._validator(template, str(status))
        for error in validator.iter_errors(body) if validator else ():
            yield f"{template} {status}: {error.json_path}: {error.message}"

    def _validator(self, template: str, status: str) -> jsonschema.Draft4Validator | None:
        answer = self._spec["paths"][template]["get"]["responses"][status]
        schema = self._followed(answer).get("schema")
        if schema is None:
            return None
        if (template, status) not in self._validators:
            definitions = self._nullable(self._spec["definitions"])
            whole = {**self._nullable(schema), "definitions": definitions}
            self._validators[template, status] = jsonschema.Draft4Validator(whole)
        return self._validators[template, status]

    def _followed(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self._spec
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def _nullable(self, node: Any) -> Any:
        """Swagger's x-nullable as JSON Schema."""
        if isinstance(node, list):
            return [self._nullable(item) for item in node]
        if not isinstance(node, dict):
            return node
        made = {key: self._nullable(value) for key, value in node.items()}
        if made.pop("x-nullable", False) is True:
            return {"anyOf": [made, {"type": "null"}]}
        return made


@dataclass
class Fault:
    """What the stand-in does instead of answering, `times` times."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1_000_000


@dataclass
class StandIn:
    """The server's data and switches, and what it saw."""

    url: str = ""
    today: bool = True
    public: bool = True
    total_header: bool = True
    faults: dict[str, Fault] = field(default_factory=dict)
    repositories: list[dict[str, Any]] = field(default_factory=list)
    artifacts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def add(self, name: str, *artifacts: dict[str, Any], **more: Any) -> None:
        """A repository `project/…` with its artifacts."""
        number = len(self.repositories) + 1
        self.artifacts[name] = [{**a, "repository_name": name} for a in artifacts]
        repository = {
            "id": number,
            "project_id": 2,
            "name": name,
            "artifact_count": len(artifacts),
            "pull_count": number * 3,
            "creation_time": "2026-01-01T00:00:00.000Z",
            "update_time": "2026-02-01T00:00:00.000Z",
        }
        self.repositories.append(repository | more)


def artifact(*tags: str, day: int = 1, **more: Any) -> dict[str, Any]:
    """An image pushed on a day of March 2026 under some tags."""
    digest = "sha256:" + hashlib.sha256(repr((tags, day)).encode()).hexdigest()
    pushed = f"2026-03-{day:02}T12:00:00.000Z"
    return {
        "id": int(digest[-8:], 16),
        "type": "IMAGE",
        "digest": digest,
        "size": 1_000_000 * day,
        "push_time": pushed,
        "pull_time": "0001-01-01T00:00:00.000Z",
        "manifest_media_type": MANIFEST,
        "extra_attrs": {"architecture": "amd64", "os": "linux"},
        "references": None,
        "labels": None,
        "accessories": None,
        "tags": [{"id": 1, "name": tag, "push_time": pushed, "immutable": False} for tag in tags]
        or None,
    } | more


def multi_arch(*tags: str, day: int = 1) -> dict[str, Any]:
    def part(architecture: str, **more: Any) -> dict[str, Any]:
        system = "unknown" if architecture == "unknown" else "linux"
        platform = {"architecture": architecture, "os": system, "OsFeatures": None} | more
        return {"child_digest": "sha256:" + "c" * 64, "platform": platform, "urls": None}

    parts = [part("amd64"), part("arm64", variant="v8"), part("unknown")]
    return artifact(*tags, day=day, manifest_media_type=INDEX, extra_attrs={}, references=parts)


class Handler(BaseHTTPRequestHandler):
    standin: StandIn
    description: Description
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet, or the body waits for a delayed ACK

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.standin.requests.append(self.path)
        for part, fault in self.standin.faults.items():
            if part in self.path and fault.times > 0:
                fault.times -= 1
                self._send(fault.status, fault.body.encode(), fault.headers)
                return
        # Harbor's own nginx decodes a path once; Harbor decodes each segment once more.
        raw, _, query_text = self.path.partition("?")
        path = unquote(raw.removeprefix("/api/v2.0"))
        query = dict(parse_qsl(query_text, keep_blank_values=True))
        template = self.description.route(path)
        if template is None or (not self.standin.today and template.endswith("_id}/artifacts")):
            self._error(404, "NOT_FOUND", f"path {raw} was not found", None)
            return
        self.standin.violations += self.description.request_problems(template, query)
        self._answer(template, [unquote(part) for part in path.split("/")], query)

    def _answer(self, template: str, parts: list[str], query: dict[str, str]) -> None:
        known = self._is_robot()
        if not known and (not self.standin.public or template.endswith("_id}/artifacts")):
            self._error(401, "UNAUTHORIZED", "unauthorized", template)
        elif int(query.get("page_size", 10)) > 100:
            self._error(422, "UNPROCESSABLE_ENTITY", "page_size should be at most 100", template)
        elif template == "/projects/{project_name}/repositories":
            found = [r for r in self.standin.repositories if r["name"].split("/")[0] == parts[2]]
            self._page(template, parts, _filtered(found, query, "name"), query)
        elif template == "/projects/{project_name_or_id}/artifacts":
            every = [a for group in self.standin.artifacts.values() for a in group]
            self._page(template, parts, _tagged(every, query), query)
        elif template == "/projects/{project_name}/repositories/{repository_name}/artifacts":
            group = self.standin.artifacts.get(f"{parts[2]}/{parts[4]}", [])
            self._page(template, parts, _tagged(group, query), query)
        else:
            raise AssertionError(f"the stand-in does not play {template}")

    def _is_robot(self) -> bool:
        return self.headers.get("Authorization") == f"Basic {TOKEN}"

    def _page(
        self, template: str, parts: list[str], items: list[Any], query: dict[str, str]
    ) -> None:
        page, size = int(query.get("page", 1)), int(query.get("page_size", 10))
        headers = {"X-Total-Count": str(len(items))} if self.standin.total_header else {}
        if page < math.ceil(len(items) / size):
            headers["Link"] = f'<{"/".join(map(quote, parts))}?page={page + 1}>; rel="next"'
        self._json(template, 200, items[(page - 1) * size : page * size], headers)

    def _error(self, status: int, code: str, message: str, template: str | None) -> None:
        self._json(template, status, {"errors": [{"code": code, "message": message}]}, {})

    def _json(self, template: str | None, status: int, body: Any, headers: dict[str, str]) -> None:
        if template is not None:
            self.standin.violations += self.description.answer_problems(template, status, body)
        kind = {"Content-Type": "application/json; charset=utf-8", "X-Request-Id": "req-1"}
        self._send(status, json.dumps(body).encode() + b"\n", kind | headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _filtered(items: list[Any], query: dict[str, str], key: str) -> list[Any]:
    """Harbor's q language for one key: exact and fuzzy; unknown keys are ignored."""
    for clause in filter(None, query.get("q", "").split(",")):
        name, _, value = clause.partition("=")
        if name == key:
            fuzzy, value = value.startswith("~"), value.removeprefix("~")
            items = [i for i in items if (value in i[key] if fuzzy else value == i[key])]
    return items


def _tagged(items: list[Any], query: dict[str, str]) -> list[Any]:
    for clause in filter(None, query.get("q", "").split(",")):
        name, _, value = clause.partition("=")
        if name == "type":
            items = [a for a in items if a["type"] == value]
        elif name == "tags" and value == "*":
            items = [a for a in items if a["tags"]]
        elif name == "tags":
            items = [a for a in items if value in [t["name"] for t in a["tags"] or []]]
    return items


@pytest.fixture(scope="session")
def description() -> Description:
    return Description(Path(__file__).parents[1] / "contract" / "harbor" / "harbor-v2-subset.yaml")


@pytest.fixture
def standin_of(description: Description) -> Iterator[Callable[[], StandIn]]:
    """Makes stand-ins; at the end each must have kept to the description."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread]] = []
    made: list[StandIn] = []

    def start() -> StandIn:
        standin = StandIn()
        handler = type("H", (Handler,), {"standin": standin, "description": description})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        standin.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        servers.append((server, thread))
        made.append(standin)
        return standin

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()
    assert [violation for standin in made for violation in standin.violations] == []


@pytest.fixture
def harbor(standin_of: Callable[[], StandIn]) -> StandIn:
    """Three repositories of the project `batch`."""
    standin = standin_of()
    standin.add(
        "batch/ml/pytorch",
        artifact(
            "2.7-cuda12",
            "latest",
            day=9,
            labels=[{"id": 4, "name": "gpu", "scope": "p"}],
            scan_overview={
                REPORT: {
                    "scan_status": "Success",
                    "severity": "High",
                    "report_id": "r",
                    "summary": {"total": 12, "fixable": 7, "summary": {"High": 3, "Low": 9}},
                }
            },
        ),
        multi_arch("2.6-multi", day=5),
        artifact(day=2),
        description="# PyTorch\n\nCUDA 12, mount &lt;data&gt; under `/data`.",
    )
    standin.add("batch/ubuntu_python_tensorflow", artifact("3.1cuda11", day=3))
    standin.add("batch/empty")
    return standin


@pytest.fixture
def five_hundred(standin_of: Callable[[], StandIn]) -> StandIn:
    """500 repositories: nested ones, empty ones, multi-arch ones, one with 130 artifacts."""
    standin = standin_of()
    for number in range(500):
        name = f"batch/{'deep/nested/' if number % 7 == 0 else ''}image-{number:03}"
        if number == 77:
            standin.add(name, *[artifact(f"v{n}", day=1 + n % 28) for n in range(130)])
        elif number % 10 == 3:
            standin.add(name)
        elif number % 10 == 5:
            standin.add(name, multi_arch("latest", day=1 + number % 28))
        else:
            standin.add(name, artifact("latest", f"v{number}", day=1 + number % 28))
    return standin
