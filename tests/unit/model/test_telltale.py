"""A credential is found in what a target says, by what does not tell it."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.telltale import (
    MOST_TELLTALES,
    SHORTEST_BYTES,
    _unescaped,
    holds,
    read,
    telltales_of,
    written,
)
from tests.support.cost import cpu_s

VALUE = b"dG9rZW4/" + b'of-the"gateway' + b"+xyz"


def mark(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


@given(st.binary(max_size=40), st.binary(min_size=SHORTEST_BYTES, max_size=60), st.binary(max_size=40))
def test_a_value_is_found_wherever_it_stands(before: bytes, value: bytes, after: bytes) -> None:
    assert holds(before + value + after, telltales_of([value], mark), mark)


@given(st.text(min_size=SHORTEST_BYTES, max_size=60, alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_value_is_found_behind_the_escapes_of_json(value: str) -> None:
    telltales = telltales_of([value.encode()], mark)
    plain = json.dumps({"said": value})
    as_php_does = plain.replace("/", "\\/")
    coded = '{"said": "' + "".join(f"\\u{ord(one):04x}" for one in value) + '"}'
    for text in (plain, as_php_does, coded):
        assert holds(text.encode(), telltales, mark)


def test_nothing_else_is_taken_for_it() -> None:
    telltales = telltales_of([VALUE], mark)
    for other in (VALUE[1:], VALUE[:-1], VALUE.swapcase(), VALUE[:10] + b"#" + VALUE[11:], b""):
        assert not holds(b"... " + other + b" ...", telltales, mark)
    assert not holds(VALUE, (), mark)


def test_short_values_are_not_looked_for() -> None:
    assert telltales_of([b"", b"short", VALUE, VALUE], mark) == telltales_of([VALUE], mark)


def test_what_is_written_is_read() -> None:
    telltales = telltales_of([VALUE, b"\xff\x00" * 10], mark)
    text = written(telltales)
    assert text.isascii()
    assert text.isprintable()
    assert read(text) == telltales
    assert VALUE.decode() not in text


NO_LISTS = [
    *("", "{}", "null", "[1]", "[[]]", '[["12345678",0,20]]', '[["short",0,20,"m"]]', '[["12345678",20,20,"m"]]'),
    *('[["12345678",-1,20,"m"]]', "[" * 50_000, json.dumps([["12345678", 0, 20, "m"]] * (MOST_TELLTALES + 1))),
]


@pytest.mark.parametrize("text", NO_LISTS, ids=range(len(NO_LISTS)))
def test_what_is_no_list_of_telltales_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read(text)


def test_a_target_that_repeats_the_probe_gains_nothing_and_costs_little() -> None:
    [telltale] = telltales_of([b"x" * 4_000], mark)
    assert not holds(b"x" * 3_999, [telltale], mark)
    hostile = b"x" * 5_000_000
    assert holds(hostile, [replace(telltale, mark="of another")], mark)
    assert cpu_s(lambda: holds(hostile, [replace(telltale, mark="of another")], mark)) < 2


ESCAPED = re.compile(rb'\\(?:(["\\/])|u00([2-7][0-9A-Fa-f]))')
PIECES = (b"\\", b'"', b"/", b"n", b"u", b"0", b"2", b"\\u005c", b"\\u0022", b"\\u0041", b"\\u00", VALUE[:4], VALUE[4:])


@given(st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join))
def test_escapes_are_undone_as_one_who_reads_from_left_to_right_does(data: bytes) -> None:
    def plain(match: re.Match[bytes]) -> bytes:
        return match[1] or bytes([int(match[2], 16)])

    assert _unescaped(data) == ESCAPED.sub(plain, data)
