"""Nothing in a text that people are shown is hidden, moves other text, or is obeyed."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.visible import visible


def test_what_is_drawn_stays_as_it_is() -> None:
    text = "SELECT 'Grüße, 世界, שלום, नमस्ते 🎉' FROM t -- c:\\temp"
    assert visible(text) == text


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\x1b", r"\x1b"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\n", r"\n"),
        ("\r", r"\r"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\u200b", r"\u200b"),
        ("\u200d", r"\u200d"),
        ("\ufeff", r"\ufeff"),
        ("\u2028", r"\u2028"),
        ("\u00a0", r"\xa0"),
        ("\u3164", r"\u3164"),
        ("\u2800", r"\u2800"),
        ("\ufe0f", r"\ufe0f"),
        ("\U000e0041", r"\U000e0041"),
        ("\U000e0100", r"\U000e0100"),
        ("\ue000", r"\ue000"),
        ("\ud800", r"\ud800"),
        ("\uffff", r"\uffff"),
    ],
    ids=lambda text: text.encode("unicode_escape").decode() if len(text) == 1 else "",
)
def test_what_is_not_drawn_is_written_out(char: str, shown: str) -> None:
    assert visible(f"a{char}b") == f"a{shown}b"


def test_marks_that_pile_up_are_written_out() -> None:
    assert visible("e\u0301") == "e\u0301"
    assert visible("e" + 6 * "\u0301") == "e" + 4 * "\u0301" + 2 * r"\u0301"


def test_only_the_controls_to_keep_are_kept() -> None:
    assert visible("a\n\tb\r", keep="\n") == "a\n\\tb\\r"


@given(st.text(st.characters(max_codepoint=sys.maxunicode, exclude_categories=())))
def test_no_text_has_anything_hidden_or_obeyed_left(text: str) -> None:
    shown = visible(text, keep="\n")
    assert all(
        char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for char in shown
    )
    shown.encode()
    assert visible(shown, keep="\n") == shown
