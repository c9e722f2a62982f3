"""A Pod or Job with placeholders, to the pod of one item.

Values are put into the parsed document, never into its text: an item cannot change its structure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from jobman.errors import UsageError
from jobman.jobs import rules, yaml_documents
from jobman.map import fields, placeholders
from jobman.map.items import Item
from jobman.map.placeholders import Marked, Piece

Fill = Callable[[Item], Any]
Object = dict[str, Any]

_LEFT_OUT = (*rules.BY_SERVER, "ownerReferences")
_WORDS = ("command", "args")


class Template:
    """`document` is a Pod's manifest with placeholders; its digest stands for what it says.

    `values` are the names that it asks every item for; `notes` say what was left out of it.
    `columns`, where given, are the names that all items have. `owner` is an ownerReference for
    all pods: when that object goes they go. `surroundings` are environment variables that the
    first container gets besides its own; they are no part of what the template says, so that the
    next shell, with another PATH, may take the run up.
    """

    def __init__(
        self,
        document: Object,
        run: str,
        *,
        kind: str = "Pod",
        columns: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> None:
        self.kind = kind
        self.run = run
        self.document = document
        self.notes = tuple(notes)
        self.owner: Object | None = None
        self.surroundings: list[Object] = []
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        self.digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        self.values = frozenset(key for each in _texts(document) for key in placeholders.keys(each))
        compiled = _Compiled(columns)
        metadata = document.get("metadata") or {}
        self._name = compiled.text(_name_pattern(metadata, run), "name", "metadata.name")
        self._fill = compiled.value(document, "", "")

    @classmethod
    def of_file(cls, path: Path, run: str, columns: Sequence[str] = ()) -> Template:
        """The one Pod or Job of a YAML or JSON file. Raises UsageError."""
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: is not UTF-8 text: {error.reason}") from error
        marked = Marked(text)
        documents = [marked.restored(each) for each in yaml_documents.load(marked.text, str(path))]
        if len(documents) != 1:
            raise UsageError(f"{path}: one Pod or Job is needed, there are {len(documents)}")
        if not isinstance(documents[0], dict):
            raise UsageError(f"{path}: is no object with a kind and an apiVersion")
        return cls.of_manifest(documents[0], str(path), run, columns)

    @classmethod
    def of_manifest(
        cls, document: Object, source: str, run: str, columns: Sequence[str] = ()
    ) -> Template:
        """A Pod's or a Job's manifest. Raises UsageError that begins with `source`."""
        kind = rules.kind_of(document)
        if kind is None:
            found = document.get("kind") or "one without a kind"
            raise UsageError(f"{source}: a Pod or a Job is needed, not {found}")
        if problem := rules.version_problem(document, kind):
            raise UsageError(f"{source}: {problem}")
        notes: list[str] = []
        if kind == "Job":
            document, notes = _pod_of_job(document, source)
        pod = _own(document, source)
        try:
            return cls(pod, run, kind=kind, columns=columns, notes=notes)
        except UsageError as error:
            raise UsageError(f"{source}: {error.message}", hint=error.hint) from error

    @classmethod
    def of_pod(
        cls,
        pod: Object,
        run: str,
        columns: Sequence[str] = (),
        *,
        named: Sequence[str] = (),
    ) -> Template:
        """A pod whose container's words may also say `{NAME}` for each of `named`."""
        container = dict(pod["spec"]["containers"][0])
        if named:
            for key in _WORDS:
                if key in container:
                    container[key] = [_with_columns(word, named) for word in container[key]]
        spec = {**pod["spec"], "containers": [container, *pod["spec"]["containers"][1:]]}
        return cls({**pod, "spec": spec}, run, columns=columns)

    def name(self, item: Item) -> str:
        """The name of the item's pod."""
        return str(self._name(item) if callable(self._name) else self._name)

    def expand(self, item: Item) -> Object:
        """The pod of an item, in Kubernetes' words."""
        made: Object = self._fill(item) if callable(self._fill) else self._fill
        metadata = {**(made.get("metadata") or {}), "name": self.name(item)}
        owned = {"ownerReferences": [self.owner]} if self.owner else {}
        return self._surrounded({**made, "metadata": {**metadata, **owned}})

    def _surrounded(self, pod: Object) -> Object:
        if not self.surroundings:
            return pod
        first, *others = pod["spec"]["containers"]
        env = [*self.surroundings, *first.get("env", ())]
        return {**pod, "spec": {**pod["spec"], "containers": [{**first, "env": env}, *others]}}


def _name_pattern(metadata: Object, run: str) -> str:
    name = metadata.get("name")
    if name is not None and not isinstance(name, str):
        raise UsageError(f"metadata.name: {name!r} is no text; put quotes around it")
    return name or f"{metadata.get('generateName') or ''}{run}-{{{{.Index}}}}"


def _with_columns(word: str, named: Sequence[str]) -> str:
    try:
        return placeholders.with_columns(word, named)
    except ValueError as error:
        raise UsageError(f"word '{word}': {error}") from None


def _pod_of_job(job: Object, source: str) -> tuple[Object, list[str]]:
    """The Job's pod, and what of the Job is left out."""
    spec = job.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    if not isinstance(spec, dict) or not isinstance(template, dict):
        raise UsageError(f"{source}: spec.template: the pod's template is missing")
    of_job, of_pod = job.get("metadata") or {}, template.get("metadata") or {}
    if not isinstance(of_job, dict) or not isinstance(of_pod, dict):
        raise UsageError(f"{source}: metadata is no object")
    kept = {key: of_job[key] for key in ("name", "generateName", "namespace") if of_job.get(key)}
    left = sorted(set(spec) - {"template"})
    notes = [f"{source}: each item gets the Job's pod; not used: spec.{', spec.'.join(left)}"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {**of_pod, **kept}}
    return pod, notes if left else []


def _own(pod: Object, source: str) -> Object:
    """What a user writes of a pod; it is never restarted for ever. Raises UsageError."""
    spec, metadata = pod.get("spec"), pod.get("metadata") or {}
    if not isinstance(spec, dict):
        raise UsageError(f"{source}: spec: {'is missing' if spec is None else 'is no object'}")
    if not isinstance(metadata, dict):
        raise UsageError(f"{source}: metadata: is no object")
    for key in ("labels", "annotations"):
        found = metadata.get(key)
        if found is not None and not isinstance(found, dict):
            raise UsageError(f"{source}: metadata.{key}: is no object")
        for name, value in (found or {}).items():
            if not isinstance(value, str):
                raise UsageError(f"{source}: metadata.{key}.{name}: is no text; put quotes around")
    policy = spec.get("restartPolicy", "Never")
    if policy == "Always":
        raise UsageError(
            f"{source}: spec.restartPolicy: with Always no pod ever ends",
            hint="write Never, or leave it out",
        )
    kept = {key: value for key, value in metadata.items() if key not in _LEFT_OUT}
    rest = {key: value for key, value in pod.items() if key != "status"}
    return {**rest, "metadata": kept, "spec": {"restartPolicy": policy, **spec}}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


class _Compiled:
    """Makes of each value what fills it in for an item; a value without placeholders stays."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns

    def value(self, value: Any, field: str, path: str) -> Any:
        """`field` is the name of the field that the value stands in, empty for a user's own."""
        if isinstance(value, str):
            return self.text(value, field, path)
        if isinstance(value, dict):
            return self._mapping(value, field, path)
        if isinstance(value, list):
            parts = [self.value(inner, field, f"{path}[{n}]") for n, inner in enumerate(value)]
            return _sequence(parts)
        return value

    def _mapping(self, value: Object, field: str, path: str) -> Any:
        of_user = field in fields.TEXTS_BY_KEY
        parts: Object = {}
        for key, inner in value.items():
            where = f"{path}.{key}".lstrip(".")
            if placeholders.has_any(key):
                raise UsageError(f"{where}: a placeholder stands for a value, not for a key")
            parts[key] = self.value(inner, field if of_user else _called(key, field), where)
        return _filled(parts)

    def text(self, text: str, field: str, path: str) -> Any:
        """The text, or what makes it of an item."""
        try:
            found = placeholders.pieces(text, self._columns)
        except ValueError as error:
            raise UsageError(f"{path}: {error}") from None
        if not any(callable(piece) for piece in found):
            return "".join(str(piece) for piece in found)
        return _joined(found, field)


def _called(key: str, beneath: str) -> str:
    """The field's name; in a probe's command Kubernetes expands nothing."""
    return f"exec.{key}" if beneath == "exec" else key


def _joined(found: list[Piece], field: str) -> Fill:
    def fill(item: Item) -> str | int | bool:
        parts = [
            fields.untouched(field, piece(item)) if callable(piece) else piece for piece in found
        ]
        return fields.typed(field, "".join(parts))

    return fill


def _filled(parts: Object) -> Any:
    to_fill = {key: part for key, part in parts.items() if callable(part)}
    if not to_fill:
        return parts
    return lambda item: parts | {key: fill(item) for key, fill in to_fill.items()}


def _sequence(parts: list[Any]) -> Any:
    if not any(callable(part) for part in parts):
        return parts
    return lambda item: [part(item) if callable(part) else part for part in parts]
