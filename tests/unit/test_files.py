"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobman.values.files import create_file, read_own, replace_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replace(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "file"
    replace_file(path, b"one")
    replace_file(path, b"two", mode=0o640)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert names(path.parent) == ["file"]


def test_create_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "file"
    create_file(path, b"one")
    with pytest.raises(FileExistsError):
        create_file(path, b"two")
    assert path.read_bytes() == b"one"
    assert path.stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["file"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "taken"
    folder.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(folder, b"x")
    assert names(tmp_path) == ["taken"]


def test_own(tmp_path: Path) -> None:
    path = tmp_path / "file"
    replace_file(path, b"mine")
    path.chmod(0o644)
    tmp_path.chmod(0o775)
    assert read_own(path) == b"mine"
    with pytest.raises(FileNotFoundError):
        read_own(tmp_path / "gone")


def _linked(path: Path) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda path: path.chmod(0o666), "place/file: can be written by others"),
        (lambda path: path.chmod(0o620), "place/file: can be written by others"),
        (lambda path: path.parent.chmod(0o777), "place: can be written by others"),
        (_linked, "place/file: Too many levels of symbolic links"),
        (_fifo, "place/file: is no plain file"),
    ],
)
def test_what_others_can_have_written_is_not_own(
    change: Callable[[Path], Any], problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "place" / "file"
    replace_file(path, b"whose")
    change(path)
    with pytest.raises(OSError, match=problem.partition(": ")[2]) as error:
        read_own(path)
    assert f"{error.value.filename}: {error.value.strerror}" == f"{tmp_path}/{problem}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("name", ["place", "place/file"])
def test_what_another_user_has_is_not_own(name: str, tmp_path: Path) -> None:
    path = tmp_path / "place" / "file"
    replace_file(path, b"theirs")
    os.chown(tmp_path / name, 12346, 12346)
    with pytest.raises(PermissionError, match="belongs to another user") as error:
        read_own(path)
    assert error.value.filename == str(tmp_path / name)
