"""A request is masked in what its caller says freely, byte for byte; a finding anywhere else refuses it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.masking import Masker, NotMaskable
from countersign.masking.detectors.credit_card import CreditCard
from countersign.masking.detectors.email import Email
from countersign.masking.fields import Field
from countersign.masking.masker import Rule
from countersign.masking.replacements import Redacted
from countersign.runtime.outgoing import FixedPart, bared, masked_request

MAIL = "canary@" + "example.org"
# `name` is a key of the protocol, too.
FIELDS = [Field.of(name, lambda label: Redacted(f"[{label}]")) for name in ("ssn", "name")]
MASKER = Masker([Rule(Email(), Redacted("[EMAIL]"))], FIELDS)


def call(arguments: object, **more: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "q", "arguments": arguments, **more}}


def test_arguments_are_masked_and_nothing_else_changes() -> None:
    body = f'{{ "id":7 ,"method":"tools/call","params":{{"name":"q","arguments":{{"a":"to {MAIL} \\u0041"}} }}}}\n'
    masked = masked_request(MASKER, body.encode())
    assert masked.data.decode() == body.replace(MAIL, "[EMAIL]")


@pytest.mark.parametrize(
    "free",
    [
        {"arguments": {"deep": [[MAIL]]}},
        {"arguments": {MAIL: 1}},
        {"arguments": {"json": json.dumps({"mail": MAIL})}},
        {"argument": {"name": "who", "value": MAIL}},
        {"context": {"arguments": {"who": MAIL}}},
        {"inputResponses": {"r": {"action": "accept", "content": {"who": MAIL}}}},
    ],
)
def test_whatever_callers_say_freely_is_masked(free: dict[str, object]) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "any", "params": {"name": "q", **free}}
    masked = masked_request(MASKER, json.dumps(message).encode())
    assert MAIL.encode() not in masked.data
    assert masked.findings
    assert json.loads(masked.data)["params"]["name"] == "q"


@pytest.mark.parametrize(
    "message",
    [
        {"jsonrpc": "2.0", "id": MAIL, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": MAIL},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", MAIL: 1},
        {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": f"orders://{MAIL}"}},
        call({}, name=MAIL),
        call({}, _meta={"note": [MAIL]}),
        call({}, cursor=MAIL),
        call({}, argument={"name": MAIL, "value": "v"}),
        call({}, more=[{"arguments": MAIL}]),
        [call({}), call({}, taskId=MAIL)],
    ],
)
def test_a_finding_in_what_cannot_be_changed_refuses_the_request(message: object) -> None:
    with pytest.raises(FixedPart) as refused:
        masked_request(MASKER, json.dumps(message).encode())
    assert refused.value.labels == ("EMAIL",)
    assert MAIL not in str(refused.value)


@pytest.mark.parametrize("deeper", [{"requestState": {"a": MAIL}}, {"_meta": {"requestState": MAIL}}])
def test_a_targets_own_state_goes_back_as_it_is_and_nothing_that_only_looks_like_it(deeper: dict[str, object]) -> None:
    body = json.dumps(call({"a": MAIL}, requestState=f"of {MAIL}")).encode()
    sent = json.loads(masked_request(MASKER, body).data)["params"]
    assert (sent["requestState"], sent["arguments"]) == (f"of {MAIL}", {"a": "[EMAIL]"})
    with pytest.raises(FixedPart):
        masked_request(MASKER, json.dumps(call({}, **deeper)).encode())


def test_a_token_of_a_mail_address_stays_a_token() -> None:
    token = "vvkb4dzszzvncrcl@" + "token.invalid"
    body = json.dumps(call({"a": f"{token}, {MAIL}", "b": f"x{token}"})).encode()
    sent = json.loads(masked_request(MASKER, body).data)["params"]["arguments"]
    assert sent == {"a": f"{token}, [EMAIL]", "b": "[EMAIL]"}


def test_numbers_of_the_protocol_are_nobodys() -> None:
    masker = Masker([Rule(CreditCard(), Redacted("[CARD]"))], [])
    card = int("4111" + "1111" * 3)
    body = json.dumps({**call({}, _meta={"progressToken": card}), "id": card}).encode()
    assert masked_request(masker, body).data == body
    assert masked_request(masker, json.dumps(call({"card": card})).encode()).changed


def test_every_message_of_a_batch_is_masked() -> None:
    body = json.dumps([call({"a": MAIL}), call({"ssn": "x"}), call({"b": "c"})]).encode()
    sent = json.loads(masked_request(MASKER, body).data)
    assert [message["params"]["arguments"] for message in sent] == [{"a": "[EMAIL]"}, {"ssn": "[SSN]"}, {"b": "c"}]


def test_a_clean_request_stays_as_it_is() -> None:
    body = b' {"id" : 1.0,"params":{"name":"ssn","arguments":{"a":1e5}}} '
    assert masked_request(MASKER, body).data is body


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 90 + b"]" * 90])
def test_what_cannot_be_read_is_refused(body: bytes) -> None:
    with pytest.raises(NotMaskable):
        masked_request(MASKER, body)


_VALUES = st.recursive(
    st.text(max_size=12) | st.integers() | st.booleans() | st.none() | st.just(MAIL),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(_VALUES, st.booleans())
def test_masking_arguments_leaves_every_other_byte(arguments: object, ascii_only: bool) -> None:
    body = json.dumps(call(arguments), ensure_ascii=ascii_only)
    before, after = body.split('"arguments": ')[0], "}}"
    masked = masked_request(MASKER, body.encode()).data.decode()
    assert masked.startswith(before)
    assert masked.endswith(after)
    assert MAIL not in masked


OF_PROTOCOL = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "progressToken": 1, "tracestate": "a=b"}


@pytest.mark.parametrize(
    ("meta", "left"),
    [
        (OF_PROTOCOL, OF_PROTOCOL),
        ({**OF_PROTOCOL, "example.com/tenant": "production"}, OF_PROTOCOL),
        ({"baggage": "a=b", **OF_PROTOCOL, "progresstoken": 2}, OF_PROTOCOL),
        ({"io.modelcontextprotocol/related-task": {"taskId": "t"}}, {}),
        ({}, {}),
    ],
)
def test_of_what_nobody_agreed_to_only_the_protocols_own_is_left(
    meta: dict[str, object], left: dict[str, object]
) -> None:
    arguments = {"_meta": {"example.com/tenant": "test"}}
    assert json.loads(bared(json.dumps(call(arguments, _meta=meta)).encode())) == call(arguments, _meta=left)


@pytest.mark.parametrize("body", [b'{"method":"ping"}', b'{"params":{"\\u005fmeta":{ } }}', b'{"params": {"a":1.0}}'])
def test_what_has_nothing_to_leave_away_stays_as_it_was_written(body: bytes) -> None:
    assert bared(body) == body


def test_a_key_is_left_away_however_it_is_spelt() -> None:
    assert bared(b'{"params":{"\\u005fmeta":{"te\\u006eant":1}}}') == b'{"params":{"\\u005fmeta":{}}}'
