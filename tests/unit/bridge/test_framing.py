"""What a server writes is told apart strictly, and edited without touching the rest."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.bridge.framing import Said, Skipped, edited, read_line, said_to_client
from countersign.bridge.lines import Line
from countersign.jsontext import parse
from countersign.mcp.eras import META_SUBSCRIPTION


def read(data: bytes, *, too_long: bool = False) -> Said | Skipped:
    return read_line(Line(data, len(data), too_long), 64)


def heard(data: bytes) -> Said:
    said = read(data)
    assert isinstance(said, Said)
    return said


def test_an_answer_goes_out_with_the_callers_id_and_every_other_byte_as_it_was() -> None:
    said = heard(b'{"jsonrpc":"2.0", "result" : {"a":1.50,"id":7}, "id":7}')
    assert said.own_id == 7
    assert said_to_client(said, '"x"', "") == b'{"jsonrpc":"2.0", "result" : {"a":1.50,"id":7}, "id":"x"}'


def test_progress_is_told_with_the_callers_token() -> None:
    said = heard(b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":3,"progress":1}}')
    assert said.progress == 3
    assert b'"progressToken":"mine"' in said_to_client(said, "1", '"mine"')


@pytest.mark.parametrize(("written", "ours", "sent"), [("9", "1", "1"), ('"9"', "1", '"1"'), ('"9"', '"s"', '"s"')])
def test_a_subscription_is_named_by_the_callers_id(written: str, ours: str, sent: str) -> None:
    line = (
        '{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{"_meta":'
        f'{{"io.modelcontextprotocol/subscriptionId":{written}}}}}}}'
    )
    said = heard(line.encode())
    assert said.subscription == 9
    assert said_to_client(said, ours, "") == line.replace(written, sent).encode()


@pytest.mark.parametrize(
    ("data", "answers"),
    [
        (b"hello", None),
        (b"[]", None),
        (b"{}", None),
        (b'{"jsonrpc":"1.0","id":4,"result":{}}', 4),
        (b'{"jsonrpc":"2.0","id":4,"result":{"a":1,"a":2}}', 4),
        (b'{"jsonrpc":"2.0","id":4,"result":{},"error":{}}', 4),
        (b'{"jsonrpc":"2.0","id":4,"result":[]}', 4),
        (b'{"jsonrpc":"2.0","id":4,"Result":{}}', 4),
        (b'{"jsonrpc":"2.0","id":true,"result":{},"error":1}', None),
        (b'{"jsonrpc":"2.0","id":4,"method":"a b"}', None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_what_is_no_message_is_skipped_and_whoever_waits_for_it_is_known(data: bytes, answers: int | None) -> None:
    skipped = read(data)
    assert isinstance(skipped, Skipped)
    assert skipped.reason
    assert skipped.answers == answers
    assert data.decode("latin-1")[:20] not in skipped.reason or len(data) < 3


@pytest.mark.parametrize("own", [b'"4"', b"4.0", b"null", b"-1", b"1e3", b"99999999999999999999"])
def test_only_a_number_of_ours_names_a_call(own: bytes) -> None:
    said = read(b'{"jsonrpc":"2.0","id":' + own + b',"result":{}}')
    assert isinstance(said, Skipped) or said.own_id is None


MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.sampled_from(["2.0", "1.0", 2]),
        "id": st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        "method": st.sampled_from(["notifications/progress", "notifications/message", "ping", ""]),
        "params": st.dictionaries(st.sampled_from(["progressToken", "_meta"]), st.text() | st.integers() | st.none())
        | st.fixed_dictionaries({"_meta": st.fixed_dictionaries({META_SUBSCRIPTION: st.text() | st.integers()})}),
        "result": st.fixed_dictionaries(
            {"_meta": st.fixed_dictionaries({META_SUBSCRIPTION: st.text() | st.integers()})}
        ),
        "error": st.fixed_dictionaries({"code": st.integers(), "message": st.text()}),
    },
)


@given(st.binary() | MESSAGES.map(lambda message: json.dumps(message).encode()), st.sampled_from(["7", '"x"']))
def test_whatever_a_server_writes_is_read_and_passed_on_or_skipped(data: bytes, id_json: str) -> None:
    said = read(data)
    if isinstance(said, Said):
        sent = parse(said_to_client(said, id_json, "1"), permit_nan=True).root
        assert isinstance(sent, dict)
        if said.answer.is_final and said.own_id is not None:
            assert sent["id"] == json.loads(id_json) or str(sent["id"]) == id_json


@pytest.mark.parametrize(
    ("start", "tail", "answers"),
    [
        (b'{"jsonrpc":"2.0","id":12,"result":{"a', b"", 12),
        (b'{"jsonrpc": "2.0", "id": 12, "result": {"a', b"", 12),
        (b'{"result":{"id":5,', b'"}},"jsonrpc":"2.0","id":12}', 12),
        (b'{"result":{"id":5,', b'"id":12}}', None),
        (b'{"jsonrpc":"2.0","method":"notifications/message","params":{', b"", None),
        # Within a string its quotation marks would be escaped.
        (b'{"result":{"a":"', b'\\"jsonrpc\\":\\"2.0\\",\\"id\\":12}"}}', None),
    ],
)
def test_whose_answer_is_too_long_is_told_by_where_ids_stand(start: bytes, tail: bytes, answers: int | None) -> None:
    assert read_line(Line(start, 1_000_000, too_long=True, tail=tail), 64) == Skipped("a line is too long", answers)


def test_what_is_sent_is_one_line_for_every_reader_of_lines() -> None:
    text = '{\r\n "a" : "\u2028x\u2029y\u0085z" ,\n"b":[1,\n2]}'
    line = edited(parse(text))
    assert len(line.decode().splitlines()) == 1
    assert parse(line).root == parse(text).root
