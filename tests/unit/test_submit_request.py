"""What cannot be submitted, with the exact words that say so."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from jobman.config.flavors import Flavor, Resources
from jobman.jobs import rules
from jobman.jobs.request import (
    Array,
    SubmitRequest,
    Toleration,
    Volume,
    default_name,
    name_problem,
    validate,
)

FLAVOR = Flavor(name="small", resources=Resources())
LOWER = "only lower case letters, digits and '-' are allowed, with a letter or digit at both ends"
MIXED = "only letters, digits, '-', '_' and '.' are allowed, with a letter or digit at both ends"
SUBDOMAIN = (
    "only lower case letters, digits, '-' and '.' are allowed, "
    "with a letter or digit at both ends of each part"
)

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "upper case": ({"name": "Train"}, f"job name 'Train': {LOWER}"),
    "a dot": ({"name": "a.b"}, f"job name 'a.b': {LOWER}"),
    "long": (
        {"name": "a" * 53},
        f"job name '{'a' * 53}': it has 53 characters, at most 52 are allowed",
    ),
    "empty name": ({"name": ""}, f"job name '': {LOWER}"),
    "LAST": ({"name": "LAST"}, "job name 'LAST': it stands for the job submitted last"),
    "no command": (
        {"as_command": True},
        "-c/--command: there are no words to take as the container's command",
    ),
    "empty command": (
        {"as_command": True, "words": ("", "x")},
        "-c/--command: the first word is empty, it names no program",
    ),
    "no UTF-8": (
        {"words": ("a", "b\udcff")},
        "word 2 of the command is not UTF-8: Kubernetes carries text only",
    ),
    "NUL": (
        {"words": ("a\0b",)},
        "word 1 of the command holds a NUL character, which no argument or variable can",
    ),
    "a huge word": (
        {"words": ("x" * 131072,)},
        "word 1 of the command has 131072 bytes, Linux takes at most 131071 in one",
    ),
    "variable's name": (
        {"env": {"A B\n": ""}},
        "environment variable 'A B\n': only printable ASCII characters other than '=' are allowed",
    ),
    "a huge variable": (
        {"env": {"A": "x" * 131070}},
        "environment variable 'A': its value has 131072 bytes, Linux takes at most 131071 in one",
    ),
    "relative workdir": (
        {"workdir": "here"},
        "working directory 'here': in a container it must begin with '/'",
    ),
    "label's value": (
        {"labels": {"a": "x y"}},
        f"label: the value 'x y' of 'a' is not allowed: {MIXED}",
    ),
    "label's key": (
        {"labels": {"a/b/c": ""}},
        f"label: the key 'a/b/c' is not allowed: its prefix 'a/b' is no DNS name: {SUBDOMAIN}",
    ),
    "label's length": (
        {"labels": {"a": "x" * 64}},
        (
            f"label: the value '{'x' * 64}' of 'a' is not allowed: "
            "it has 64 characters, at most 63 are allowed"
        ),
    ),
    "jobman's label": (
        {"labels": {"jobman/user": "eve"}},
        "label: 'jobman/user' is written by jobman itself",
    ),
    "annotation's key": (
        {"annotations": {"bad key": ""}},
        f"annotation: the key 'bad key' is not allowed: {MIXED}",
    ),
    "jobman's annotation": (
        {"annotations": {"jobman/submitted-at": ""}},
        "annotation: 'jobman/submitted-at' is written by jobman itself",
    ),
    "annotations' size": (
        {"annotations": {"a": "x" * 200_000, "b": "é" * 31_073}},
        "annotation: all together have 262148 bytes, at most 262144 are allowed",
    ),
    "node selector": (
        {"node_selector": {"a": "x y"}},
        f"node selector: the value 'x y' of 'a' is not allowed: {MIXED}",
    ),
    "pull secret": ({"image_pull_secrets": ("S",)}, f"image pull secret 'S': {SUBDOMAIN}"),
    "secret": ({"secret_env": ("S",)}, f"secret 'S': {SUBDOMAIN}"),
    "priority class": ({"priority_class": "P"}, f"priority class 'P': {SUBDOMAIN}"),
    "service account": ({"service_account": "A"}, f"service account 'A': {SUBDOMAIN}"),
    "local queue": ({"local_queue": "Q"}, f"local queue 'Q': {SUBDOMAIN}"),
    "volume claim": ({"volumes": (Volume("C", "/a"),)}, f"volume claim 'C': {SUBDOMAIN}"),
    "volume's path": (
        {"volumes": (Volume("c", "a"),)},
        "volume 'c': its path 'a' must be absolute, without ':'",
    ),
    "one path twice": (
        {"volumes": (Volume("c", "/a"), Volume("d", "/a"))},
        "volume 'd': something is mounted at '/a' already",
    ),
    "shared memory twice": (
        {"shm": "1Gi", "volumes": (Volume("c", "/dev/shm"),)},
        "volume 'c': something is mounted at '/dev/shm' already",
    ),
    "no time": ({"time_limit_s": 0}, "time limit: 0 is not between 1 and 2147483647"),
    "no tasks": ({"array": Array(0)}, "array: 0 tasks, 1 to 100000 are allowed"),
    "none at a time": ({"array": Array(5, 0)}, "array: 0 at a time, at least one must run"),
}


def request(**more: Any) -> SubmitRequest:
    return SubmitRequest(**{"flavor": FLAVOR, "image": "alpine"} | more)


@pytest.mark.parametrize("case", WRONG)
def test_what_is_refused(case: str) -> None:
    fields, text = WRONG[case]
    assert validate(request(**fields)) == [text]


def test_all_problems_at_once() -> None:
    fields = {key: value for case, _ in WRONG.values() for key, value in case.items()}
    assert len(validate(request(**fields))) > 12


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "a" * 52},
        {"words": ("", "$(HOME)", "-x", "ünï\n", "x" * 131071)},
        {"env": {"a.b-c 1": "", "A": "x" * 131069}},
        {"labels": {"example.com/A_b.c": "", "x" * 63: "y" * 63}},
        {"annotations": {"a": "x" * 262143}},
        {"array": Array(100_000, 1)},
        {"volumes": (Volume("c", "/a"), Volume("c", "/b", read_only=True))},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_is_taken(fields: dict[str, Any]) -> None:
    assert validate(request(**fields)) == []


def test_default_names_are_names() -> None:
    names = {default_name() for _ in range(200)}
    assert len(names) > 190
    assert [name_problem(name) for name in names] == [None] * len(names)


PARSED: dict[str, tuple[Callable[[str], object], object]] = {
    "10": (Array.parse, Array(10)),
    "10%3": (Array.parse, Array(10, 3)),
    "c:/a": (Volume.parse, Volume("c", "/a")),
    "c:/a:ro": (Volume.parse, Volume("c", "/a", read_only=True)),
    "c:/a:rw": (Volume.parse, Volume("c", "/a")),
    "k": (Toleration.parse, Toleration("k")),
    "k=v": (Toleration.parse, Toleration("k", "v")),
    "k=": (Toleration.parse, Toleration("k", "")),
    "k:NoExecute": (Toleration.parse, Toleration("k", None, "NoExecute")),
    "x.io/k=v:NoSchedule": (Toleration.parse, Toleration("x.io/k", "v", "NoSchedule")),
}


@pytest.mark.parametrize("text", PARSED)
def test_values_with_parts(text: str) -> None:
    parse, result = PARSED[text]
    assert parse(text) == result


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (Array.parse, "", "N or N%K"),
        (Array.parse, "-3", "N or N%K"),
        (Array.parse, "0-9", "N or N%K"),
        (Array.parse, "3%", "N or N%K"),
        (Array.parse, "٣", "N or N%K"),
        (Volume.parse, "c", "CLAIM:/PATH"),
        (Volume.parse, "c:", "CLAIM:/PATH"),
        (Volume.parse, "c:/a:rx", "CLAIM:/PATH"),
        (Volume.parse, "c:/a:", "CLAIM:/PATH"),
        (Toleration.parse, "", "it is empty"),
        (Toleration.parse, "k=a b", "only letters"),
        (Toleration.parse, "k:Never", "none of NoSchedule, PreferNoSchedule, NoExecute"),
    ],
)
def test_values_that_are_none(parse: Callable[[str], object], text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse(text)


def test_a_whole_manifest_can_be_too_big() -> None:
    manifest = {"metadata": {"annotations": {}}, "spec": {"x": "y" * rules.MANIFEST_MAX_BYTES}}
    (problem,) = rules.manifest_problems(manifest)
    assert problem.startswith("the job has 15000")
