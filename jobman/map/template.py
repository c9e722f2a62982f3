"""A Pod or Job with placeholders, to the pod of one item.

Values are put into the parsed document, never into its text: an item cannot change its structure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from jobman.errors import UsageError
from jobman.jobs import manifest, yaml_documents
from jobman.map.items import Item, Items
from jobman.values.names import dns_subdomain_problem

LONGEST_NAME = 250
"""A pod's name is also that of its log, with an ending."""
_PLACEHOLDER = re.compile(r"\{\{\s*(\.[^{}]*?)\s*\}\}")
_COLUMN = re.compile(r"(?<!\$)\{([^{}\s]+)\}")
_KNOWN = "{{.Index}}, {{.Item}} and {{.Values.NAME}}"

Fill = Callable[[Item], Any]


class Template:
    """`document` is a Pod's manifest with placeholders; its digest stands for what it says.

    `literal`: values arrive as they are; else Kubernetes expands `$(NAME)` in them, too.
    """

    def __init__(
        self, document: dict[str, Any], run: str, *, kind: str = "Pod", literal: bool = False
    ) -> None:
        self.kind = kind
        self._literal = literal
        self.document = document
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        self.digest = sha256(text.encode()).hexdigest()
        metadata = document.get("metadata") or {}
        self.run = run
        self._name = _compiled(metadata.get("name") or f"{run}-{{{{.Index}}}}")
        self._fill = _compiled(document)

    @classmethod
    def of_file(cls, path: Path, run: str) -> Template:
        """The one Pod or Job of a YAML or JSON file. Raises UsageError."""
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{path}: {reason}") from error
        documents = _parsed(text, str(path))
        if len(documents) != 1 or not isinstance(documents[0], dict):
            raise UsageError(f"{path}: one Pod or Job is needed, there are {len(documents)}")
        return cls._of_manifest(documents[0], str(path), run)

    @classmethod
    def _of_manifest(cls, document: dict[str, Any], source: str, run: str) -> Template:
        kind = document.get("kind")
        if kind == "Job":
            document = _pod_of_job(document, source)
        elif kind != "Pod":
            raise UsageError(f"{source}: a Pod or a Job is needed, not {kind or 'a text'}")
        spec = document.get("spec")
        if not isinstance(spec, dict):
            raise UsageError(f"{source}: spec is missing")
        if spec.get("restartPolicy") == "Always":
            raise UsageError(
                f"{source}: a pod with restartPolicy Always never ends",
                hint="write Never, or leave it out",
            )
        document = {**document, "spec": {"restartPolicy": "Never", **spec}}
        return cls(document, run, kind=str(kind))

    @classmethod
    def of_pod(cls, pod: dict[str, Any], run: str, columns: Sequence[str] = ()) -> Template:
        """A pod whose container's words may also name `columns` in braces."""
        container = dict(pod["spec"]["containers"][0])
        for key in ("command", "args"):
            if key in container:
                container[key] = [_columns_named(word, columns) for word in container[key]]
        spec = {**pod["spec"], "containers": [container, *pod["spec"]["containers"][1:]]}
        return cls({**pod, "spec": spec}, run, literal=True)

    def name(self, item: Item) -> str:
        """The name of the item's pod."""
        return str(self._name(item) if callable(self._name) else self._name)

    def expand(self, item: Item) -> dict[str, Any]:
        """The pod of an item, in Kubernetes' words."""
        filled = _untouched(item) if self._literal else item
        made = dict(self._fill(filled) if callable(self._fill) else self._fill)
        made["metadata"] = {**(made.get("metadata") or {}), "name": self.name(item)}
        return made


def _untouched(item: Item) -> Item:
    """The item so that Kubernetes' expansion of `$(NAME)` and `$$` gives it back."""
    values = {key: manifest.untouched(_plain(value)) for key, value in item.values.items()}
    return Item(item.index, manifest.untouched(item.text), values)


def _pod_of_job(job: dict[str, Any], source: str) -> dict[str, Any]:
    template = (job.get("spec") or {}).get("template")
    if not isinstance(template, dict):
        raise UsageError(f"{source}: the Job's spec.template is missing")
    metadata = dict(template.get("metadata") or {})
    name = (job.get("metadata") or {}).get("name")
    metadata |= {"name": name} if name else {}
    return {"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}


def _parsed(text: str, source: str) -> list[Any]:
    """The documents of a text in which a placeholder may stand without quotes."""
    numbers = count()
    marks: dict[str, str] = {}

    def mark(match: re.Match[str]) -> str:
        word = f"jobman0placeholder0{next(numbers)}0"
        marks[word] = match[0]
        return word

    found = yaml_documents.load(_PLACEHOLDER.sub(mark, text), source)
    restore = re.compile(r"jobman0placeholder0\d+0")

    def restored(value: Any) -> Any:
        if isinstance(value, str):
            return restore.sub(lambda match: marks.get(match[0], match[0]), value)
        if isinstance(value, dict):
            return {restored(key): restored(inner) for key, inner in value.items()}
        return [restored(inner) for inner in value] if isinstance(value, list) else value

    return [restored(document) for document in found]


def _compiled(value: Any) -> Any:
    """`value` itself where it holds no placeholder, else what fills it in for an item."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict):
        return _mapping({key: _compiled(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return _sequence([_compiled(inner) for inner in value])
    return value


def _mapping(parts: dict[str, Any]) -> Any:
    filled = {key: part for key, part in parts.items() if callable(part)}
    if not filled:
        return parts
    return lambda item: parts | {key: fill(item) for key, fill in filled.items()}


def _sequence(parts: list[Any]) -> Any:
    if not any(callable(part) for part in parts):
        return parts
    return lambda item: [part(item) if callable(part) else part for part in parts]


def _text(text: str) -> Any:
    pieces = _PLACEHOLDER.split(text)
    if len(pieces) == 1:
        return text
    fills: list[Any] = [
        _lookup(piece) if number % 2 else piece for number, piece in enumerate(pieces)
    ]
    return lambda item: "".join(part(item) if callable(part) else part for part in fills)


def _lookup(path: str) -> Callable[[Item], str]:
    if path == ".Index":
        return lambda item: str(item.index)
    if path == ".Item":
        return lambda item: item.text
    head, dot, key = path.partition(".Values.")
    if head or not dot or not key:
        raise UsageError(f"the template has {{{{{path}}}}}; there are {_KNOWN}")
    return lambda item: _value(item, key)


def _value(item: Item, key: str) -> str:
    try:
        value = item.values[key]
    except KeyError:
        known = ", ".join(item.values) or "none"
        raise UsageError(f"item {item.index} has no value {key!r}; its values: {known}") from None
    return _plain(value)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _columns_named(word: str, columns: Sequence[str]) -> str:
    def named(match: re.Match[str]) -> str:
        return f"{{{{.Values.{match[1]}}}}}" if match[1] in columns else match[0]

    return _COLUMN.sub(named, word)


def name_problems(items: Items, template: Template) -> Iterator[str]:
    """What is wrong with the items' names, before anything is created: a few, not all."""
    hashes: set[int] = set()
    found = 0
    for item in items:
        name = template.name(item)
        problem = dns_subdomain_problem(name)
        if problem is None and len(name) > LONGEST_NAME:
            problem = f"is longer than {LONGEST_NAME} characters"
        if problem is None and hash(name) in hashes:
            problem = "is the name of more than one item"
        hashes.add(hash(name))
        if problem is not None:
            found += 1
            yield f"item {item.index}: the pod's name '{name}' {problem}"
        if found >= 10:
            return
