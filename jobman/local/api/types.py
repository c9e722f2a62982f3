"""Kubernetes' types as compact tables: what fields a struct has and what each may hold.

Read from `data/types.json.gz` at the first use (a few milliseconds); its codes are explained in
`tools/openapi_data.py`.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Type:
    """What a field or an element may hold.

    `form` is a letter for a plain value, or `struct`, `list`, `map`; `name` is a struct's Go name,
    `element` what a list or map holds.
    """

    form: str
    name: str = ""
    element: Type | None = None

    @property
    def go_name(self) -> str:
        """The type as Go's decoder prints it."""
        if self.element is not None:
            return ("[]" if self.form == "list" else "map[string]") + self.element.go_name
        return _GO_NAMES.get(self.form) or f"v1.{self.name}"


ANYTHING = Type("*")


@dataclass(frozen=True, slots=True)
class Field:
    """A struct's field. `omits_zero`: its empty value is not stored; `merge`, `key`: in patches.

    `keys` tell the items of its list apart for an apply.
    """

    type: Type
    omits_zero: bool = False
    merge: frozenset[str] = frozenset()
    key: str = ""
    keys: tuple[str, ...] = ()


Struct = dict[str, Field]

_GO_NAMES = {
    "s": "string",
    "i": "int32",
    "l": "int64",
    "b": "bool",
    "n": "float64",
    "q": "resource.Quantity",
    "t": "v1.Time",
    "u": "v1.MicroTime",
    "x": "intstr.IntOrString",
    "y": "[]uint8",
    "*": "v1.FieldsV1",
}
_NONE: Struct = {}
_PORTS = ("containerPort", "protocol")
_SEVERAL_KEYS = {
    "Container.ports": _PORTS,
    "EphemeralContainer.ports": _PORTS,
    "PodSpec.topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
}
KEY_DEFAULTS = {"protocol": "TCP"}


@cache
def struct(name: str) -> Struct:
    """The fields of the type of that Go name (`Job`, `PodSpec`); none for an unknown one."""
    table = _table()
    fields = table["types"].get(name)
    if fields is None:
        return _NONE
    return {
        field: _field(f"{name}.{field}", code, table["merge"].get(f"{name}.{field}"))
        for field, code in fields.items()
    }


@cache
def _table() -> dict[str, Any]:
    path = resources.files("jobman.local.api") / "data" / "types.json.gz"
    content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return content


def _field(name: str, code: str, merge: list[str] | None) -> Field:
    strategies, key = merge or ("", "")
    return Field(
        type_of(code.removesuffix("-")),
        omits_zero=code.endswith("-"),
        merge=frozenset(strategies.split(",")) if strategies else frozenset(),
        key=key,
        keys=_SEVERAL_KEYS.get(name, (key,) if key else ()),
    )


@cache
def type_of(code: str) -> Type:
    """The type that a code writes."""
    if code.startswith("@"):
        return Type("struct", name=code[1:])
    if code[0] in "[{":
        return Type("list" if code[0] == "[" else "map", element=type_of(code[1:]))
    return Type(code)
