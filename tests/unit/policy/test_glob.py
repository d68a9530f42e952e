"""What a glob means, and that no text can make it slow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.model.glob import Glob, GlobSet
from tests.support.cost import cpu_s

PATTERNS = st.text(alphabet="ab*?.[", max_size=9)
TEXTS = st.text(alphabet="ab.[\n", max_size=10)


def plainly_matches(pattern: str, text: str) -> bool:
    """The meaning of a glob, one character at a time."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return plainly_matches(pattern[1:], text) or (bool(text) and plainly_matches(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and plainly_matches(pattern[1:], text[1:])


@given(PATTERNS, TEXTS)
def test_a_glob_means_what_its_plain_definition_says(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) is plainly_matches(pattern, text)


@given(st.lists(PATTERNS, max_size=4), st.lists(TEXTS, max_size=3))
def test_a_set_matches_exactly_when_one_of_its_globs_does(patterns: list[str], texts: list[str]) -> None:
    matched = [any(plainly_matches(pattern, text) for pattern in patterns) for text in texts]
    globs = GlobSet(patterns)
    assert [globs.matches(text) for text in texts] == matched
    assert globs.matches_any(tuple(texts)) is any(matched)


@given(PATTERNS)
def test_everything_is_claimed_only_by_stars_alone(pattern: str) -> None:
    assert Glob(pattern).everything is (set(pattern) == {"*"})
    assert GlobSet([pattern]).everything is (set(pattern) == {"*"})


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("query", "Query"),
        ("query", "query "),
        ("export_*", "my_export_orders"),
        ("a.c", "abc"),
        ("[ab]", "a"),
        ("a?", "a"),
        ("line", "line\n"),
        ("*x", "x\n"),
        ("é", "e\u0301"),
    ],
)
def test_a_glob_does_not_match_what_only_resembles_it(pattern: str, text: str) -> None:
    assert not Glob(pattern).matches(text)


def test_a_star_spans_line_ends_and_a_question_mark_one_code_point() -> None:
    assert Glob("a*z").matches("a\n\x00\nz")
    assert Glob("a?z").matches("a\U0001f600z")


@pytest.mark.parametrize("pattern", ["*a" * 100 + "*b", "*?a" * 80 + "*b", "*a?" * 80 + "b", "?" * 200 + "*b"])
def test_no_text_makes_matching_explode(pattern: str) -> None:
    text = "a" * 8_000
    assert not Glob(pattern).matches(text)
    assert cpu_s(lambda: Glob(pattern).matches(text)) < 0.5
