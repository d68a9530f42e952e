"""A pattern that would be slow, or mask everything, is refused before it is in force; an honest one never is."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from countersign.masking.own import PatternRefused, check_own
from countersign.model.rule import OwnDetector


def refusal(pattern: str, **more: object) -> str:
    with pytest.raises(PatternRefused) as caught:
        check_own(OwnDetector("own", pattern, "OWN", **more))  # type: ignore[arg-type]  # of several types
    return str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "EMP-[0-9]{6}",
        r"(?i)\bemp[- ]?(?P<value>[0-9]{3,8})\b",
        r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}",
        r"[\w.+-]+@acme\.example",
        r"(?:ACME|FOO)-[A-Z0-9]{1,40}",
        r"https://intranet\.acme\.example/\S+",
        r"ticket:.*",
        r"\b\d{4}[ -]?\d{4}[ -]?\d{4}\b",
        r"[0-9]{2}",
        "---+",
        "é+x",
    ],
)
def test_an_honest_pattern_is_taken(pattern: str) -> None:
    check_own(OwnDetector("own", pattern, "OWN"))


@pytest.mark.parametrize("pattern", ["a.*b|a", ".*x|a", "foo.*bar|foo", r"\d+.*%|\d", "ab(?:.*c)?", "(?s:x.*y)|x"])
def test_a_pattern_that_looks_at_a_line_again_and_again_is_refused(pattern: str) -> None:
    assert "slow" in refusal(pattern)


def test_what_other_threads_do_makes_no_pattern_slow() -> None:
    data, stop = bytes(1_000_000), Event()

    def busy() -> None:
        while not stop.is_set():
            # As the catalogue's loading: without the interpreter's lock.
            hashlib.sha256(data).digest()

    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            threads.submit(busy)
        try:
            for number in range(10):
                check_own(OwnDetector("own", f"B{number}-[0-9]{{4}}", "OWN"))
        finally:
            stop.set()


def test_words_that_must_be_near_do_not_hide_a_slow_pattern() -> None:
    assert "slow" in refusal("a.*b|a", near=("employee",), validate="luhn")


@pytest.mark.parametrize("pattern", ["x*", "", r"\b", "^", "$", "a|", "(?:EMP)?"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    assert "where nothing stands" in refusal(pattern)


@pytest.mark.parametrize("pattern", [r"\w+", "[a-z]+", ".", r"\S", r"[^,]+"])
def test_a_pattern_that_masks_ordinary_text_is_refused(pattern: str) -> None:
    assert "ordinary text" in refusal(pattern)


def test_a_wide_pattern_is_taken_when_a_word_must_be_near_or_its_value_is_checked() -> None:
    check_own(OwnDetector("own", r"(?P<value>[a-z]{3,20})", "OWN", near=("codename",)))
    check_own(OwnDetector("own", r"[0-9]{8,19}", "OWN", validate="luhn"))
