"""Protocol buffers: what kubectl sends, and whatever else may come."""

from __future__ import annotations

import base64
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local.api import protobuf, schema
from jobman.local.api.resources import RESOURCES

BODIES = json.loads(
    (
        Path(__file__).parents[1] / "contract" / "recordings" / "kubectl-protobuf" / "bodies.json"
    ).read_text()
)["bodies"]
KINDS = {resource.kind: resource for resource in RESOURCES}


@pytest.mark.parametrize("sent", BODIES, ids=lambda sent: sent["object"]["kind"])
def test_what_kubectl_sends_is_read(sent: dict[str, Any]) -> None:
    obj = protobuf.decode(base64.b64decode(sent["base64"]))
    assert obj == sent["object"]
    _, warnings = schema.check(KINDS[obj["kind"]], obj, "Strict")
    assert warnings == []


def test_a_kind_that_is_not_known_is_refused() -> None:
    body = b"k8s\x00\x0a\x0b\x0a\x02v1\x12\x05Thing\x12\x00"
    with pytest.raises(protobuf.ProtobufError, match="a Thing is not taken"):
        protobuf.decode(body)


def test_a_field_that_is_not_known_is_refused_not_dropped() -> None:
    body = b"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x04\x4a\x02hi"
    with pytest.raises(protobuf.ProtobufError, match="field 9"):
        protobuf.decode(body)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    for body in (tail, b"k8s\0" + tail):
        with contextlib.suppress(protobuf.ProtobufError):
            assert isinstance(protobuf.decode(body), dict)


@given(st.sampled_from(BODIES), st.integers(0, 300), st.integers(0, 255))
def test_a_body_with_one_wrong_byte_is_read_or_refused(
    sent: dict[str, Any], place: int, byte: int
) -> None:
    body = bytearray(base64.b64decode(sent["base64"]))
    body[place % len(body)] = byte
    with contextlib.suppress(protobuf.ProtobufError):
        assert isinstance(protobuf.decode(bytes(body)), dict)
