"""Which image a short name means, with Harbor there, gone, or lacking the tag."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobman.config.settings import HarborProject
from jobman.errors import NotFoundError, UnreachableError
from jobman.images.projects import Project
from jobman.images.reference import Reference
from jobman.images.resolve import resolve

FRESH_S = 300


def project(standin: Any, cache: Path) -> Project:
    settings = HarborProject(name="batch", base_url=standin.url)
    return Project(settings, {"HOME": str(cache)}, cache)


@pytest.mark.parametrize(
    ("asked", "means", "requests"),
    [
        (
            "ubuntu_python_tensorflow:3.1cuda11",
            "{host}/batch/ubuntu_python_tensorflow:3.1cuda11",
            1,
        ),
        ("ml/pytorch", "{host}/batch/ml/pytorch:latest", 1),
        ("batch/ml/pytorch:2.6-multi", "{host}/batch/ml/pytorch:2.6-multi", 1),
        ("other.example/x/y:1", "other.example/x/y:1", 0),
        ("localhost:5000/x", "localhost:5000/x", 0),
    ],
)
def test_means(harbor: Any, tmp_path: Path, asked: str, means: str, requests: int) -> None:
    found = resolve(Reference.parse(asked), [project(harbor, tmp_path)], FRESH_S)
    assert str(found.reference) == means.format(host=harbor.host)
    assert len(harbor.requests) == requests


def test_a_name_nobody_has_is_left_alone(harbor: Any, tmp_path: Path) -> None:
    found = resolve(Reference.parse("alpine"), [project(harbor, tmp_path)], FRESH_S)
    assert (str(found.reference), found.registry, found.notes) == ("alpine", None, ())


def test_a_misspelt_name_is_said(harbor: Any, tmp_path: Path) -> None:
    found = resolve(Reference.parse("ml/pytroch"), [project(harbor, tmp_path)], FRESH_S)
    assert str(found.reference) == "ml/pytroch"
    assert "nearest: ml/pytorch" in found.notes[0]


def test_a_tag_that_is_not_there(harbor: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as raised:
        resolve(Reference.parse("ml/pytorch:2.7-cuda11"), [project(harbor, tmp_path)], FRESH_S)
    assert raised.value.message == (
        f"image {harbor.host}/batch/ml/pytorch has no tag '2.7-cuda11'; "
        "it has latest, 2.7-cuda12, 2.6-multi"
    )
    assert raised.value.hint is not None
    assert "ml/pytorch:2.7-cuda12" in raised.value.hint


@pytest.mark.parametrize("asked", ["empty", "empty:1", "batch/empty"])
def test_an_image_without_any_tag(harbor: Any, tmp_path: Path, asked: str) -> None:
    with pytest.raises(NotFoundError, match=r"/batch/empty has no tag '(latest|1)'; it has none"):
        resolve(Reference.parse(asked), [project(harbor, tmp_path)], FRESH_S)


def test_a_digest_of_an_image_without_any_tag(harbor: Any, tmp_path: Path) -> None:
    digest = f"sha256:{'a' * 64}"
    found = resolve(Reference.parse(f"empty@{digest}"), [project(harbor, tmp_path)], FRESH_S)
    assert str(found.reference) == f"{harbor.host}/batch/empty@{digest}"


def test_no_tag_means_latest(harbor: Any, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no tag was given, so 'latest' is meant"):
        resolve(Reference.parse("ubuntu_python_tensorflow"), [project(harbor, tmp_path)], FRESH_S)


def test_what_was_kept_answers_at_once(harbor: Any, tmp_path: Path) -> None:
    registry = project(harbor, tmp_path)
    registry.images()
    harbor.requests.clear()
    found = resolve(Reference.parse("ml/pytorch"), [registry], FRESH_S)
    assert str(found.reference) == f"{harbor.host}/batch/ml/pytorch:latest"
    assert harbor.requests == []


def test_without_harbor_what_was_kept_serves(harbor: Any, tmp_path: Path) -> None:
    registry = project(harbor, tmp_path)
    registry.images()
    harbor.faults["/"] = type("Fault", (), {"status": 500, "body": "", "headers": {}, "times": 99})
    found = resolve(Reference.parse("ml/pytorch"), [registry], fresh_s=0)
    assert str(found.reference) == f"{harbor.host}/batch/ml/pytorch:latest"
    assert "as it was last seen" in found.notes[0]
    with pytest.raises(UnreachableError, match="cannot tell whether 'alpine' is on"):
        resolve(Reference.parse("alpine"), [registry], FRESH_S)


def test_the_first_project_that_has_it_wins(standin_of: Any, harbor: Any, tmp_path: Path) -> None:
    other = standin_of()
    registries = [project(other, tmp_path), project(harbor, tmp_path)]
    found = resolve(Reference.parse("ml/pytorch"), registries, FRESH_S)
    assert str(found.reference) == f"{harbor.host}/batch/ml/pytorch:latest"


def test_what_was_resolved_once_serves_too(harbor: Any, tmp_path: Path) -> None:
    registry = project(harbor, tmp_path)
    asked = Reference.parse("ml/pytorch")
    first = resolve(asked, [registry], FRESH_S)
    harbor.requests.clear()
    assert resolve(asked, [registry], FRESH_S) == first
    assert harbor.requests == []
    harbor.faults["/"] = gone()
    found = resolve(asked, [registry], fresh_s=-1)
    assert found.reference == first.reference
    assert "as it was last seen" in found.notes[0]


def gone() -> Any:
    return type("Fault", (), {"status": 500, "body": "", "headers": {}, "times": 99})


@pytest.mark.parametrize(
    ("asked", "fault", "means", "said"),
    [
        ("ml/pytorch:none", None, "{host}/batch/ml/pytorch:none", "has no tag 'none'"),
        ("alpine", gone(), "alpine", "cannot tell whether 'alpine' is on"),
    ],
)
def test_unchecked(
    harbor: Any, tmp_path: Path, asked: str, fault: Any, means: str, said: str
) -> None:
    if fault:
        harbor.faults["/"] = fault
    found = resolve(Reference.parse(asked), [project(harbor, tmp_path)], FRESH_S, check=False)
    assert str(found.reference) == means.format(host=harbor.host)
    assert said in found.notes[0]
    assert "going on unchecked" in found.notes[0]
