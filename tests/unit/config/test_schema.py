"""The schema that editors read is the one that loading applies."""

from __future__ import annotations

import json
from pathlib import Path

from countersign.config import schema
from countersign.config.document import Plain
from countersign.model.rule import DETECTOR_SETS, DETECTORS

PUBLISHED = Path(__file__).parents[3] / "docs" / "gateway.schema.json"


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text() == schema.text(), "run: python -m countersign.config.schema > docs/gateway.schema.json"


def test_nothing_may_be_null_and_no_unknown_key_is_let_through() -> None:
    for part in parts(schema.json_schema()):
        assert part.get("type") != "null"
        if "properties" in part:
            assert part["additionalProperties"] is False


def test_editors_know_the_detectors() -> None:
    assert json.dumps([*DETECTOR_SETS, *DETECTORS]) in json.dumps(schema.json_schema())


def parts(value: Plain) -> list[dict[str, Plain]]:
    if isinstance(value, list):
        return [part for entry in value for part in parts(entry)]
    if isinstance(value, dict):
        return [value, *(part for entry in value.values() for part in parts(entry))]
    return []
