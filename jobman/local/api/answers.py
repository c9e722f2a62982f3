"""Answers: the form that the caller asked for, compact or pretty, gzipped when big."""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
import yaml
from aiohttp import web

from jobman.local.api import metadata, status
from jobman.local.api.resources import Resource
from jobman.local.stored import Record

JSON, YAML = "application/json", "application/yaml"
_GZIP_FROM = 128 * 1024
_WRITTEN_BESIDE = 16 * 1024
_WARNINGS_CHARS, _WARNING_CHARS = 4096, 256
_PRETTY_AGENTS = ("curl/", "Wget/", "Mozilla/")
WARNINGS: web.RequestKey[list[str]] = web.RequestKey("warnings", list[str])
_FORMS = ("", "Table", "PartialObjectMetadata", "PartialObjectMetadataList")
_ANY = ("*/*", "application/*")
_TEXT = "tag:yaml.org,2002:str"
AVAILABLE = (JSON, YAML, "application/vnd.kubernetes.protobuf")


class Accept:
    """What the caller accepts: the first clause that this server can give. Raises a 406."""

    def __init__(self, header: str) -> None:
        self.form = ""
        self.type = JSON
        clauses = [_clause(text) for text in header.split(",") if text.strip()]
        for kind, form in clauses:
            if kind in (JSON, YAML, *_ANY) and form in _FORMS:
                self.form = form
                self.type = YAML if kind == YAML else JSON
                return
        if any(kind in (*AVAILABLE, *_ANY) for kind, _ in clauses):
            raise status.not_acceptable(AVAILABLE)
        if clauses:
            raise status.not_available(AVAILABLE)

    @property
    def table(self) -> bool:
        """Whether a Table is asked for."""
        return self.form == "Table"

    @property
    def partial(self) -> bool:
        """Whether metadata alone is asked for."""
        return self.form.startswith("PartialObjectMetadata")


def _clause(text: str) -> tuple[str, str]:
    """A clause's media type, and the form in its parameter `as`."""
    kind, _, rest = text.partition(";")
    parameters = dict(part.strip().partition("=")[::2] for part in rest.split(";"))
    return kind.strip(), parameters.get("as", "")


def accept_of(request: web.BaseRequest) -> Accept:
    """What a request's caller accepts. Raises a 406."""
    return _accept(",".join(request.headers.getall("Accept", [])))


@lru_cache(maxsize=256)
def _accept(header: str) -> Accept:
    return Accept(header)


def warn(request: web.BaseRequest, *texts: str) -> None:
    """Send warnings with the answer, whatever it will be."""
    if texts:
        request[WARNINGS].extend(texts)


async def answer(
    request: web.BaseRequest,
    value: Any,
    *,
    code: int = 200,
    headers: Mapping[str, str] | None = None,
    kind: str = JSON,
) -> web.Response:
    """`value` as JSON or YAML."""
    body = await _in_yaml(value) if kind == YAML else encoded(request, value)
    return await answer_bytes(request, body, kind, code=code, headers=headers)


async def refusal(request: web.BaseRequest, error: status.ApiError) -> web.Response:
    """A Status, in YAML for who asked for that."""
    try:
        kind = accept_of(request).type
    except status.ApiError:
        kind = JSON
    return await answer(request, error.status, code=error.code, headers=error.headers, kind=kind)


async def answer_bytes(
    request: web.BaseRequest,
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
    response = web.Response(status=code, body=body, headers=own)
    for warning in _bounded(request[WARNINGS]):
        response.headers.add("Warning", f'299 - "{_quoted(warning)}"')
    return response


def _bounded(warnings: list[str]) -> list[str]:
    """Each once; of much only beginnings, as Kubernetes sends them."""
    texts = list(dict.fromkeys(warnings))
    if sum(map(len, texts)) <= _WARNINGS_CHARS:
        return texts
    sent, size = [], 0
    for text in texts:
        if size >= _WARNINGS_CHARS:
            break
        sent.append(text[:_WARNING_CHARS])
        size += len(sent[-1])
    return sent


def plain(text: str, code: int = 200) -> web.Response:
    """A text."""
    headers = {**common_headers(), "Content-Type": "text/plain; charset=utf-8"}
    return web.Response(status=code, body=text.encode(), headers=headers)


def common_headers() -> dict[str, str]:
    """What every answer carries."""
    return {"Audit-Id": metadata.new_uid(), "Cache-Control": "no-cache, private"}


def encoded(request: web.BaseRequest, value: Any) -> bytes:
    """JSON in one line, or indented for people."""
    body = msgspec.json.encode(value)
    return (msgspec.json.format(body, indent=2) if is_pretty(request) else body) + b"\n"


def is_as_kept(request: web.BaseRequest, accept: Accept) -> bool:
    """Whether the caller takes objects in the bytes in which they are kept."""
    return not accept.form and accept.type == JSON and not is_pretty(request)


def is_pretty(request: web.BaseRequest) -> bool:
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


async def _in_yaml(value: Any) -> bytes:
    """YAML is slow to write: much of it keeps nobody else waiting."""
    if len(msgspec.json.encode(value)) < _WRITTEN_BESIDE:
        return _yaml(value)
    return await asyncio.get_running_loop().run_in_executor(None, _yaml, value)


def _yaml(value: Any) -> bytes:
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=math.inf).encode()


class _Dumper(yaml.SafeDumper):
    """YAML as Kubernetes writes it: sorted, a list's items not indented, no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True

    def text(self, text: str) -> yaml.Node:
        """A text that would be read as something else is in double quotes."""
        plain: str = self.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return self.represent_scalar(_TEXT, text, None if plain == _TEXT else '"')


_Dumper.add_representer(str, _Dumper.text)


def _gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    return packer.compress(body) + packer.flush()


def _quoted(text: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean.replace("\\", "\\\\").replace('"', '\\"')
