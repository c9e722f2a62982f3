"""The settings' JSON Schema: `python -m jobman.config.schema FILE` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from jobman.config.settings import Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """The schema of files as they are written: null is as good as absent, titles say nothing."""

    def model_schema(self, schema: Any) -> JsonSchemaValue:
        made = super().model_schema(schema)
        required = made.get("required", ())
        made.pop("title", None)
        for key, value in made.get("properties", {}).items():
            value.pop("title", None)
            if key not in required:
                made["properties"][key] = _or_null(value)
        return made


def _or_null(schema: JsonSchemaValue) -> JsonSchemaValue:
    """The schema of a value that may be null too."""
    kept: dict[str, Any] = {key: schema[key] for key in ("description", "default") if key in schema}
    value = {key: item for key, item in schema.items() if key not in kept}
    choices = value.pop("anyOf", None) or [value]
    if {"type": "null"} in choices or not choices[0]:
        return schema
    return {**kept, "anyOf": [*choices, {"type": "null"}]}


def schema(model: type[BaseModel] = Settings) -> dict[str, Any]:
    """The JSON Schema of a settings file."""
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": DIALECT, "title": "jobman's settings", **made}


def text() -> str:
    """The schema as its file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
