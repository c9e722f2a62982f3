"""The job's variables: of -e, of files, of the caller."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobman.cli import environment
from jobman.cli.problems import Problems
from jobman.errors import UsageError

HERE = {"HOME": "/home/me", "EMPTY": ""}


def given(*assignments: str, file: str | None = None, path: Path | None = None) -> dict[str, str]:
    files = []
    if path is not None and file is not None:
        path.write_text(file, "utf-8", newline="")
        files = [path]
    problems = Problems()
    found = environment.given(assignments, files, HERE, problems)
    problems.report()
    return found


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=b=c", {"A": "b=c"}),
        ("A= x ", {"A": " x "}),
        ("A=two\nlines", {"A": "two\nlines"}),
        ("HOME", {"HOME": "/home/me"}),
        ("EMPTY", {"EMPTY": ""}),
    ],
)
def test_assignments(text: str, result: dict[str, str]) -> None:
    assert given(text) == result


def test_the_last_of_a_name_wins(tmp_path: Path) -> None:
    assert given("A=1", "B=2", "A=3", file="A=0\nC=4\n", path=tmp_path / "vars") == {
        "A": "3",
        "B": "2",
        "C": "4",
    }


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", {}),
        ("# only\n\n   # comments\n", {}),
        ("A=x=y z\nHOME\n", {"A": "x=y z", "HOME": "/home/me"}),
        ("\ufeffA=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A='quoted'  \n", {"A": "'quoted'  "}),
        ("A=#no comment", {"A": "#no comment"}),
        ("  A=1\n", {"A": "1"}),
        ("A=a\u2028b", {"A": "a\u2028b"}),
    ],
    ids=["empty", "comments", "values", "windows", "quotes", "hash", "indented", "separator"],
)
def test_files(text: str, result: dict[str, str], tmp_path: Path) -> None:
    assert given(file=text, path=tmp_path / "vars") == result


def test_everything_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "vars"
    with pytest.raises(UsageError) as caught:
        given("NOPE", "=x", "", file="A=1\nNOPE\n=2\nexport F=1\nG = 2\n" + "s" * 99, path=path)
    cut = "s" * 39 + "…"
    assert caught.value.message.splitlines() == [
        "8 problems:",
        f"  --env-file {path}, line 2: 'NOPE' is not set here; give it a value with NOPE=VALUE",
        f"  --env-file {path}, line 3: a variable needs a name before '='",
        f"  --env-file {path}, line 4: 'export …' has a blank before '=': a line is NAME=VALUE",
        f"  --env-file {path}, line 5: 'G …' has a blank before '=': a line is NAME=VALUE",
        f"  --env-file {path}, line 6: '{cut}' is not set here; give it a value with {cut}=VALUE",
        "  -e NOPE: 'NOPE' is not set here; give it a value with NOPE=VALUE",
        "  -e =x: a variable needs a name before '='",
        "  -e : a variable needs a name before '='",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "No such file or directory"), (b"A=\xff", "is not UTF-8 text")],
)
def test_files_that_cannot_be_read(content: bytes | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "vars"
    if content is not None:
        path.write_bytes(content)
    problems = Problems()
    environment.given((), [path], HERE, problems)
    with pytest.raises(UsageError, match=said):
        problems.report()


def test_what_the_embedded_cluster_gets_of_the_caller() -> None:
    here = {"PATH": "/bin", "CONDA_PREFIX": "/c", "VIRTUAL_ENV": "/v", "LD_LIBRARY_PATH": "/l"}
    assert environment.of_caller(here | {"HOME": "/h", "AWS_SECRET": "s", "MYPATH": "x"}) == here
