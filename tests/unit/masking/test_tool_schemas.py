"""Tools stay callable: fields mask values, and not the descriptions of arguments that have their names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.masking import MaskCatalog, Masker
from countersign.model.rule import Mask

VALUE = "one of ours"


@pytest.fixture(scope="module")
def masker(cache_dir: Path) -> Masker:
    masks = [Mask("m", fields=("ssn", "customer.plan", "*.card"))]
    return MaskCatalog(masks, cache_dir=cache_dir).select(["m"])


def masked(masker: Masker, value: object) -> object:
    return json.loads(masker.json(json.dumps(value).encode()).data)


@pytest.mark.parametrize("where", ["inputSchema", "outputSchema"])
@pytest.mark.parametrize("names", ["properties", "patternProperties", "$defs", "definitions"])
def test_what_describes_an_argument_stays(masker: Masker, where: str, names: str) -> None:
    described = {"type": "string", "description": "Whose", "pattern": "^[0-9]+$", "minLength": 3}
    inner = {"type": "object", "properties": {"ssn": described, "card": described}}
    tool = {"name": "x", where: {names: {"ssn": described, "customer": inner}, "required": ["ssn"]}}
    assert masked(masker, {"result": {"tools": [tool]}}) == {"result": {"tools": [tool]}}


@pytest.mark.parametrize("word", ["default", "example", "examples"])
def test_values_in_a_description_are_masked(masker: Masker, word: str) -> None:
    for value in (VALUE, [VALUE], {"a": [VALUE]}, {"ssn": {"type": VALUE}}):
        tool = {"inputSchema": {"properties": {"ssn": {"type": "string", word: value}}}}
        found = masked(masker, tool)
        assert VALUE not in json.dumps(found)
        assert '"type": "string"' in json.dumps(found)
    tool = {"inputSchema": {"properties": {"other": {word: {"ssn": {"type": VALUE}}}}}}
    assert VALUE not in json.dumps(masked(masker, tool))


@pytest.mark.parametrize("word", ["const", "enum"])
def test_what_may_be_at_all_stays_but_keys_in_it_are_fields(masker: Masker, word: str) -> None:
    tool = {"outputSchema": {"properties": {"ssn": {word: ["a", "b"]}}}}
    assert masked(masker, tool) == tool
    nested = {"outputSchema": {"properties": {"other": {word: [{"ssn": VALUE}]}}}}
    assert VALUE not in json.dumps(masked(masker, nested))


@pytest.mark.parametrize(
    "data",
    [
        {"ssn": {"type": VALUE}},
        {"properties": {"ssn": {"type": VALUE}}},
        {"inputSchema": {"ssn": {"type": VALUE}}},
        {"inputSchema": {"properties": {"ssn": VALUE}}},
        {"inputSchema": {"properties": {"ssn": 1234}}},
        {"inputSchema": {"properties": {"a": {"ssn": VALUE}}}},
    ],
)
def test_elsewhere_all_below_a_field_is_masked(masker: Masker, data: object) -> None:
    found = json.dumps(masked(masker, data))
    assert VALUE not in found
    assert "1234" not in found


def test_keywords_elsewhere_are_keys_like_any_other(masker: Masker) -> None:
    data = {"default": VALUE, "enum": [VALUE], "ssn_default": {"default": VALUE}, "properties": {"default": VALUE}}
    assert masked(masker, data) == data
