"""The promise: a span is exactly where the thing stands, and an edit changes nothing outside its span."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import (
    Edit,
    Literal,
    Number,
    Place,
    apply_edits,
    drop_elements,
    drop_members,
    element_spans,
    literals,
    member_spans,
    parse,
    pick_places,
    quote,
    value_span,
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=4), child, max_size=4),
    max_leaves=20,
)
TEXTS = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    JSON,
    st.booleans(),
    st.sampled_from([None, 0, 3]),
)


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def test_literals_come_in_the_order_of_the_text_with_their_paths() -> None:
    document = parse('{"a": [1, "x", {"b": -2.5e3}], "c": null, "\\u0064": true}')
    assert literals(document.text) == [
        Literal(1, 4, "a", ("a",), True, False),
        Literal(7, 8, "1", ("a", 0), False, True),
        Literal(10, 13, "x", ("a", 1), False, False),
        Literal(16, 19, "b", ("a", 2, "b"), True, False),
        Literal(21, 27, "-2.5e3", ("a", 2, "b"), False, True),
        Literal(31, 34, "c", ("c",), True, False),
        Literal(42, 50, "d", ("d",), True, False),
    ]


@pytest.mark.parametrize("text", ['"leaf"', "7", "null", "[]", "{}"])
def test_roots_that_hold_nothing_else(text: str) -> None:
    document = parse(text)
    assert [text[item.start : item.end] for item in literals(document.text)] == (
        [text] if text in ('"leaf"', "7") else []
    )
    assert value_span(document, ()) == (0, len(text))
    assert value_span(document, ("a",)) is None
    assert element_spans(document, ()) == []


@given(TEXTS)
def test_every_literal_stands_where_its_span_says(text: str) -> None:
    document = parse(text)
    for item in literals(document.text):
        written = text[item.start : item.end]
        if item.is_number:
            assert written == item.value
            assert type(at(document.root, item.path)) is Number
        else:
            assert json.loads(written) == item.value
        if item.is_key:
            assert item.path[-1] == item.value
        else:
            assert at(document.root, item.path) == item.value
            assert value_span(document, item.path) == (item.start, item.end)


@given(TEXTS)
def test_value_spans_hold_the_whole_value(text: str) -> None:
    document = parse(text)
    for path in ((), *{item.path[:-1] for item in literals(document.text) if item.path}):
        span = value_span(document, path)
        assert span is not None
        assert parse(text[span[0] : span[1]]).root == at(document.root, path)


def test_a_path_that_leads_nowhere_has_no_span() -> None:
    document = parse('{"a": [1], "1": 2, "b": "[1]"}')
    for path in (("x",), ("a", 1), ("a", "0"), (1,), ("a", 0, 0), ("b", 0)):
        assert value_span(document, path) is None
        assert element_spans(document, path) == []


@given(st.lists(JSON, max_size=6), st.sets(st.integers(-1, 6)), st.sampled_from([None, 2]))
def test_dropped_elements_go_with_their_commas_and_the_rest_stays(
    items: list[Any], drop: set[int], indent: int | None
) -> None:
    text = json.dumps({"before": [1], "items": items, "after": "]"}, indent=indent)
    document = parse(text)
    kept = [item for index, item in enumerate(items) if index not in drop]
    edited = apply_edits(text, drop_elements(document, ("items",), drop))
    assert json.loads(edited) == {"before": [1], "items": kept, "after": "]"}
    spans = element_spans(document, ("items",))
    if spans:
        assert edited.startswith(text[: spans[0][0]])
        assert edited.endswith(text[spans[-1][1] :])


@given(
    st.dictionaries(st.text(max_size=3), JSON, max_size=5),
    st.sets(st.integers(0, 5)),
    st.sampled_from([None, 2]),
    st.booleans(),
)
def test_dropped_members_go_with_their_commas_and_the_rest_stays(
    members: dict[str, Any], drop: set[int], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps({"before": {}, "of": members, "after": "}"}, indent=indent, ensure_ascii=ascii_only)
    document = parse(text)
    spans = member_spans(document, ("of",))
    assert [json.loads(f"{{{text[start:end]}}}") for start, end in spans.values()] == [
        {key: value} for key, value in members.items()
    ]
    dropped = {key for index, key in enumerate(members) if index in drop}
    edited = apply_edits(text, drop_members(document, ("of",), dropped))
    kept = {key: value for key, value in members.items() if key not in dropped}
    found = json.loads(edited)
    assert (found, list(found["of"])) == ({"before": {}, "of": kept, "after": "}"}, list(kept))


def test_only_objects_have_members() -> None:
    document = parse('{"a": [1], "b": "{}", "c": {}}')
    for path in (("a",), ("b",), ("c",), ("d",)):
        assert member_spans(document, path) == {}
        assert drop_members(document, path, {"a"}) == []


def test_edits_apply_in_any_order_and_to_nothing_else() -> None:
    assert apply_edits("0123456789", [Edit(8, 9, ""), Edit(2, 4, "ab c"), Edit(0, 0, ">")]) == ">01ab c45679"
    assert apply_edits("same", []) == "same"


@pytest.mark.parametrize(
    "edits", [[Edit(0, 3, ""), Edit(2, 4, "")], [Edit(3, 9, "")], [Edit(-1, 1, "")], [Edit(3, 2, "")]]
)
def test_edits_that_overlap_or_lie_outside_are_refused(edits: list[Edit]) -> None:
    with pytest.raises(ValueError, match="overlap"):
        apply_edits("01234", edits)


@given(st.text())
def test_a_quoted_string_reads_back(value: str) -> None:
    assert parse(quote(value)).root == value


def leaves(value: Any) -> int:
    if isinstance(value, dict):
        return sum(1 + leaves(child) for child in value.values())
    if isinstance(value, list):
        return sum(map(leaves, value))
    return int(isinstance(value, str))


@given(TEXTS)
def test_no_literal_is_passed_over(text: str) -> None:
    assert len(literals(text)) == leaves(parse(text).root)


@given(TEXTS, st.lists(st.integers(0, 120), max_size=12))
def test_picked_literals_are_those_that_a_stretch_touches(text: str, bounds: list[int]) -> None:
    ordered = sorted(set(bounds))
    stretches = list(zip(ordered[0::2], ordered[1::2], strict=False))
    touched = [
        Place(item.start, item.end, *item[3:])
        for item in literals(text)
        if any(start < item.end and item.start < end for start, end in stretches)
    ]
    assert list(pick_places(text, stretches)) == touched


def test_a_string_of_many_escapes_is_one_token() -> None:
    text = json.dumps(['"\\' * 300_000, {"a": "\\"}])
    assert [item.path for item in literals(text)] == [(0,), (1, "a"), (1, "a")]
