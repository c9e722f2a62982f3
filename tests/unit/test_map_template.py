"""Templates: values are put into the parsed document, and can be anything."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.errors import UsageError
from jobman.map import fields, names
from jobman.map.items import Item, Items
from jobman.map.template import Template

QUPODS = """
apiVersion: v1
kind: Pod
metadata:
  name: process-{{.Item}}
  labels: {app: process}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: {{.Index}}
  containers:
  - name: main
    image: "alpine:{{ .Values.tag }}"   # {{.Nothing}} in a comment
    command: [sh, -c]
    args:
    - |
      gsutil cat gs://data/shard-{{.Item}}.tar |
      process --index {{.Index}}
    env:
    - {name: SHARD, value: {{.Item}}}
    resources:
      requests: {cpu: {{.Index}}}
"""


def pod(**spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "busybox", "args": ["{{.Item}}"], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]}}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return path


def of_text(tmp_path: Path, text: str, **more: Any) -> Template:
    return Template.of_file(written(tmp_path, text), "run", **more)


def test_the_template_of_the_earlier_tool(tmp_path: Path) -> None:
    template = of_text(tmp_path, QUPODS)
    made = template.expand(Item(30, "007", {"tag": "3.20"}))
    assert made["metadata"] == {"name": "process-007", "labels": {"app": "process"}}
    spec, (container,) = made["spec"], made["spec"]["containers"]
    assert spec["terminationGracePeriodSeconds"] == 30
    assert container["image"] == "alpine:3.20"
    assert container["args"] == [
        "gsutil cat gs://data/shard-007.tar |\nprocess --index 30\n",
    ]
    assert container["env"] == [{"name": "SHARD", "value": "007"}]
    assert container["resources"]["requests"] == {"cpu": "30"}
    assert template.values == {"tag"}


_ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(_ANY)
def test_no_item_changes_the_structure(text: str) -> None:
    template = Template(pod(env=[{"name": "X", "value": "<{{.Item}}>"}], tty="{{.Item}}"), "run")
    made = template.expand(Item(0, text))
    (container,) = made["spec"]["containers"]
    escaped = text.replace("$", "$$")
    assert container["args"] == [escaped]
    assert container["env"] == [{"name": "X", "value": f"<{escaped}>"}]
    assert set(container) == {"name", "image", "args", "env", "tty"}
    assert json.loads(json.dumps(made)) == made


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("activeDeadlineSeconds", "90", 90),
        ("activeDeadlineSeconds", "090", "090"),
        ("activeDeadlineSeconds", "1m", "1m"),
        ("activeDeadlineSeconds", "9" * 30, "9" * 30),
        ("hostNetwork", "true", True),
        ("hostNetwork", "yes", "yes"),
        ("nodeName", "7", "7"),
    ],
)
def test_a_field_gets_what_it_wants(field: str, text: str, expected: object) -> None:
    document = pod()
    document["spec"][field] = "{{.Item}}"
    document["metadata"] = {"labels": {field: "{{.Item}}"}}
    made = Template(document, "run").expand(Item(0, text))
    assert made["spec"][field] == expected
    assert type(made["spec"][field]) is type(expected)
    assert made["metadata"]["labels"] == {field: text}


def test_in_a_probe_nothing_is_expanded() -> None:
    probe = {"exec": {"command": ["{{.Item}}"]}}
    made = Template(pod(livenessProbe=probe), "run").expand(Item(0, "$(X)"))
    (container,) = made["spec"]["containers"]
    assert container["livenessProbe"] == {"exec": {"command": ["$(X)"]}}
    assert container["args"] == ["$$(X)"]


def test_the_fields_are_those_of_kubernetes() -> None:
    """The tables agree with the API's own description of a pod."""
    data = resources.files("jobman.local.api") / "data" / "schemas.json.gz"
    schemas = json.loads(gzip.decompress(data.read_bytes()))
    numbers, flags, by_key = set(), set(), set()
    seen: set[str] = set()
    todo = ["io.k8s.api.core.v1.PodSpec"]
    while todo:
        name = todo.pop()
        seen.add(name)
        for key, schema in schemas[name].get("properties", {}).items():
            inner = schema["items"] if schema.get("type") == "array" else schema
            ref = inner.get("$ref") or (inner.get("allOf") or [{}])[0].get("$ref") or ""
            kind = ref.rpartition("/")[2]
            if "additionalProperties" in inner:
                by_key.add(key)
            if inner.get("type") == "integer" or kind.endswith("IntOrString"):
                numbers.add(key)
            if inner.get("type") == "boolean":
                flags.add(key)
            if kind in schemas and kind not in seen and "meta" not in kind:
                todo.append(kind)
    assert numbers - {"values"} == fields.NUMBERS
    assert flags == fields.FLAGS
    assert by_key <= fields.TEXTS_BY_KEY


def test_a_job_gives_its_pod(tmp_path: Path) -> None:
    template = of_text(
        tmp_path,
        "{apiVersion: batch/v1, kind: Job, metadata: {name: 'a-{{.Index}}', labels: {x: y}},"
        " spec: {backoffLimit: 4, template: {metadata: {labels: {p: q}},"
        " spec: {containers: []}}}}",
    )
    assert template.expand(Item(3, "x")) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a-3", "labels": {"p": "q"}},
        "spec": {"restartPolicy": "Never", "containers": []},
    }
    assert template.notes == (
        f"{tmp_path / 'template.yaml'}: each item gets the Job's pod; not used: spec.backoffLimit",
    )


def test_without_a_name_it_is_the_runs(tmp_path: Path) -> None:
    assert Template(pod(), "abc").name(Item(7, "x")) == "abc-7"
    named = {**pod(), "metadata": {"generateName": "shard-"}}
    assert Template(named, "abc").name(Item(7, "x")) == "shard-abc-7"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metadata: {name: 'x-{{.Itm}}'}", "metadata.name: {{.Itm}} is not known; there are"),
        ("metadata: {name: 'x-{{.Item'}", "metadata.name: {{.Item: its braces are not closed"),
        ("metadata: {name: '{{.Index}}-{{ .Index}'}", "{{ .Index}: its braces are not closed"),
        ("metadata: {labels: {a: '{{.Values.}}'}}", "{{.Values.}} is not known"),
        ("metadata: {labels: {a: {{.Values.z}}}}", "{{.Item}}, {{.Values.x}} and {{.Values.y}}"),
        ("metadata: {labels: {'{{.Item}}': b}}", "stands for a value, not for a key"),
        ("metadata: {labels: {a: 5}}", "metadata.labels.a: is no text"),
        ("metadata: []", "apiVersion"),
        ("kind: Deployment", "a Pod or a Job is needed, not Deployment"),
        ("kind: [Pod]", "a Pod or a Job is needed, not ['Pod']"),
        ("kind:", "a Pod or a Job is needed, not one without a kind"),
        ("apiVersion: v2", "a Pod is of v1, not 'v2'"),
        ("spec: {restartPolicy: Always}", "with Always no pod ever ends"),
        ("spec: 5", "spec: is no object"),
        ("---\na: 1\n---\nb: 2", "there are 3"),
        ("a: [", "no YAML"),
    ],
)
def test_a_wrong_template(tmp_path: Path, text: str, told: str) -> None:
    whole = {"apiVersion: v1", "kind: Pod", "spec: {containers: []}"}
    keys = {line.partition(":")[0] for line in text.splitlines()}
    base = sorted(line for line in whole if line.partition(":")[0] not in keys)
    if text == "metadata: []":
        base.remove("apiVersion: v1")
    with pytest.raises(UsageError) as caught:
        of_text(tmp_path, "\n".join([*base, text]), columns=("x", "y"))
    assert told in caught.value.message


def test_braces_of_ones_own() -> None:
    made = Template(pod(args=['{{"{{"}}.State}} {{`{x}`}}']), "run").expand(Item(0, "a"))
    assert made["spec"]["containers"][0]["args"] == ["{{.State}} {x}"]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("{x}", "1"),
        ("--x={x},{y scale}", "--x=1,2"),
        ("${x}", "${x}"),
        ("$${x}", "$${x}"),
        ("{print $1}", "{print $1}"),
        ('{"a": 1}', '{"a": 1}'),
        ("{{.Values.x}}{{.Index}}", "10"),
        ("{}", "{}"),
        ("{{`{x}`}}", "{x}"),
    ],
)
def test_columns_in_words(word: str, expected: str) -> None:
    named = ("x", "y scale")
    template = Template.of_pod(pod(args=[word]), "run", named, named=named)
    made = template.expand(Item(0, "1,2", {"x": "1", "y scale": "2"}))
    assert made["spec"]["containers"][0]["args"] == [expected]


def test_an_unknown_column_lists_the_known() -> None:
    with pytest.raises(UsageError) as caught:
        Template.of_pod(pod(args=["{y_scal}"]), "run", named=("x", "y_scale"))
    assert "did you mean {y_scale}? there are: {x}, {y_scale}" in caught.value.message


def items_of(texts: list[str]) -> Items:
    return Items((text, {}) for text in texts)


def test_names_are_checked_before_anything_is_made() -> None:
    template = Template({**pod(), "metadata": {"name": "p-{{.Item}}"}}, "run")
    assert names.problems(items_of(["a", "b"]), template) == []
    told = names.problems(items_of(["a", "B", "c", "a", "x_y", "a", "c", "z" * 250]), template)
    assert told == [
        (
            "names that no pod can have: 'p-B' of item 1: only lower case letters, digits, '-' and"
            " '.' are allowed, with a letter or digit at both ends of each part; 'p-x_y' of item 4:"
            " only lower case letters, digits, '-' and '.' are allowed, with a letter or digit at"
            f" both ends of each part; 'p-{'z' * 77}…' of item 7: it has 252 characters,"
            " at most 249 are allowed"
        ),
        "names that several items have: 'p-a' (items 0, 3, 5); 'p-c' (items 2, 6)",
    ]


def test_an_item_must_have_the_values() -> None:
    template = Template(pod(args=["{{.Values.x}}"]), "run")
    found = Items([("a", {"x": "1"}), ("b", {"y": "1"})])
    assert names.problems(found, template) == [
        "values that the template asks for are missing: item 1 lacks x (it has y)"
    ]


def test_many_names_take_little_memory() -> None:
    count = 50_000
    found = Items((str(number), {}) for number in range(count))
    template = Template(pod(), "run")
    tracemalloc.start()
    assert names.problems(found, template) == []
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * count


def test_the_surroundings_are_no_part_of_what_it_says() -> None:
    own = {"env": [{"name": "X", "value": "{{.Item}}"}]}
    one, other = (Template.of_pod(pod(**own), "run") for _ in range(2))
    other.surroundings = [{"name": "PATH", "value": "/bin:{{.Nobody}}"}]
    assert one.digest == other.digest
    (container,) = other.expand(Item(0, "a", {}))["spec"]["containers"]
    assert container["env"] == [*other.surroundings, {"name": "X", "value": "a"}]
    (container,) = one.expand(Item(0, "a", {}))["spec"]["containers"]
    assert container["env"] == [{"name": "X", "value": "a"}]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nope", "is no object with a kind and an apiVersion"),
        ("- 1", "is no object with a kind and an apiVersion"),
        ("", "one Pod or Job is needed, there are 0"),
        ("kind: Pod", "apiVersion: is missing; a Pod is of v1"),
    ],
)
def test_what_is_no_template(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        of_text(tmp_path, text)
