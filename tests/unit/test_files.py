"""Files that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobman.values.files import create_file, replace_file


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
