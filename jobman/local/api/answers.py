"""Answers: the form that the caller asked for, compact or pretty, gzipped when big."""

from __future__ import annotations

import asyncio
import uuid
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import yaml
from aiohttp import web

from jobman.local.api import status
from jobman.local.api.resources import Resource
from jobman.local.store import Record

JSON, YAML = "application/json", "application/yaml"
_GZIP_FROM = 128 * 1024
_PRETTY_AGENTS = ("curl/", "Wget/", "Mozilla/")
AVAILABLE = (JSON, YAML, "application/vnd.kubernetes.protobuf")


class Accept:
    """What the caller accepts: the first clause that this server can give."""

    def __init__(self, header: str) -> None:
        self.form = ""
        self.type = JSON
        clauses = [clause.strip() for clause in header.split(",") if clause.strip()]
        for clause in clauses:
            kind, _, rest = clause.partition(";")
            parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
            wanted = parameters.get("as", "")
            if kind in (JSON, YAML, "*/*", "application/*") and wanted in _FORMS:
                self.form = wanted
                self.type = YAML if kind == YAML else JSON
                return
        if clauses:
            raise status.not_acceptable(AVAILABLE)

    @property
    def table(self) -> bool:
        """Whether a Table is asked for."""
        return self.form == "Table"

    @property
    def partial(self) -> bool:
        """Whether metadata alone is asked for."""
        return self.form.startswith("PartialObjectMetadata")


_FORMS = ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList")


async def answer(
    request: web.Request,
    value: Any,
    *,
    code: int = 200,
    warnings: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    kind: str = JSON,
) -> web.Response:
    """`value` as JSON or YAML."""
    if kind == YAML:
        body = yaml.safe_dump(value, sort_keys=False).encode()
    else:
        body = encoded(request, value)
    response = await answer_bytes(request, body, kind, code=code, headers=headers)
    for warning in warnings:
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    return response


async def answer_bytes(
    request: web.Request,
    body: bytes,
    kind: str,
    *,
    code: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """A body as it is, gzipped when it is big and the caller can take that."""
    own = {**common_headers(), **(headers or {}), "Content-Type": kind}
    if len(body) > _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = await asyncio.get_running_loop().run_in_executor(None, _gzipped, body)
        own |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return web.Response(status=code, body=body, headers=own)


def plain(text: str, code: int = 200) -> web.Response:
    """A text."""
    headers = {**common_headers(), "Content-Type": "text/plain; charset=utf-8"}
    return web.Response(status=code, body=text.encode(), headers=headers)


def common_headers() -> dict[str, str]:
    """What every answer carries."""
    return {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private"}


def encoded(request: web.Request, value: Any) -> bytes:
    """JSON in one line, or indented for people."""
    body = msgspec.json.encode(value)
    return (msgspec.json.format(body, indent=2) if is_pretty(request) else body) + b"\n"


def is_pretty(request: web.Request) -> bool:
    """Whether a person reads the answer."""
    asked = request.query.get("pretty")
    if asked is not None:
        return asked in ("true", "1", "")
    return request.headers.get("User-Agent", "").startswith(_PRETTY_AGENTS)


def list_body(resource: Resource, records: list[Record], metadata: dict[str, Any]) -> bytes:
    """A List of stored objects, whose items carry no kind; nothing is decoded."""
    kind, version = resource.kind, resource.group_version
    head = {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata}
    prefix = msgspec.json.encode({"kind": kind, "apiVersion": version})[:-1] + b","
    items = b",".join(_item(record, prefix) for record in records)
    return msgspec.json.encode(head)[:-1] + b',"items":[' + items + b"]}\n"


def _item(record: Record, prefix: bytes) -> bytes:
    if record.body.startswith(prefix):
        return b"{" + record.body[len(prefix) :]
    obj = record.object()
    obj.pop("kind", None)
    obj.pop("apiVersion", None)
    return msgspec.json.encode(obj)


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(body) + packer.flush()


def _quoted(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean.replace("\\", "\\\\").replace('"', '\\"')
