"""What a wheel holds beside the code, and that an installation without the checkout finds it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parents[2]
LIST_FLAVORS = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.argv[1:] = ['flavors', '-o', 'name'];"
    "import jobman.cli.app; assert 'site' in jobman.__file__, jobman.__file__;"
    "jobman.cli.app.main()"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    return Path(next(WheelBuilder(str(ROOT)).build(directory=str(folder))))


def test_the_settings_are_in_it(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    shipped = [p.relative_to(ROOT / "settings") for p in (ROOT / "settings").rglob("*.json")]
    assert {f"jobman/_settings/{path}" for path in shipped} <= inside
    assert "jobman/py.typed" in inside


def test_an_installation_finds_them(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    command = [sys.executable, "-c", LIST_FLAVORS, str(site)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()[0]) == ("", "tiny")
