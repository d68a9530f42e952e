"""A server's output comes in pieces of any size; a line is a line, and one without an end takes no memory."""

from __future__ import annotations

import pytest

from countersign.bridge.lines import Line, LineReader


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_are_the_same_however_they_come(size: int) -> None:
    data = b"one\ntwo\r\n\nthree\nfo"
    reader = LineReader(10)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = [line.data for piece in pieces for line in reader.feed(piece)]
    assert found == [b"one", b"two", b"", b"three"]
    assert [line.data for line in reader.feed(b"ur\n")] == [b"four"]


def test_a_line_that_is_too_long_is_kept_only_so_far_and_the_next_is_whole() -> None:
    reader = LineReader(4)
    assert list(reader.feed(b"abcdef")) == []
    assert list(reader.feed(b"g" * 1_000_000)) == []
    assert list(reader.feed(b"h\nij\n")) == [
        Line(b"abcd", 1_000_007, too_long=True, tail=b"g" * 63 + b"h"),
        Line(b"ij", 2),
    ]


def test_a_line_of_just_the_most_is_whole() -> None:
    assert list(LineReader(4).feed(b"abcd\n")) == [Line(b"abcd", 4)]
