"""Directories of pods are scattered over the disk where the file system can do that."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from jobman.local import scattered

IN_MEMORY = Path("/dev/shm")


def attributes(directory: Path) -> str:
    """What lsattr says; a file system that keeps none is a skip."""
    if shutil.which("lsattr") is None:
        pytest.skip("lsattr is not here")
    done = subprocess.run(["lsattr", "-d", directory], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this file system keeps no attributes")
    return done.stdout.split()[0]


def file_system(directory: Path) -> str:
    command = ["stat", "--file-system", "--format=%T", directory]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_ext4_is_told(tmp_path: Path) -> None:
    if file_system(tmp_path) != "ext2/ext3":
        pytest.skip("not an ext4")
    beside = tmp_path / "beside"
    beside.mkdir()
    before = attributes(beside)
    scattered.make(tmp_path / "pods")
    assert set(attributes(tmp_path / "pods")) - set(before) == {"T"}


def test_one_that_is_there_is_kept_with_what_is_in_it(tmp_path: Path) -> None:
    for _ in range(2):
        scattered.make(tmp_path / "pods")
        (tmp_path / "pods" / "pod").mkdir(exist_ok=True)
    assert [path.name for path in (tmp_path / "pods").iterdir()] == ["pod"]
    assert stat.S_IMODE((tmp_path / "pods").stat().st_mode) == 0o700


@pytest.mark.skipif(not IN_MEMORY.is_dir(), reason="no file system in memory here")
def test_another_file_system_need_not_know(request: pytest.FixtureRequest) -> None:
    place = IN_MEMORY / f"jobman-scattered-{id(request)}"
    request.addfinalizer(lambda: shutil.rmtree(place, ignore_errors=True))
    scattered.make(place)
    assert place.is_dir()


def test_a_place_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        scattered.make(tmp_path / "missing" / "pods")
