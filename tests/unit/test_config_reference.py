"""The pages about settings and flavors: generated parts not stale, examples right."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from plugins.command_line import Run

from jobman.config import files, reference
from jobman.config.flavors import Flavor

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS, FLAVORS = DOCS / "settings.md", DOCS / "flavors.md"


def examples(page: Path) -> list[Any]:
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page.read_text(), re.S)]


def test_the_table_is_what_the_models_say() -> None:
    assert reference.page(SETTINGS.read_text()) == SETTINGS.read_text(), "run: make docs"


def test_only_the_part_between_the_marks_is_written() -> None:
    text = f"before\n{reference.BEGIN}\nold\n{reference.END}\nafter\n"
    lines = reference.page(text).splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert "| `local.enabled` | `true` |" in "\n".join(lines)


@pytest.mark.parametrize("example", examples(SETTINGS), ids=lambda value: next(iter(value)))
def test_examples_of_settings(example: Any) -> None:
    example.pop("$schema")
    layer = files.of_values(example, "docs")
    assert (layer.problems, layer.warnings) == ([], [])


@pytest.mark.parametrize("example", examples(FLAVORS), ids=lambda value: value["name"])
def test_examples_of_flavors(example: Any) -> None:
    assert Flavor.model_validate(example).name == example["name"]


def test_the_transcript(run: Run) -> None:
    assert f"$ jobman flavors\n{run('flavors').out}```" in FLAVORS.read_text()
