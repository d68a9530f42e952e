"""What was sealed opens as it was sealed: for its purpose, for what it is bound to, in its time, in one spelling."""

from __future__ import annotations

import string

import pytest

from countersign.runtime.boxes import Box, Over
from countersign.runtime.sealing import Unsealable

KEY = bytes(range(32))
NOW = 1_774_000_800_000_000
ALPHABET = string.ascii_letters + string.digits + "-_"


def test_what_is_sealed_opens_until_its_time_is_over() -> None:
    box = Box(KEY, "test")
    sealed = box.seal(["é", 7, ["a", "b"]], NOW, "here")
    assert box.open(sealed, NOW - 1, "here") == ["é", 7, ["a", "b"]]
    with pytest.raises(Over):
        box.open(sealed, NOW, "here")


def test_nothing_else_opens() -> None:
    sealed = Box(KEY, "test").seal(["a"], NOW, "here", "now")
    for box, bound in (
        (Box(KEY, "another"), ("here", "now")),
        (Box(KEY[::-1], "test"), ("here", "now")),
        (Box(KEY, "test"), ("here",)),
        (Box(KEY, "test"), ("now", "here")),
        (Box(KEY, "test"), ("herenow", "")),
    ):
        with pytest.raises(Unsealable):
            box.open(sealed, 0, *bound)


def test_no_other_spelling_of_it_opens() -> None:
    box = Box(KEY, "test")
    # As long as it is, the last character has bits that say nothing.
    sealed = next(one for one in (box.seal(["a" * length], NOW) for length in range(3)) if len(one) % 4)
    assert box.open(sealed, 0)
    others = {sealed[:-1] + char for char in ALPHABET} - {sealed}
    others |= {sealed + "=", sealed + "\n", f" {sealed}", sealed + "é", sealed[:-1], sealed + sealed, ""}
    for other in others:
        with pytest.raises(Unsealable):
            box.open(other, 0)


def test_what_is_sealed_tells_nothing_and_is_never_the_same() -> None:
    box = Box(KEY, "test")
    first, second = box.seal(["secret words"], NOW), box.seal(["secret words"], NOW)
    assert first != second
    assert "secret" not in first


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="sealing key"):
        Box(b"short", "test")
