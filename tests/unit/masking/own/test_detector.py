"""Own patterns find what they describe, where they say, and nothing keeps a part of it in clear text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from countersign.masking import MaskCatalog, Masker
from countersign.masking.own import PatternRefused, compile_own
from countersign.model.rule import Mask, OwnDetector
from tests.support.cost import cpu_s


def found(text: str, pattern: str, *, validate: str = "", near: tuple[str, ...] = ()) -> list[str]:
    data = text.encode()
    hits = compile_own(OwnDetector("own", pattern, "OWN", validate, near)).find(data)
    assert all(hit.start < hit.end for hit in hits)
    return [data[hit.start : hit.end].decode() for hit in hits]


def test_what_matches_is_found() -> None:
    assert found("é EMP-123456, EMP-12345 EMP-000001", "EMP-[0-9]{6}") == ["EMP-123456", "EMP-000001"]


def test_the_group_value_is_what_is_masked_and_other_groups_mean_nothing() -> None:
    assert found("badge 1234", "badge (?P<value>[0-9]+)") == ["1234"]
    assert found("badge 1234", "(?:badge|card) (?P<value>[0-9]+)") == ["1234"]
    assert found("badge 1234", "(badge) ([0-9]+)") == ["badge 1234"]


def test_a_match_without_its_value_is_masked_whole() -> None:
    assert found("badge none", "badge (?:(?P<value>[0-9]+)|none)") == ["badge none"]


def test_an_empty_value_is_no_finding() -> None:
    assert found("badge x", "badge (?P<value>[0-9]*)") == []


def test_a_match_stays_within_its_line() -> None:
    assert found("a b\nc", r"a[^x]+") == ["a b"]
    assert found("a\nb", r"a\sb") == []


def test_a_value_that_its_check_refuses_is_not_found() -> None:
    assert found("no 79927398713 no 79927398714", "no (?P<value>[0-9]+)", validate="luhn") == ["79927398713"]


@pytest.mark.parametrize(
    "text",
    ["Employee 1234", "1234 is the EMPLOYEE", '"employee_id": "1234"', '"theEmployeeId":"1234"', "é employee: 1234"],
)
def test_a_word_near_by_is_seen_in_prose_and_in_keys(text: str) -> None:
    assert found(text, "[0-9]{4}", near=("employee", "staff")) == ["1234"]


@pytest.mark.parametrize(
    "text",
    ["1234", "unemployee 1234", "employees 1234", "employee\n1234", "employee " + "x" * 60 + " 1234", "1234\nstaff"],
)
def test_a_word_elsewhere_or_within_another_is_not_near(text: str) -> None:
    assert found(text, r"\b[0-9]{4}\b", near=("employee", "staff")) == []


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("(?=a)b", "look-ahead"),
        ("a(?!b)", "look-ahead"),
        ("(?<=a)b", "look-behind"),
        ("(?<!a)b", "look-behind"),
        (r"(a)\1", "back-reference"),
        ("(?P=a)b", "reference to a group"),
        ("(?>a)", "atomic"),
        ("a++", "repeats of repeats"),
        ("a{1001}", "1000"),
        (r"a\Z", r"\z"),
        ("(a", "missing )"),
        ("[z-a]", "z-a"),
        (r"\C", "single bytes"),
        (r"\pL{900}", "too large"),
        ("(?P<vlaue>a)", "`vlaue`"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_and_the_reason_said(pattern: str, told: str) -> None:
    with pytest.raises(PatternRefused) as caught:
        compile_own(OwnDetector("own", pattern, "OWN"))
    assert told in f"{caught.value.what}: {caught.value.remedy}"


def test_a_backslash_that_is_itself_meant_is_no_single_byte() -> None:
    assert found(r"x\C", r"x\\C") == [r"x\C"]


def masker(cache_dir: Path) -> Masker:
    own = OwnDetector("employee_id", "EMP-[0-9]{6}", "EMPLOYEE")
    masks = [Mask("staff", ("employee_id",)), Mask("mail", ("email",))]
    return MaskCatalog(masks, own=[own], cache_dir=cache_dir).select(["staff"])


def test_a_mask_names_own_detectors_like_any_other(cache_dir: Path) -> None:
    body = {"a": "x EMP-123456", "EMP-000001": ["EMP-12345"]}
    masked = masker(cache_dir).json(json.dumps(body).encode())
    assert json.loads(masked.data) == {"a": "x [EMPLOYEE]", "[EMPLOYEE]": ["EMP-12345"]}
    [finding] = masker(cache_dir).explain("EMP-123456").found
    assert (finding.label, finding.detector) == ("EMPLOYEE", "employee_id")


def test_a_match_in_one_value_takes_nothing_of_the_next(cache_dir: Path) -> None:
    masks = MaskCatalog([Mask("m", ("ticket",))], own=[OwnDetector("ticket", "TICKET.*", "T")], cache_dir=cache_dir)
    masked = masks.select(["m"]).json(b'{"a":"TICKET 7","b":"kept"}')
    assert json.loads(masked.data) == {"a": "[T]", "b": "kept"}


def test_an_edit_of_a_detector_takes_effect(cache_dir: Path) -> None:
    for pattern, text in (("A-[0-9]", "[OWN] B-2"), ("B-[0-9]", "A-1 [OWN]")):
        own = OwnDetector("own", pattern, "OWN")
        masks = MaskCatalog([Mask("m", ("own",))], own=[own], cache_dir=cache_dir)
        assert masks.select(["m"]).text(b"A-1 B-2").data.decode() == text


def test_time_grows_no_faster_than_the_text() -> None:
    detector = compile_own(OwnDetector("own", "[0-9]{4}", "OWN", "luhn", ("employee",)))
    small, large = (b"employee 1230 " * count for count in (1_000, 16_000))
    assert len(detector.find(small)) == 1_000
    assert cpu_s(lambda: detector.find(large)) < 40 * cpu_s(lambda: detector.find(small))
