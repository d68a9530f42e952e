"""What is searched of a body, and that the index forgets none of its words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from countersign.recorder.search.query import MAX_CHARACTERS, MAX_WORDS, BadQuery, query_of
from countersign.recorder.search.words import SEARCHED_BYTES, text_of, words_of, words_within
from tests.support.cost import cpu_s

_ROW = json.dumps({"arguments": {"sql": "SELECT o.total FROM orders AS o", "note": "line1\nsecond"}, "n": 1.5})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customer_id = 'A-17'", ["customer", "id", "a", "17"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("\ufb01nd \uff21\uff22", ["find", "ab"]),
        ("[PERSON_1] 129.90 -5", ["person", "1", "129", "90", "5"]),
        ("東京 تقرير", ["東京", "تقرير"]),
        ("", []),
    ],
)
def test_a_word_is_a_run_of_letters_and_digits(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("body", "found", "absent"),
    [
        (_ROW, "orders total second 1 5 arguments", "nsecond"),
        (json.dumps({"text": _ROW}), "orders second line1", "nsecond"),
        (json.dumps({"path": "C:\\new\\table"}), "new table", "ew"),
        ('{"a": 1, "a": "twice"}', "1 twice", "thrice"),
        ('{"a": "\\u0041bc", "b": [true, null]}', "abc true null", "0041bc"),
        ("line1\\nsecond", "second", "nsecond"),
        ('{"cut": "\\tindented', "indented cut", "tindented"),
        ("[" * 50_000, "", ""),
        ('{"n": ' + "9" * 5_000 + "}", "n", ""),
    ],
)
def test_json_is_read_and_what_is_none_is_taken_as_it_stands(body: str, found: str, absent: str) -> None:
    words = words_of(text_of(body.encode()))
    assert set(words_of(found)) <= set(words)
    assert not set(words_of(absent)) & set(words)


def test_only_the_beginning_of_a_long_body_is_searched_wherever_it_is_cut() -> None:
    body = b"early " + b"\xc3\xa4" * SEARCHED_BYTES + b" late"
    assert "early" in words_of(text_of(body))
    assert "late" not in words_of(text_of(body))
    assert words_of(text_of(body)) == words_of(text_of(body[:SEARCHED_BYTES] + b" "))


_LEAF = st.text(st.sampled_from(list('ab1_ -."\\\n\tnu/{}[]:,é\u0130')), max_size=12) | st.integers() | st.booleans()
_VALUE = st.recursive(
    _LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner)
)


@settings(max_examples=150, deadline=None)
@given(_VALUE, st.booleans(), st.booleans())
def test_the_index_forgets_no_word_of_a_body(value: object, nested: bool, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    body = (json.dumps({"text": text}, ensure_ascii=ascii_only) if nested else text).encode()
    assert {word.encode(errors="surrogatepass") for word in words_of(text_of(body))} <= words_within(body)


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ("orders total", True),
        ("ORDERS -missing", True),
        ("orders -total", False),
        ('"from orders"', True),
        ('"orders from"', False),
        ("nothing or orders", True),
        ("nothing or orders missing", False),
        ("o.total", True),
        ("total.o", False),
        ('-"from orders"', False),
        ("-absent", True),
        ("or orders or", True),
        ('orders "unfinished', False),
        ("tota", False),
    ],
)
def test_a_question_is_read_as_people_type_it(asked: str, matches: bool) -> None:
    assert query_of(asked).matches(_ROW.encode()) is matches


@pytest.mark.parametrize(
    "asked", ["", " - ", '""', "or", "x" * (MAX_CHARACTERS + 1), " ".join(["a"] * (MAX_WORDS + 1))]
)
def test_a_question_is_bounded_and_holds_a_word(asked: str) -> None:
    with pytest.raises(BadQuery):
        query_of(asked)


def test_what_is_searched_takes_time_in_proportion() -> None:
    hostile = [b'"' * 65_536, b"\\" * 65_536, b"[" * 65_536, b"a_" * 32_768, b"\\n" * 32_768, b'{"":' * 16_384]

    def work() -> None:
        for body in hostile:
            query_of("needle -hay").matches(body)
            words_within(body)

    assert cpu_s(work) < 0.5
