"""A digest is the same for what reads the same, and for nothing else."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import JsonValue, parse
from countersign.pins import Definition, Unpinnable, canonical, read_definition, read_masked

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def read(text: str) -> Definition:
    return read_definition(parse(text).root)


def value(text: str) -> JsonValue:
    return parse(text).root


def shuffled(thing: object, order: random.Random) -> object:
    if isinstance(thing, dict):
        keys = list(thing)
        order.shuffle(keys)
        return {key: shuffled(thing[key], order) for key in keys}
    return [shuffled(one, order) for one in thing] if isinstance(thing, list) else thing


@given(VALUES, st.randoms(use_true_random=False))
def test_neither_blanks_nor_the_order_of_keys_nor_escapes_matter(thing: object, order: random.Random) -> None:
    one = json.dumps(thing)
    other = json.dumps(shuffled(thing, order), indent=3, ensure_ascii=False)
    assert canonical(value(one)) == canonical(value(other))


@given(VALUES, VALUES)
def test_what_differs_has_another_text(one: object, other: object) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (canonical(value(json.dumps(one))) == canonical(value(json.dumps(other)))) == same


@given(VALUES)
def test_canonical_text_reads_back_as_what_it_was_made_of(thing: object) -> None:
    text = canonical(value(json.dumps(thing)))
    assert canonical(read_masked(text)) == text
    assert json.loads(text) == thing


@pytest.mark.parametrize(
    ("one", "other"), [("1", "1.0"), ("10", "1e1"), ("0", "-0.0"), ("1.50", "15e-1"), ("100000000000000000000", "1e20")]
)
def test_the_notation_of_a_number_does_not_matter(one: str, other: str) -> None:
    assert canonical(value(one)) == canonical(value(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("9007199254740992", "9007199254740993"),
        ("0.1", "0.10000000000000001"),
        ("1", '"1"'),
        ("1", "true"),
        ("1e400", "1e401"),
        ("null", "false"),
        ("[]", "{}"),
    ],
)
def test_no_number_is_rounded_and_no_type_confused(one: str, other: str) -> None:
    assert canonical(value(one)) != canonical(value(other))


@pytest.mark.parametrize(
    "changed",
    [
        {"description": "Runs a query ."},
        {"title": "Query"},
        {"inputSchema": {"type": "object", "properties": {"q": {"description": "x"}}}},
        {"outputSchema": {"type": "object"}},
        {"annotations": {"readOnlyHint": True}},
        {"_meta": {"note": "x"}},
        {"somethingNew": "read me"},
        {"description": "Runs a query.\u200b"},
    ],
)
def test_every_key_that_a_client_could_show_is_pinned(changed: dict[str, object]) -> None:
    tool = {"name": "query", "description": "Runs a query.", "inputSchema": {"type": "object"}}
    assert read(json.dumps(tool)).digest != read(json.dumps({**tool, **changed})).digest


@pytest.mark.parametrize(
    "entry",
    ['"query"', "[]", "{}", '{"name": 1}', '{"name": ""}', '{"name": "a\\u0000b"}', json.dumps({"name": "n" * 257})],
)
def test_what_has_no_usable_name_is_refused(entry: str) -> None:
    with pytest.raises(Unpinnable):
        read(entry)


def test_a_definition_that_nobody_could_review_is_refused_without_quoting_it() -> None:
    with pytest.raises(Unpinnable) as refused:
        read(json.dumps({"name": "query", "description": "canary " * 200_000}))
    assert "canary" not in str(refused.value)
    assert "256 KiB" in str(refused.value)


def test_a_deep_definition_is_read() -> None:
    schema: dict[str, object] = {}
    for _ in range(30):
        schema = {"properties": {"x": schema}}
    assert len(read(json.dumps({"name": "deep", "inputSchema": schema})).digest) == 32
