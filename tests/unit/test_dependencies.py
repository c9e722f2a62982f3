"""No package is installed for nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = {"PyYAML": "yaml", "markdown-it-py": "markdown_it"}


def test_what_is_installed_with_jobman_is_used_by_it() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = [re.split(r"[<>=;]", each)[0] for each in wanted]
    product = "\n".join(path.read_text() for path in (ROOT / "jobman").rglob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", product, re.MULTILINE))
    assert [name for name in names if MODULES.get(name, name) not in imported] == []
