"""A target gets its own state and never ours, and of what else its caller said not a byte is another."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.jsontext import member_spans, parse
from countersign.runtime.outgoing import restored

OURS = {"requestState": "cs-wait1.ours", "inputResponses": {"approval": {"action": "accept"}}}
OWN = '{"inputResponses": { "x":{"action":"accept","content":{"n":1.0}} },"requestState":"th\\u0065irs"}'
KEYS = ("_meta", "arguments", "name", *OURS)
LEAVES = st.none() | st.integers() | st.text(max_size=5) | st.sampled_from([{}, [], {"requestState": "deep"}, "}", '"'])


def body(params: str) -> bytes:
    return f' {{"jsonrpc":"2.0", "id":7 ,"method":"tools/call","params" :{params}}}\n'.encode()


@pytest.mark.parametrize(
    ("params", "nested", "expected"),
    [
        ('{"requestState":"o","name":"q"}', "{}", '{"name":"q"}'),
        ('{"name":"q", "requestState":"o"}', "{}", '{"name":"q"}'),
        ('{"name":"q","requestState":"o","inputResponses":{},"a":1.0}', "{}", '{"name":"q","a":1.0}'),
        ('{"name":"q","request\\u0053tate":"o"}', "{}", '{"name":"q"}'),
        ('{ "requestState":"o" }', "{}", "{  }"),
        ('{"name":"q"}', "{}", '{"name":"q"}'),
        ("{}", "{}", "{}"),
        ('{"name":"q","requestState":"o"}', '{"requestState":"t"}', '{"name":"q","requestState":"t"}'),
        ('{"requestState":"o","b":0}', '{"inputResponses":{}}', '{"inputResponses":{},"b":0}'),
        (
            '{"inputResponses":{"approval":1},"b":0,"requestState":"o"}',
            '{"requestState":"t"}',
            '{"requestState":"t","b":0}',
        ),
        ('{"name":"q"}', '{"requestState":"t"}', '{"requestState":"t","name":"q"}'),
        ("{}", '{"requestState":"t"}', '{"requestState":"t"}'),
        ('{"arguments":{"requestState":"deep"}}', "{}", '{"arguments":{"requestState":"deep"}}'),
    ],
)
def test_the_members_of_the_target_stand_in_place_of_ours(params: str, nested: str, expected: str) -> None:
    assert restored(body(params), nested) == body(expected)


@given(
    st.permutations(KEYS).flatmap(lambda keys: st.integers(0, len(keys)).map(lambda count: keys[:count])),
    st.data(),
    st.sampled_from([None, 1]),
    st.booleans(),
    st.sampled_from(["{}", '{"requestState":"t"}', '{"inputResponses":{"a":[]}}', OWN]),
)
def test_whatever_stands_around_it(
    keys: list[str], data: st.DataObject, indent: int | None, ascii_only: bool, nested: str
) -> None:
    said: dict[str, Any] = {key: data.draw(LEAVES) for key in keys}
    text = json.dumps(said, indent=indent, ensure_ascii=ascii_only)
    sent = restored(body(text), nested).decode()
    begin, end = body("|").decode().split("|")
    assert sent.startswith(begin)
    assert sent.endswith(end)
    before, after, own = members_of(body(text).decode(), "params"), members_of(sent, "params"), members_of(nested)
    assert {key: written for key, written in after.items() if key not in OURS} == {
        key: written for key, written in before.items() if key not in OURS
    }
    assert {key: written for key, written in after.items() if key in OURS} == own
    assert [key for key in after if key not in OURS] == [key for key in before if key not in OURS]


def members_of(text: str, *path: str) -> dict[str, str]:
    """The members of an object as they are written."""
    return {key: text[start:end] for key, (start, end) in member_spans(parse(text), path).items()}


def test_what_the_target_had_sent_before_comes_back_as_it_was_spelt() -> None:
    sent = restored(body('{"name":"q","requestState":"o"}'), OWN).decode()
    assert OWN[1:-1] in sent


@pytest.mark.parametrize(
    "nested", ["", "[]", "null", "{", '{"name":"other"}', '{"requestState":"t","arguments":{}}', '{"requeststate":"t"}']
)
def test_a_state_puts_nothing_else_into_a_request(nested: str) -> None:
    with pytest.raises(ValueError):
        restored(body('{"name":"q","requestState":"o"}'), nested)


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"params":[]}', b"", b"{", b'[{"params":{"requestState":"o"}}]'])
def test_what_is_no_single_message_with_params_has_no_state(data: bytes) -> None:
    with pytest.raises(ValueError):
        restored(data, "{}")


@given(
    st.permutations(KEYS).flatmap(lambda keys: st.integers(1, len(keys)).map(lambda count: keys[:count])),
    st.sampled_from([None, 1]),
    st.sampled_from(
        [
            ('{"requestState":"sealed"}', '{"requestState":"own"}'),
            ('{"inputResponses":{"a":[]},"requestState":"sealed"}', '{"inputResponses":{"a":[]},"requestState":"own"}'),
            ('{"requestState": "sealed" ,"inputResponses":1}', '{"requestState":"own","inputResponses":1}'),
        ]
    ),
)
def test_a_state_within_ours_is_put_in_place_at_once_or_one_after_the_other(
    keys: list[str], indent: int | None, steps: tuple[str, str]
) -> None:
    # authz opens the one after the other, and masker does what came of it.
    sent = body(json.dumps({key: OURS.get(key, [key]) for key in keys}, indent=indent))
    assert restored(restored(sent, steps[0]), steps[1]) == restored(sent, steps[1])
