"""Heads and messages are read alike, however they are cut, and whatever was read before."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from countersign.runtime.rpc.heads import HeadReader
from countersign.runtime.rpc.messages import MessageReader, framed, timeout_of

_NAMES = st.sampled_from(["a", "b", "traceparent", "x-long-name-of-a-header"])
_VALUES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=60)
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES, st.booleans()), max_size=6)


@given(st.lists(st.tuples(_FIELDS, st.none() | st.sampled_from([0, 60, 200, 4096])), max_size=12), st.data())
def test_a_head_that_is_known_is_read_as_one_that_is_not(
    heads: list[tuple[list[tuple[str, str, bool]], int | None]], data: st.DataObject
) -> None:
    encoder, plain, reader = Encoder(), Decoder(), HeadReader()
    for fields, table_size in [*heads, *heads]:
        if table_size is not None:
            encoder.header_table_size = table_size
        written = [NeverIndexedHeaderTuple(name, value) if hidden else (name, value) for name, value, hidden in fields]
        block = encoder.encode(written, huffman=data.draw(st.booleans()))
        expected = tuple((str(name), str(value)) for name, value in plain.decode(block))
        assert reader.read(block).metadata == expected


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(min_value=1, max_value=9)))
def test_messages_are_the_same_however_they_are_cut(messages: list[bytes], cuts: list[int]) -> None:
    written = b"".join(map(framed, messages))
    reader, found, at = MessageReader(40), list[bytes](), 0
    for size in [*cuts, len(written)]:
        if at < len(written):
            found += reader.take(written[at : at + size])
            at += size
    assert found == messages
    assert not reader.halfway


@pytest.mark.parametrize(
    ("text", "seconds"), [("5S", 5.0), ("200m", 0.2), ("1H", 3600.0), ("30u", 3e-5), ("5", None), ("", None)]
)
def test_a_time_limit_is_read_in_its_unit(text: str, seconds: float | None) -> None:
    assert timeout_of(text) == (None if seconds is None else pytest.approx(seconds))
