"""Headers that repeat arguments of a changed call say what the arguments say now, or nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import JsonValue, Number
from countersign.mcp import moved_param_mirrors
from countersign.mcp.headers import check_param_mirrors, decoded_header, encoded_header


def moved(said: str, before: JsonValue, after: JsonValue) -> dict[str, str | None]:
    return moved_param_mirrors({"mcp-param-a": said, "accept": "x"}, {"arguments": before}, {"arguments": after})


@pytest.mark.parametrize(
    ("said", "before", "after", "expected"),
    [
        ("old", {"a": "old"}, {"a": "new"}, "new"),
        ("old", {"a": "old", "b": ["old"]}, {"a": "new", "b": ["new"]}, "new"),
        ("old", {"old": "old"}, {"renamed": "new"}, "new"),
        ("42", {"a": Number("42.0")}, {"a": Number("0")}, "0"),
        ("old", {"a": "old"}, {"a": "né"}, "=?base64?bsOp?="),
        ("old", {"a": "old", "b": "old"}, {"a": "new", "b": "old"}, None),
        ("old", {"a": "old"}, {"a": "new", "b": "old"}, None),
        ("gone", {"a": "old"}, {"a": "new"}, None),
        ("\t", {"a": "old"}, {"a": "new"}, None),
    ],
)
def test_a_header_follows_its_argument_or_goes(
    said: str, before: JsonValue, after: JsonValue, expected: str | None
) -> None:
    assert moved(said, before, after) == {"mcp-param-a": expected}


@pytest.mark.parametrize(
    ("said", "before", "after"),
    [
        ("kept", {"a": "kept", "b": "old"}, {"a": "kept", "b": "new"}),
        ("42", {"a": Number("42.0"), "b": "old"}, {"a": Number("42.0"), "b": "new"}),
        ("old", {"a": "old"}, {"a": "old"}),
    ],
)
def test_a_header_whose_argument_stays_stays(said: str, before: JsonValue, after: JsonValue) -> None:
    assert moved(said, before, after) == {}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_every_text_can_be_a_header(text: str) -> None:
    header = encoded_header(text)
    assert header.isascii()
    assert header.isprintable()
    assert decoded_header(header) == text


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcdxyz")), min_size=1), st.data())
def test_what_is_said_afterwards_repeats_the_changed_arguments(
    pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    before: JsonValue = [old for old, _ in pairs]
    after: JsonValue = [new for _, new in pairs]
    said = data.draw(st.sampled_from([old for old, _ in pairs]))
    now = {"mcp-param-a": said} | moved(said, before, after)
    check_param_mirrors({name: value for name, value in now.items() if value is not None}, {"arguments": after})
