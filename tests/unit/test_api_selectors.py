"""Label and field selectors: the grammar, what they take, what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobman.local.api import selectors
from jobman.local.api.resources import RESOURCES
from jobman.local.api.status import ApiError

KINDS = {resource.kind: resource for resource in RESOURCES}
WORDS = st.from_regex(r"[a-z][a-z0-9.-]{0,4}[a-z0-9]", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "labels", "accepted"),
    [
        ("", {}, True),
        ("a", {"a": ""}, True),
        ("a", {}, False),
        ("!a", {}, True),
        ("! a", {"a": "1"}, False),
        ("a=b", {"a": "b"}, True),
        ("a == b", {"a": "b"}, True),
        ("a=b", {"a": "c"}, False),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=", {"a": ""}, True),
        ("a=,b", {"a": "", "b": "1"}, True),
        ("a in (b, c)", {"a": "c"}, True),
        ("a in (b,c)", {}, False),
        ("a in (,b)", {"a": ""}, True),
        ("a in (b,)", {"a": ""}, True),
        ("a notin (b,c)", {}, True),
        ("a notin (b,c)", {"a": "b"}, False),
        ("a>5", {"a": "6"}, True),
        ("a>5", {"a": "5"}, False),
        ("a<5", {"a": "x"}, False),
        ("a<5", {}, False),
        ("in in (in,notin)", {"in": "notin"}, True),
        ("x.y/z=1,b", {"x.y/z": "1", "b": "2"}, True),
        ("a=b,c!=d", {"a": "b", "c": "d"}, False),
    ],
)
def test_label_selectors(text: str, labels: dict[str, str], accepted: bool) -> None:
    assert selectors.labels(text)(labels) is accepted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,", "found '', expected: identifier after ','"),
        (",a", "found ',', expected: !, identifier, or 'end of string'"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        (
            "a in ()",
            ("unable to parse requirement: values: Invalid value: []: for 'in', 'notin' operators"),
        ),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("a=(b)", "unable to parse requirement: found '(', expected: identifier"),
        ("-a", 'unable to parse requirement: key: Invalid value: "-a": name part must consist of'),
        (
            "a=-b",
            'unable to parse requirement: values[0][a]: Invalid value: "-b": a valid label must',
        ),
    ],
)
def test_label_selectors_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        selectors.labels(text)
    assert refused.value.code == 400
    assert refused.value.message.startswith(message)


@given(st.text("ab=!(),<> in", max_size=12))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    for parse in (selectors.labels, lambda each: selectors.fields(KINDS["Pod"], each)):
        try:
            accepts = parse(text)
        except ApiError as error:
            if error.code != 400:
                raise
        else:
            assert accepts({}) in (True, False)


@given(WORDS, st.lists(WORDS, min_size=1), st.dictionaries(WORDS, WORDS))
def test_in_and_notin_are_opposites(key: str, values: list[str], labels: dict[str, str]) -> None:
    listed = ",".join(values)
    inside = selectors.labels(f"{key} in ({listed})")
    outside = selectors.labels(f"{key} notin ({listed})")
    assert inside(labels) is not outside(labels)
    assert inside({**labels, key: values[0]})


@given(st.dictionaries(WORDS, WORDS, max_size=3), st.dictionaries(WORDS, WORDS, max_size=3))
def test_equalities_take_what_has_them_all(wanted: dict[str, str], labels: dict[str, str]) -> None:
    selector = selectors.labels(",".join(f"{key}={value}" for key, value in wanted.items()))
    assert selector(labels) is (wanted.items() <= labels.items())
    assert selector.equal == wanted


def test_selector_objects() -> None:
    accepts = selectors.of_object(
        {
            "matchLabels": {"a": "1"},
            "matchExpressions": [
                {"key": "b", "operator": "In", "values": ["x", "y"]},
                {"key": "c", "operator": "DoesNotExist"},
            ],
        }
    )
    assert accepts({"a": "1", "b": "y"})
    assert not accepts({"a": "1", "b": "z"})
    assert not accepts({"a": "1", "b": "y", "c": ""})


POD: dict[str, Any] = {
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {"nodeName": "n1", "hostNetwork": True},
    "status": {"phase": "Running", "podIPs": [{"ip": "1.2.3.4"}]},
}


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("", True),
        ("metadata.name=p", True),
        ("metadata.name==q", False),
        ("metadata.name!=q,metadata.namespace=ns", True),
        ("spec.nodeName=", False),
        ("spec.nodeName!=", True),
        ("status.phase!=Succeeded,status.phase!=Failed", True),
        ("spec.hostNetwork=true", True),
        ("status.nominatedNodeName=", True),
        ("status.podIP=", True),
        ("status.podIPs=1.2.3.4", True),
        (",metadata.name=p,", True),
        ("metadata.name=a\\,b", False),
    ],
)
def test_field_selectors(text: str, accepted: bool) -> None:
    assert selectors.fields(KINDS["Pod"], text)(POD) is accepted


def test_escapes_in_field_selectors() -> None:
    event = {"metadata": {"name": "e"}, "reason": "a,b=c\\d"}
    assert selectors.fields(KINDS["Event"], "reason=a\\,b\\=c\\\\d")(event)


@pytest.mark.parametrize(
    ("kind", "obj", "text"),
    [
        ("Job", {"metadata": {}, "status": {"succeeded": 2}}, "status.successful=2"),
        ("Job", {"metadata": {}}, "status.successful=0"),
        ("Event", {"metadata": {}, "source": {"component": "kubelet"}}, "source=kubelet"),
        ("Event", {"metadata": {}, "reportingComponent": "default-scheduler"}, "source!=kubelet"),
        ("Node", {"metadata": {}}, "spec.unschedulable=false"),
        ("Secret", {"metadata": {}, "type": "Opaque"}, "type=Opaque"),
    ],
)
def test_field_selectors_of_other_kinds(kind: str, obj: dict[str, Any], text: str) -> None:
    assert selectors.fields(KINDS[kind], text)(obj)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("Job", "spec.suspend=true", 'field label "spec.suspend" not supported for Job'),
        ("Pod", "spec.priority=0", "field label not supported: spec.priority"),
        (
            "ConfigMap",
            "data=x",
            '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
        ),
        (
            "Pod",
            "metadata.name",
            "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
        ),
        ("Pod", "metadata.name=a=b", "invalid field selector: unescaped character in value: 61"),
        ("Pod", "metadata.name=a\\x", "invalid field selector: invalid escape sequence: \\x"),
    ],
)
def test_field_selectors_that_cannot_be(kind: str, text: str, message: str) -> None:
    with pytest.raises(ApiError) as refused:
        selectors.fields(KINDS[kind], text)
    assert (refused.value.code, refused.value.message) == (400, message)


REQUIREMENTS = st.builds(
    lambda key, condition: f"!{key}" if condition == "!" else f"{key}{condition}",
    st.sampled_from("abc"),
    st.sampled_from(
        ["", "!", "=1", "=2", "!=1", "!=2", " in (1,2)", " notin (1)", ">1", ">2", "<3", "<1"]
    ),
)
LABELS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("0123x"))


@given(st.lists(REQUIREMENTS, max_size=6), LABELS)
def test_a_selector_takes_what_meets_each_requirement(texts: list[str], labels: Any) -> None:
    selector = selectors.labels(",".join(texts))
    assert selector(labels) == all(each.accepts(labels) for each in selector.requirements)


TERMS = st.tuples(
    st.sampled_from(["metadata.name", "metadata.namespace"]),
    st.sampled_from(["=", "!="]),
    st.sampled_from("ab"),
)


@given(st.lists(TERMS, max_size=5), st.sampled_from("abc"), st.sampled_from("abc"))
def test_a_field_selector_takes_what_meets_each_term(
    terms: list[tuple[str, str, str]], name: str, namespace: str
) -> None:
    about = {"name": name, "namespace": namespace}
    selector = selectors.fields(KINDS["ConfigMap"], ",".join(map("".join, terms)))
    wanted = all(
        (about[field.removeprefix("metadata.")] == value) == (operator == "=")
        for field, operator, value in terms
    )
    assert selector({"metadata": about}) == wanted


class _Looked(dict[str, str]):
    """Labels that count how often one is looked up."""

    looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        self.looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("operator", ["k{}!=v{}", "k{1},l{0}!=v", "k!=v{0}", "k>{0}", "!a{0}{1}"])
def test_of_many_requirements_an_objects_labels_decide(operator: str) -> None:
    text = ",".join(operator.format(number, number) for number in range(2_000))
    selector, labels = selectors.labels(text), _Looked(k="5000")
    selector(labels)
    assert labels.looks <= 2
