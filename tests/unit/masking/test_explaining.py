"""What is said of a masked text is what was done to it: no more, no less, and nothing of the text itself."""

from __future__ import annotations

import json
import re

import pytest

from countersign.masking import MaskCatalog, Masker, NotMaskable

MAIL = "jane.doe" + "@example.com"
CARD = "4111" + "1111" * 3
KEY = "AKIA" + "QWERTYUIOPASDFGH"


@pytest.fixture(scope="module")
def trial(catalog: MaskCatalog) -> Masker:
    return catalog.select(["pii", "secrets"])


def replaced(masker: Masker, text: str) -> list[tuple[str, str, str]]:
    """What each finding covers, its label and its detector, once it is sure that nothing else has changed."""
    explained = masker.explain(text)
    assert explained.text == masker.text(text.encode()).data.decode()
    ends = [0, *(found.end for found in explained.found)]
    starts = [*(found.start for found in explained.found), len(text)]
    kept = [re.escape(text[end:start]) for end, start in zip(ends, starts, strict=True)]
    assert re.fullmatch(".*".join(kept), explained.text, re.DOTALL)
    return [(text[found.start : found.end], found.label, found.detector) for found in explained.found]


def test_offsets_are_code_points_of_the_text_as_it_was(trial: Masker) -> None:
    assert replaced(trial, f"🦊é {MAIL}; ssn=x1, card {CARD}") == [
        (MAIL, "EMAIL", "email"),
        ("x1", "SSN", "fields"),
        (CARD, "CREDIT_CARD", "credit_card"),
    ]


def test_in_json_within_json_a_finding_stands_where_its_escapes_do(trial: Masker) -> None:
    inner = json.dumps({"é": f"a\n{KEY}", "password": 'q"7'})
    text = json.dumps([{"text": inner, "ssn": 123456789}])
    written = [json.dumps(part)[1:-1] for part in (KEY, json.dumps('q"7')[1:-1])]
    assert replaced(trial, text) == [
        (written[0], "SECRET", "secrets"),
        (written[1], "SECRET", "secrets"),
        ("123456789", "SSN", "fields"),
    ]


def test_a_number_and_a_key_are_named_as_far_as_they_are_replaced(trial: Masker) -> None:
    assert replaced(trial, f'{{"{MAIL}": {CARD}}}') == [(MAIL, "EMAIL", "email"), (CARD, "CREDIT_CARD", "credit_card")]


def test_keys_kept_apart_are_no_findings(trial: Masker) -> None:
    text = json.dumps({MAIL: 1, "x" + MAIL: 2})
    explained = trial.explain(text)
    assert len(json.loads(explained.text)) == 2
    assert [text[found.start : found.end] for found in explained.found] == [MAIL, "x" + MAIL]


def test_overlapping_findings_are_one_and_say_what_the_longest_is(trial: Masker) -> None:
    assert replaced(trial, f"ssn: {MAIL} (home)") == [(f"{MAIL} (home)", "SSN", "fields")]


def test_what_is_said_quotes_nothing_of_the_text(trial: Masker) -> None:
    for text in (f"mail {MAIL}", f"key {KEY}", json.dumps({"password": "hunter-2-x"}), "ssn: 078-05-1121"):
        for found in trial.explain(text).found:
            assert text[found.start : found.end] not in f"{found.why} {found.label} {found.detector}"
            assert found.why


def test_nothing_is_found_in_what_stays_as_it_is(trial: Masker, catalog: MaskCatalog) -> None:
    assert trial.explain("nothing here").found == ()
    assert replaced(catalog.select([]), MAIL) == []


def test_half_a_surrogate_pair_is_refused(trial: Masker) -> None:
    with pytest.raises(NotMaskable):
        trial.explain("a \ud800 b")
