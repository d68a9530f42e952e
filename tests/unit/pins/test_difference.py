"""A difference shows where, what stood there and what stands there, and is bounded."""

from __future__ import annotations

import json

from hypothesis import given

from countersign.jsontext import parse
from countersign.pins import Difference, canonical, differences
from countersign.pins.difference import MAX_DIFFERENCES, SHOWN_CHARACTERS
from tests.unit.pins.test_definition import VALUES


def between(before: object, after: object) -> tuple[Difference, ...]:
    return differences(parse(json.dumps(before)).root, parse(json.dumps(after)).root)


def test_each_place_is_told_with_both_sides() -> None:
    before = {"name": "q", "inputSchema": {"properties": {"a b": {"type": "string"}, "old": 1}}, "x": ["1", "2"]}
    after = {"name": "q", "inputSchema": {"properties": {"a b": {"type": "number"}}}, "x": ["1"], "title": "T"}
    assert between(before, after) == (
        Difference("$.inputSchema.properties['a b'].type", '"string"', '"number"'),
        Difference("$.inputSchema.properties.old", "1", ""),
        Difference("$.title", "", '"T"'),
        Difference("$.x[1]", '"2"', ""),
    )


@given(VALUES, VALUES)
def test_there_are_differences_exactly_where_texts_differ(one: object, other: object) -> None:
    same = canonical(parse(json.dumps(one)).root) == canonical(parse(json.dumps(other)).root)
    assert (between(one, other) == ()) == same


def test_a_long_text_is_shown_around_what_changed() -> None:
    before = {"description": "a" * 50_000 + "harmless" + "b" * 50_000}
    after = {"description": "a" * 50_000 + "poisoned" + "b" * 50_000}
    (found,) = between(before, after)
    assert "harmless" in found.before
    assert "poisoned" in found.after
    assert len(found.after) < SHOWN_CHARACTERS + 100


def test_more_differences_than_a_person_reads_are_cut_and_said_to_be() -> None:
    found = between({str(i): 1 for i in range(5_000)}, {})
    assert len(found) == MAX_DIFFERENCES
    assert "more differences" in found[-1].after


def test_very_deep_places_stay_short() -> None:
    before: object = "1"
    after: object = "2"
    for _ in range(60):
        before, after = {"k" * 60: before}, {"k" * 60: after}
    (found,) = between(before, after)
    assert len(found.place) < 600
