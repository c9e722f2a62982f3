"""The JSON Schema: not stale, and of one mind with the models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jobman.config import files, schema

SETTINGS = Path(__file__).parents[2] / "settings"
STALE = "run: make docs"


def test_the_file_is_what_the_models_say() -> None:
    assert (SETTINGS / "settings.schema.json").read_text() == schema.text(), STALE


def test_it_is_written_as_a_command_too(tmp_path: Path) -> None:
    target = tmp_path / "a schema.json"
    command = [sys.executable, "-m", "jobman.config.schema", str(target)]
    subprocess.run(command, check=True)
    assert target.read_text() == schema.text()


SHIPPED = sorted({*SETTINGS.rglob("*.json")} - {SETTINGS / "settings.schema.json"})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_files_are_right(path: Path) -> None:
    layer = files.read(path)
    assert layer.problems == []
    earlier = "newVersion: is ignored"
    assert [warning for warning in layer.warnings if earlier not in warning] == []
    jsonschema.validate(json.loads(path.read_text()), schema.schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema.schema())


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ({}, True),
        ({"job": None, "harborProjects": None, "jobsQueue": {"gpuResources": None}}, True),
        ({"job": {"resources": {"predefined": [{"name": "x", "resources": None}]}}}, True),
        ({"unknown": 1}, True),
        ({"job": []}, False),
        ({"kubeConfig": {"type": "kubectl"}}, False),
        ({"job": {"securityContext": {"runAsUser": -1}}}, False),
        ({"job": {"resources": {"predefined": [{"name": "x"}]}}}, False),
        ({"job": {"resources": {"predefined": [{"name": "x", "resources": {}, "y": 1}]}}}, False),
        ({"harborProjects": [{"name": "p"}]}, False),
    ],
)
def test_schema_and_models_agree(value: dict[str, Any], good: bool) -> None:
    validator = jsonschema.Draft202012Validator(schema.schema())
    assert validator.is_valid(value) is good
    assert (files.check(files.of_values(value, "x").values) == []) is good
