"""The JSON Schema of gateway.yaml, for editors. ``python -m countersign.config.schema`` prints it."""

from __future__ import annotations

import json
import sys

from countersign.config.document import Plain
from countersign.config.shape import File


def json_schema() -> dict[str, Plain]:
    """A JSON Schema (2020-12) of version 1: shapes, types, bounds.

    Loading refuses more than a schema can say: dangling names, unreadable credentials, rules that are shadowed.
    """
    schema: dict[str, Plain] = File.model_json_schema()
    tidy = {key: _tidied(value) for key, value in schema.items() if key != "title"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "gateway.yaml of Countersign"} | tidy


def text() -> str:
    """The schema as it is published in docs/gateway.schema.json."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(value: Plain) -> Plain:
    """Without titles that repeat the keys, and without the nulls by which pydantic says that a key may be absent."""
    if isinstance(value, list):
        return [_tidied(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _tidied(entry)
        for key, entry in value.items()
        if not (key == "title" and isinstance(entry, str)) and not (key == "default" and entry is None)
    }
    options = kept.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        del kept["anyOf"]
        for option in options:
            if isinstance(option, dict) and option != {"type": "null"}:
                kept = option | kept
    return kept


if __name__ == "__main__":
    sys.stdout.write(text())
