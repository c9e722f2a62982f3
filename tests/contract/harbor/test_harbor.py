"""The Harbor client against a stand-in that is held to Harbor's API description."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobman.config.settings import HarborProject
from jobman.errors import (
    ForbiddenError,
    JobmanError,
    NotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from jobman.images.projects import Project

TOKEN = "cm9ib3QkY2k6czNjcjN0LW9mLXRoZS1yb2JvdA=="  # the stand-in's robot


def project(standin: Any, cache: Path, token: str | None = TOKEN, **more: Any) -> Project:
    settings = HarborProject(name="batch", base_url=standin.url, token=token, **more)
    return Project(settings, {"HOME": str(cache)}, cache / "cache")


def test_images_with_their_tags(harbor: Any, tmp_path: Path) -> None:
    images = {image.name: image for image in project(harbor, tmp_path).images()}
    assert list(images) == ["ml/pytorch", "ubuntu_python_tensorflow", "empty"]
    pytorch = images["ml/pytorch"]
    assert [tag.name for tag in pytorch.tags] == ["latest", "2.7-cuda12", "2.6-multi"]
    assert pytorch.reference == f"{harbor.host}/batch/ml/pytorch"
    assert pytorch.description.endswith("mount <data> under `/data`.")
    assert pytorch.tags[2].platforms == ["linux/amd64", "linux/arm64/v8"]
    assert (pytorch.size_bytes, pytorch.pulls) == (9_000_000, 3)
    assert images["empty"].tags == []


@pytest.mark.parametrize(
    ("today", "token", "total_header", "requests"),
    [
        # 5 pages of repositories and 6 of their 579 artifacts
        pytest.param(True, TOKEN, True, 5 + 6, id="robot, today's Harbor"),
        # a full page is followed by one more look
        pytest.param(True, TOKEN, False, 6 + 6, id="a proxy strips the totals"),
        # 450 repositories that are not empty, a second page of the one with 130
        pytest.param(True, None, True, 5 + 450 + 1, id="anonymous: one by one"),
        # and one refusal
        pytest.param(False, TOKEN, True, 5 + 1 + 450 + 1, id="robot, Harbor before 2.12"),
    ],
)
def test_500_repositories(
    five_hundred: Any,
    tmp_path: Path,
    today: bool,
    token: str | None,
    total_header: bool,
    requests: int,
) -> None:
    five_hundred.today, five_hundred.total_header = today, total_header
    images = project(five_hundred, tmp_path, token).images()
    assert len(images) == 500
    assert sum(len(image.tags) for image in images) == 399 * 2 + 50 + 130
    assert len(five_hundred.requests) == requests


def test_one_image_whole(harbor: Any, tmp_path: Path) -> None:
    image = project(harbor, tmp_path).get("ml/pytorch")
    assert image is not None
    latest = image.tag("latest")
    assert latest is not None
    assert (latest.labels, latest.vulnerabilities) == (["gpu"], "3 High, 9 Low (7 fixable)")
    assert project(harbor, tmp_path).get("ml/pytorc") is None
    assert any("ml%252Fpytorch" in path for path in harbor.requests)


def test_an_image_that_cannot_be_read_does_not_hide_the_others(harbor: Any, tmp_path: Path) -> None:
    harbor.today = False
    harbor.faults["pytorch/artifacts"] = harbor_fault(500, '{"errors": []}')
    asked = project(harbor, tmp_path)
    images = {image.name: image for image in asked.images()}
    assert not images["ml/pytorch"].complete
    assert [tag.name for tag in images["ubuntu_python_tensorflow"].tags] == ["3.1cuda11"]
    assert len(asked.problems) == 1
    assert asked.known(max_age_s=None) is None


def harbor_fault(status: int, body: str = "", **headers: str) -> Any:
    class Fault:
        times = 1_000_000

    fault = Fault()
    fault.__dict__.update(
        status=status,
        body=body,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return fault


SAID = '{"errors": [{"code": "FORBIDDEN", "message": "forbidden"}]}'


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (harbor_fault(401, SAID), UnauthorizedError, "not allowed as robot$ci (401: forbidden)"),
        (harbor_fault(403, SAID), ForbiddenError, "not allowed as robot$ci (403: forbidden)"),
        (harbor_fault(404, "<html>"), NotFoundError, "not found"),
        (harbor_fault(500, "<html>"), UnreachableError, "HTTP 500"),
        (harbor_fault(200, "<html>", Content_Type="text/html"), UnreachableError, "text/html"),
        (harbor_fault(200, '{"a": 1}'), UnreachableError, "the answer is not Harbor's"),
        (harbor_fault(200, "[" * 100_000), UnreachableError, "the answer is not JSON"),
        (harbor_fault(200, "9" * 5000), UnreachableError, "the answer is not JSON"),
        (harbor_fault(500, "9" * 5000), UnreachableError, "HTTP 500"),
        (
            harbor_fault(302, Location="https://login.example/sso?token=x"),
            UnreachableError,
            "redirected to login.example/sso, perhaps a login page",
        ),
        (harbor_fault(400, "Bad Request"), UnreachableError, "400 with no word from Harbor"),
    ],
    ids=lambda value: str(getattr(value, "status", "")),
)
def test_refusals(
    harbor: Any, tmp_path: Path, fault: Any, error: type[JobmanError], said: str
) -> None:
    harbor.faults["/repositories"] = fault
    with pytest.raises(error) as raised:
        project(harbor, tmp_path).images()
    assert said in raised.value.message
    assert "'batch'" in raised.value.message
    assert harbor.url in raised.value.message
    assert "s3cr3t" not in f"{raised.value.message}{raised.value.hint}"
    assert TOKEN not in f"{raised.value.message}{raised.value.hint}"


def test_retry_after_is_honoured(harbor: Any, tmp_path: Path) -> None:
    fault = harbor_fault(429, Retry_After="0")
    fault.times = 2
    harbor.faults["/repositories"] = fault
    assert len(project(harbor, tmp_path).images()) == 3


def test_nobody_there(tmp_path: Path) -> None:
    settings = HarborProject(name="batch", base_url="http://127.0.0.1:9")
    with pytest.raises(UnreachableError, match="Connection refused"):
        Project(settings, {"HOME": str(tmp_path)}, tmp_path).images()


def test_the_cache_is_per_credential(harbor: Any, tmp_path: Path) -> None:
    robot, nobody = project(harbor, tmp_path), project(harbor, tmp_path, None)
    images = robot.images()
    assert robot.known(max_age_s=60) == images
    assert robot.known(max_age_s=0) is None
    assert nobody.known(max_age_s=None) is None
    kept = list((tmp_path / "cache").iterdir())
    assert [path.stat().st_mode & 0o777 for path in kept] == [0o600]
    kept[0].write_bytes(b"{broken")
    assert robot.known(max_age_s=None) is None
