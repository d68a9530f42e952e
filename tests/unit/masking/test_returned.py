"""A target that repeats what it was handed for a token shows its caller the token, in whatever words it says it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking.returned import MOST_RETURNED, returned
from tests.support.cost import cpu_s

MAIL, SSN, ACCOUNT, PIN = "Jane.Doe@" + "example.org", "219-09-" + "9999", "123456789012", "4711"
TOKENS = {MAIL: "abcd@token.invalid", SSN: "901-02-3456", ACCOUNT: "987654321098", PIN: "tok_x"}


def masked(value: object) -> object:
    return json.loads(returned(TOKENS, max_depth=64).json(json.dumps(value).encode()).data)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"charged {ACCOUNT}, thanks", f"charged {TOKENS[ACCOUNT]}, thanks"),
        (f"acct{ACCOUNT}x", f"acct{TOKENS[ACCOUNT]}x"),
        (f"<{MAIL.lower()}>", f"<{TOKENS[MAIL]}>"),
        (MAIL.upper(), TOKENS[MAIL]),
        (SSN.replace("-", ""), TOKENS[SSN]),
        (SSN.replace("-", " . "), TOKENS[SSN]),
        (f"no. {ACCOUNT[:4]} {ACCOUNT[4:8]}-{ACCOUNT[8:]}!", f"no. {TOKENS[ACCOUNT]}!"),
        (f"cursor {base64.b64encode(f'after {MAIL.upper()}'.encode()).decode()} ok", "cursor [TOKEN] ok"),
        (base64.urlsafe_b64encode(f"~~~{SSN}".encode()).decode().rstrip("="), "[TOKEN]"),
        (MAIL.encode().hex(), "[TOKEN]"),
        (f"/find?who={MAIL.replace('@', '%40')}&x=1", "/find?who=[TOKEN]&x=1"),
        (f"data:text/plain;base64,{base64.b64encode(SSN.encode()).decode()}", "data:text/plain;base64,[TOKEN]"),
        (f"pin {PIN}.", f"pin {TOKENS[PIN]}."),
        (f"pin {PIN}2", f"pin {PIN}2"),
        ("nothing of it", "nothing of it"),
    ],
)
def test_what_was_handed_over_is_shown_as_its_token(said: str, shown: str) -> None:
    assert masked({"a": [said], "b": json.dumps({"c": said})}) == {"a": [shown], "b": json.dumps({"c": shown})}
    assert returned(TOKENS, max_depth=64).text(said.encode()).data.decode() == shown


def test_numbers_stay_numbers() -> None:
    assert masked({"a": int(ACCOUNT), "b": int(PIN), "c": 5}) == {"a": int(TOKENS[ACCOUNT]), "b": 0, "c": 5}


@given(st.text(min_size=1, max_size=20), st.text(max_size=10), st.text(max_size=10))
def test_no_value_is_left_where_it_stands_for_itself(value: str, before: str, after: str) -> None:
    masker = returned({value: "TOK"}, max_depth=64)
    data = masker.text(f"{before} {value} {after}".encode("utf-8", "replace")).data.decode()
    if value.isascii() and value.isalnum():
        assert f" {value} " not in data.replace("TOK", "")


def test_what_is_handed_over_at_once_is_bounded_and_costs_little() -> None:
    many = {f"value number {number} {'x' * 200}": f"tok_{number}" for number in range(MOST_RETURNED)}
    masker = returned(many, max_depth=64)
    small, large = (("value number 1 xxx " * count).encode() for count in (5_000, 20_000))
    codes = base64.b64encode(b"value" * 500_000)
    assert cpu_s(lambda: masker.text(codes)) < 2
    assert cpu_s(lambda: masker.text(large)) < 12 * cpu_s(lambda: masker.text(small)) + 0.2
    with pytest.raises(ValueError, match="too many"):
        returned({**many, "one more": "tok"}, max_depth=64)
