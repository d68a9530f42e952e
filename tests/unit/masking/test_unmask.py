"""Handing back: a token becomes its value where it stands for itself, and nothing else of a request changes."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import parse
from countersign.masking.tokens import Mint
from countersign.masking.unmask import NotUnmaskable, argument_openings, opening, unmasked
from tests.support.cost import cpu_s

MINT = Mint(bytes(range(32)))
SSN, MAIL, NAME, PIN, ACCOUNT = "219-09-" + "9999", "o'brien@" + "example.org", "Erika Mustermann", "12", "1234567890"
VALUES = {str(MINT.text(value)): value for value in (SSN, MAIL, NAME, PIN)} | {str(MINT.number(ACCOUNT)): ACCOUNT}
TOKENS = {value: token for token, value in VALUES.items()}


def request(arguments: object, **params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {**params, "arguments": arguments}})


def turned(arguments: object, values: Mapping[str, str] = VALUES) -> object:
    text = unmasked(parse(request(arguments).encode()), values).text
    return json.loads(text)["params"]["arguments"]


def test_a_whole_argument_becomes_its_value_at_any_depth() -> None:
    given_arguments = {"ssn": TOKENS[SSN], "to": [{"mail": TOKENS[MAIL]}], "account": int(TOKENS[ACCOUNT])}
    assert turned(given_arguments) == {"ssn": SSN, "to": [{"mail": MAIL}], "account": int(ACCOUNT)}


def test_whole_words_within_a_text_become_their_values() -> None:
    sql = "SELECT 1 FROM t WHERE ssn='{}' AND name = '{}' AND id={}"
    tokens = sql.format(TOKENS[SSN], TOKENS[NAME], TOKENS[ACCOUNT])
    assert turned({"sql": tokens}) == {"sql": sql.format(SSN, NAME, ACCOUNT)}


@pytest.mark.parametrize("around", ["x{}", "{}x", "{}0", "1{}", "_{}", "{}é"])
def test_a_part_of_a_word_is_no_token(around: str) -> None:
    text = around.format(TOKENS[SSN])
    assert turned({"a": text}) == {"a": text}


def test_only_arguments_are_looked_at() -> None:
    token = TOKENS[SSN]
    body = request({"a": 1, token: 2}, name=token, _meta={"arguments": token})
    assert unmasked(parse(body.encode()), VALUES).text == body
    assert argument_openings(parse(body.encode())) == {"1", "2"}


def test_each_call_of_a_batch_is_looked_at() -> None:
    body = f"[{request({'a': TOKENS[SSN]})},{request({'a': [TOKENS[SSN]]})}]"
    found = json.loads(unmasked(parse(body.encode()), VALUES).text)
    assert [call["params"]["arguments"]["a"] for call in found] == [SSN, [SSN]]


def test_a_value_that_could_end_the_text_around_its_token_is_refused() -> None:
    assert turned({"to": TOKENS[MAIL]}) == {"to": MAIL}
    with pytest.raises(NotUnmaskable):
        turned({"sql": f"SELECT 1 WHERE mail = '{TOKENS[MAIL]}'"})
    for value in ("1 OR 1=1", "a--b", "x;", 'a"', "a\\", "a\nb", "--", "a b"):
        with pytest.raises(NotUnmaskable):
            turned({"sql": f"= {TOKENS[PIN]}"}, {TOKENS[PIN]: value})
        assert turned({"sql": TOKENS[PIN]}, {TOKENS[PIN]: value}) == {"sql": value}


@pytest.mark.parametrize("value", [PIN, MAIL])
def test_what_looks_like_a_token_and_is_none_of_this_session_is_refused(value: str) -> None:
    stranger = str(Mint(bytes(32)).text(value))
    for text in (stranger, f"to <{stranger}>"):
        with pytest.raises(NotUnmaskable) as refusal:
            turned({"a": text})
        assert stranger not in str(refusal.value)


def test_other_texts_pass_as_they_are() -> None:
    plain = {"a": "900-01-0001", "b": "Qwxyz Abcde", "c": 99999999, "d": "token.invalid", "e": "tok_", "f": None}
    assert turned(plain) == plain
    assert turned(plain, {}) == plain


def test_the_token_of_a_text_is_no_number() -> None:
    bare = SSN.replace("-", "")
    token = str(MINT.text(bare))
    assert turned({"a": int(token)}, {token: bare}) == {"a": int(bare)}
    with pytest.raises(NotUnmaskable):
        turned({"a": int(token)}, {token: "0" + bare})


def test_escapes_are_read_as_they_decode_and_all_other_bytes_stay() -> None:
    token = TOKENS[SSN]
    escaped = "".join(f"\\u{ord(char):04x}" for char in token)
    body = '{ "params" :{"arguments":{"a\\u0062" : "\\u00e9 ' + escaped + '\\n\\/" , "n":1.50}, "x":"\\u0041"} }'
    after = '{ "params" :{"arguments":{"a\\u0062" : "\\u00e9 ' + SSN + '\\n\\/" , "n":1.50}, "x":"\\u0041"} }'
    assert unmasked(parse(body.encode()), VALUES).text == after


@given(st.text(min_size=1, max_size=40), st.text(max_size=10), st.text(max_size=10))
def test_every_token_is_found_by_what_it_begins_with(value: str, before: str, after: str) -> None:
    token = Mint(bytes(range(32))).text(value)
    assert token is not None
    document = parse(request({"a": token, "b": f"{before} {token} {after}"}).encode())
    assert opening(token) in argument_openings(document)
    assert json.loads(unmasked(parse(request({"a": token}).encode()), {token: value}).text)["params"]["arguments"] == {
        "a": value
    }


def test_tokens_that_begin_with_the_same_word_are_told_apart_before_they_are_asked_for() -> None:
    assert opening("901-23-4567") == "901 23 4567"
    assert opening("+01 (234) 567-8901") == "01 234 567"
    assert opening("abcdefgh-ijk") == "abcdefgh"
    assert opening("Qwe Rtz") == "Qwe Rtz"
    found = argument_openings(parse(request({"a": "901-23-4567 x"}).encode()))
    assert found == {"901", "901 23", "901 23 4567", "23", "23 4567", "23 4567 x", "4567", "4567 x", "x"}


def test_hostile_arguments_cost_no_more_than_their_length() -> None:
    values = {f"900-{group:02}-{serial:04}": "219-09-9999" for group in range(1, 50) for serial in range(0, 9_999, 100)}
    small, large = (parse(request({"a": "900 " * words}).encode()) for words in (25_000, 100_000))
    assert cpu_s(lambda: unmasked(large, values)) < 12 * cpu_s(lambda: unmasked(small, values)) + 0.1
