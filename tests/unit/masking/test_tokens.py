"""Tokens: one for each value in its session, of its shape, nobody's real number, and foretold by no one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import MaskCatalog, Masker
from countersign.masking.detectors import Detector, make
from countersign.masking.shapes import MAIL, OPAQUE
from countersign.masking.tokens import LONGEST_VALUE_BYTES, MOST_TOKENS, Known, Mint
from countersign.model.rule import DETECTORS, Mask, ReplacementKind

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
SSN = "219-09-" + "9999"
CARD = " ".join(("4000", "1234", "5678", "9017"))
MAIL_ADDRESS = "jane.doe@" + "example.org"


def detectors(*names: str) -> list[Detector]:
    return [make(name, None) for name in names]


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (SSN, r"9\d\d-[0-4]\d-\d{4}"),
        (SSN.replace("-", ""), r"9\d\d[0-4]\d\d{4}"),
        (CARD, r"0\d{3} \d{4} \d{4} \d{4}"),
        (MAIL_ADDRESS, r"[a-z2-7]{16}@token\.invalid"),
        ("+49 30 1234567-89", r"\+0\d \d\d \d{7}-\d\d"),
        ("DE89" + " 3704 0044 0532 0130 00", r"[A-Z]{2}00 \d{4} \d{4} \d{4} \d{4} \d\d"),
        ("192.0.2.17", r"2[45]\d\.\d+\.\d+\.\d+"),
        ("C01X00T47", r"[A-Z]\d\d[A-Z]\d\d[A-Z]\d\d"),
        ("Erika Mustermann", r"[A-Z][a-z]{4} [A-Z][a-z]{9}"),
        ("Łucja Żółkiewska", r"[A-Z][a-z]{4} [A-Z][a-z]{9}"),
        ("00:1b:44:11:3a:b7", r"[0-9a-f]{2}(:[0-9a-f]{2}){5}"),
        ("0x52908400098527886E0F7030", r"0x[0-9A-F]{24}"),
        ("0b6F4c1e-8a52-4f7e-9d0c-3d1f6a2b4c5d", r"[0-9a-fA-F]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("4711", r"tok_[a-z2-7]{20}"),
        ("x", r"tok_[a-z2-7]{20}"),
        ("---", r"tok_[a-z2-7]{20}"),
        ("two\nlines of a text", r"tok_[a-z2-7]{20}"),
        ("w" * 257, r"tok_[a-z2-7]{20}"),
    ],
)
def test_a_token_has_the_shape_of_its_value_where_that_leaves_room(value: str, shape: str) -> None:
    token = Mint(KEY).text(value)
    assert token is not None
    assert re.fullmatch(shape, token)
    assert token != value


def test_no_token_is_a_number_that_somebody_assigns() -> None:
    mint = Mint(KEY)
    found = detectors("us_ssn", "credit_card")
    for number in range(300):
        for value in (f"219-09-{number:04}", f"4000 1234 5678 {number:04}", f"400012345678{number:04}"):
            token = mint.text(value)
            assert token is not None
            assert not any(detector.find(token.encode()) for detector in found), token


@given(st.text(min_size=1, max_size=300))
def test_the_same_value_has_the_same_token_in_its_session_and_another_elsewhere(value: str) -> None:
    token = Mint(KEY).text(value)
    assert token is not None
    assert Mint(KEY).text(value) == token != value
    assert Mint(OTHER).text(value) != token
    assert value not in token or len(value) < 8


@given(st.integers().map(str))
def test_the_token_of_an_integer_is_an_integer_of_its_length(literal: str) -> None:
    token = Mint(KEY).number(literal)
    if len(literal.lstrip("-")) < 8:
        assert token is None
    else:
        assert token is not None
        assert len(str(json.loads(token))) == len(literal)
        assert isinstance(json.loads(token), int)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,20}", fullmatch=True))
def test_the_token_of_a_fraction_is_json(literal: str) -> None:
    token = Mint(KEY).number(literal)
    if token is not None:
        assert isinstance(json.loads(token), float)
        assert len(token) == len(literal)


def test_values_that_meet_in_one_token_draw_again() -> None:
    first = Mint(KEY).text(SSN)
    assert first is not None
    mint = Mint(KEY)
    mint.avoid([first], [])
    second = mint.text(SSN)
    assert second not in (None, first)
    again = Mint(KEY)
    again.avoid([first], [])
    assert again.text(SSN) == second


def test_a_value_for_which_no_token_is_left_has_none() -> None:
    taken: set[str] = set()
    while True:
        mint = Mint(KEY)
        mint.avoid(taken, [])
        token = mint.text(SSN)
        if token is None:
            break
        taken.add(token)
    assert len(taken) == 8


def test_too_many_and_too_long_values_have_no_token() -> None:
    mint = Mint(KEY)
    assert mint.text("x" * (LONGEST_VALUE_BYTES + 1)) is None
    assert all(mint.text(f"value {number}") for number in range(MOST_TOKENS))
    assert mint.text("one more") is None
    assert mint.text("value 7")
    mint.begin()
    assert mint.text("one more")
    mint.close()
    assert mint.text("another") is None


def session(catalog: MaskCatalog, mint: Mint, *masks: str) -> Masker:
    return catalog.select(masks).within(mint)


@pytest.fixture(scope="module")
def tokenizing(cache_dir: Path) -> MaskCatalog:
    masks = [
        Mask("tokens", ("email", "us_ssn"), ("account", "name"), how=ReplacementKind.TOKENIZE),
        Mask("words", DETECTORS, ("account", "name")),
    ]
    return MaskCatalog(masks, cache_dir=cache_dir)


def test_tokens_stand_in_every_place_of_a_document_and_nowhere_else(tokenizing: MaskCatalog) -> None:
    mint = Mint(KEY)
    inner = json.dumps({"account": 1234567890})
    data = {"text": f"of {MAIL_ADDRESS}, {SSN}.", "nested": inner, "account": SSN, "other": 1234567890}
    masked = json.loads(session(tokenizing, mint, "tokens").json(json.dumps(data).encode()).data)
    mail, ssn, number = mint.text(MAIL_ADDRESS), mint.text(SSN), mint.number("1234567890")
    assert masked["text"] == f"of {mail}, {ssn}."
    assert masked["account"] == ssn
    assert json.loads(masked["nested"]) == {"account": int(str(number))}
    assert masked["other"] == 1234567890
    assert mint.made == {mail: MAIL_ADDRESS, ssn: SSN, number: "1234567890"}


def test_the_record_holds_the_tokens_that_the_caller_sees_and_no_others(tokenizing: MaskCatalog) -> None:
    mint = Mint(KEY)
    card = CARD.replace(" ", "")
    data = json.dumps({"to": f"<{MAIL_ADDRESS}>", "name": "Erika Mustermann", "paid": f"with {card}"}).encode()
    seen = session(tokenizing, mint, "tokens").json(data).data
    made = dict(mint.made)
    left = tokenizing.for_records_after(["tokens"])
    assert left is not None
    recorded = json.loads(left.within(Known(mint)).json(seen).data)
    assert recorded["to"] == json.loads(seen)["to"]
    assert recorded["name"] == json.loads(seen)["name"]
    assert recorded["name"] in made
    assert recorded["paid"] == "with [CREDIT_CARD]"
    assert mint.made == made


def test_what_is_known_as_a_token_is_not_masked_again(tokenizing: MaskCatalog) -> None:
    mint = Mint(KEY)
    mail = "abcdefghijklmnop@token.invalid"
    mint.avoid([], [mail])
    data = json.dumps({"to": f"{mail} and {MAIL_ADDRESS}", "name": mail}).encode()
    masked = json.loads(session(tokenizing, mint, "tokens").json(data).data)
    assert masked == {"to": f"{mail} and {mint.text(MAIL_ADDRESS)}", "name": mail}


def test_marks_of_ours_are_what_tokens_look_like() -> None:
    mint = Mint(KEY)
    assert OPAQUE.fullmatch(str(mint.text("12")))
    assert MAIL.fullmatch(str(mint.text(MAIL_ADDRESS)))
