"""Listing a big Harbor project, beside the same requests one after the other."""

from __future__ import annotations

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from jobman.config.settings import HarborProject
from jobman.images.projects import Project

pytestmark = pytest.mark.slow

REPOSITORIES = 500
LATENCY_S = 0.05
"""What Harbor takes for an answer, at least."""
PUSHED = "2026-03-01T12:00:00.000Z"


class Handler(BaseHTTPRequestHandler):
    """500 repositories with three tags each; `at_once`: as Harbor 2.12 lists artifacts."""

    at_once = True
    asked: list[str]
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        time.sleep(LATENCY_S)
        url = urlsplit(self.path)
        page = int(parse_qs(url.query)["page"][0])
        if url.path.endswith("/batch/repositories"):
            self._send(200, page, [repository(number) for number in range(REPOSITORIES)])
        elif url.path.endswith("/batch/artifacts"):
            every = [artifact(number) for number in range(REPOSITORIES)]
            self._send(200, page, every) if self.at_once else self._send(404, 1, [])
        else:
            name = url.path.split("/")[-2]
            self._send(200, page, [artifact(int(name.removeprefix("image-")))])

    def _send(self, status: int, page: int, items: list[Any]) -> None:
        body = json.dumps(items[(page - 1) * 100 : page * 100]).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Total-Count", str(len(items)))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def repository(number: int) -> dict[str, Any]:
    return {"name": f"batch/image-{number}", "artifact_count": 1, "pull_count": number}


def artifact(number: int) -> dict[str, Any]:
    return {
        "digest": f"sha256:{number:064}",
        "repository_name": f"batch/image-{number}",
        "size": 1000,
        "push_time": PUSHED,
        "tags": [{"name": f"v{n}", "push_time": PUSHED} for n in range(3)],
    }


@pytest.fixture(params=[True, False], ids=["Harbor 2.12", "before"])
def server(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("H", (Handler,), {"at_once": request.param, "asked": asked})
    httpd: socketserver.BaseServer = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_address[1]}", asked  # type: ignore[str-bytes-safe]
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_500_repositories_beside_one_request_after_the_other(
    server: tuple[str, list[str]], tmp_path: Path, bench: Any
) -> None:
    url, asked = server
    settings = HarborProject(name="batch", base_url=url, token="bWU6cHc=")
    start = time.perf_counter()
    images = Project(settings, {"HOME": str(tmp_path)}, tmp_path).images()
    ours = time.perf_counter() - start
    paths = list(asked)
    with requests.Session() as session:
        session.trust_env = False
        start = time.perf_counter()
        for path in paths:
            assert session.get(url + path).content
        in_turn = time.perf_counter() - start
    assert sum(len(image.tags) for image in images) == 3 * REPOSITORIES
    bench.say(
        f"{len(paths)} requests: {ours:.2f} s, one after the other {in_turn:.2f} s; "
        f"ratio {ours / in_turn:.2f} (at most 0.5)"
    )
    assert ours / in_turn <= 0.5
