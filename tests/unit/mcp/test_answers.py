"""What a target may send, and what of a listing a caller may see."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import methods

from countersign.jsontext import apply_edits, parse
from countersign.mcp import (
    Answer,
    AnswerKind,
    AnswerRefused,
    Era,
    check_answer,
    classify,
    filter_answer,
    filter_listing,
)
from countersign.model.call import NameKind
from tests.unit.mcp.requests import notification, rpc

RESULT: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "result": {}}
ERROR: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}


def check(body: Any, *, era: Era = Era.LEGACY, expected: list[str] | None = None, in_stream: bool = False) -> Any:
    return check_answer(parse(json.dumps(body)), era=era, expected_ids=expected, in_stream=in_stream)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (RESULT, Answer(AnswerKind.RESULT, "", "1")),
        (ERROR, Answer(AnswerKind.ERROR, "", "1")),
        ({**ERROR, "id": None}, Answer(AnswerKind.ERROR, "", "")),
        (notification("notifications/progress", {}), Answer(AnswerKind.NOTIFICATION, "notifications/progress", "")),
        (rpc("sampling/createMessage", {}, rpc_id="s1"), Answer(AnswerKind.REQUEST, "sampling/createMessage", '"s1"')),
    ],
)
def test_every_kind_of_message_is_told_apart(body: Any, answer: Answer) -> None:
    assert classify(parse(json.dumps(body))) == answer
    assert answer.is_final == (answer.kind in (AnswerKind.RESULT, AnswerKind.ERROR))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("x", id="a string"),
        pytest.param([], id="an empty array"),
        pytest.param([[RESULT]], id="an array in an array"),
        pytest.param({}, id="an empty object"),
        pytest.param({"error": "invalid_token"}, id="an error of another protocol"),
        pytest.param({**RESULT, "jsonrpc": "1.0"}, id="another version"),
        pytest.param({**RESULT, "error": {"code": 1, "message": ""}}, id="result and error"),
        pytest.param({**RESULT, "method": "x"}, id="result and method"),
        pytest.param({**RESULT, "Result": {}}, id="a second result in capitals"),
        pytest.param({**RESULT, "result": []}, id="a result that is no object"),
        pytest.param({**RESULT, "id": None}, id="a result without an id"),
        pytest.param({**RESULT, "id": 1.0}, id="a float for an id"),
        pytest.param({**ERROR, "error": "x"}, id="an error that is no object"),
        pytest.param({**ERROR, "error": {"code": "1", "message": "x"}}, id="an error code that is no number"),
        pytest.param({"jsonrpc": "2.0", "method": 1}, id="a method that is no string"),
        pytest.param({"jsonrpc": "2.0", "method": "x", "params": []}, id="params that are no object"),
        pytest.param([RESULT] * 300, id="too many"),
        pytest.param([RESULT, RESULT], id="the same id twice"),
    ],
)
def test_what_is_no_message_is_refused(body: Any) -> None:
    with pytest.raises(AnswerRefused):
        check(body, in_stream=True)


def test_an_answer_must_have_the_id_that_was_asked() -> None:
    assert check(RESULT, expected=["1"])
    for body in (RESULT, {**RESULT, "id": "1"}, {**RESULT, "id": "server-error"}):
        with pytest.raises(AnswerRefused):
            check(body, expected=["2"])
    with pytest.raises(AnswerRefused):
        check(ERROR, expected=['"1"'])


@pytest.mark.parametrize("uncorrelated", [None, "server-error"])
def test_an_error_about_an_unread_request_may_pass(uncorrelated: str | None) -> None:
    assert check({**ERROR, "id": uncorrelated}, expected=["7"])


def test_the_answers_to_a_batch_come_in_any_order() -> None:
    answers = check([{**RESULT, "id": 2}, ERROR], expected=["1", "2"])
    assert [answer.path for answer in answers] == [(0,), (1,)]
    with pytest.raises(AnswerRefused):
        check([RESULT], era=Era.MODERN, expected=["1"])


def test_only_a_stream_carries_more_than_answers() -> None:
    ping = rpc("ping", rpc_id="s")
    assert check(ping, in_stream=True)
    for body, era, in_stream in (
        (ping, Era.LEGACY, False),
        (notification("notifications/progress"), Era.LEGACY, False),
        (ping, Era.MODERN, True),
    ):
        with pytest.raises(AnswerRefused):
            check(body, era=era, in_stream=in_stream)


def only(*allowed: str) -> Any:
    return lambda _kind, name: name in allowed


def listing(result: str) -> str:
    return f'{{"jsonrpc":"2.0","id":1,"result":{result}}}'


def filtered(text: str, method: str, offers: Any) -> str:
    return apply_edits(text, filter_listing(parse(text), method, offers))


@pytest.mark.parametrize(
    ("method", "key", "name_key", "kind"),
    [
        ("tools/list", "tools", "name", NameKind.TOOL),
        ("prompts/list", "prompts", "name", NameKind.PROMPT),
        ("resources/list", "resources", "uri", NameKind.RESOURCE),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", NameKind.RESOURCE),
    ],
)
def test_only_what_is_offered_stays_and_the_rest_is_byte_identical(
    method: str, key: str, name_key: str, kind: NameKind
) -> None:
    entries = [f'{{"{name_key}" : "{name}", "x":1.0}}' for name in "abcd"]
    text = listing(f'{{ "{key}":[ {" , ".join(entries)} ],"nextCursor":"\\u0061"}}')
    asked: list[NameKind] = []

    def offers(asked_kind: NameKind, name: str) -> bool:
        asked.append(asked_kind)
        return name in "bd"

    assert filtered(text, method, offers) == listing(
        f'{{ "{key}":[ {entries[1]} , {entries[3]} ],"nextCursor":"\\u0061"}}'
    )
    assert set(asked) == {kind}
    assert json.loads(filtered(text, method, only()))["result"][key] == []
    assert filtered(text, method, only(*"abcd")) == text


def test_nobody_may_cache_what_was_made_for_one_caller() -> None:
    for method in ("tools/list", "resources/read", "server/discover"):
        for before in ('"ttlMs":5, "cacheScope" : "public"', '"ttlMs":5', '"ttlMs":5,"cacheScope":7'):
            result = json.loads(filtered(listing(f'{{{before},"tools":[]}}'), method, only()))["result"]
            assert (result["ttlMs"], result["cacheScope"]) == (5, "private")
    unchanged = listing('{"tools":[],"ttlMs":5,"cacheScope":"private"}')
    assert filtered(unchanged, "tools/list", only()) == unchanged


def test_a_filtered_listing_is_valid_for_clients_of_its_era() -> None:
    tools = [{"name": name, "inputSchema": {"type": "object"}} for name in "ab"]
    result = {"resultType": "complete", "ttlMs": 1000, "cacheScope": "public", "tools": tools}
    after = json.loads(filtered(listing(json.dumps(result)), "tools/list", only("b")))["result"]
    methods.validate_server_result("tools/list", "2026-07-28", after)
    methods.validate_server_result("tools/list", "2025-11-25", after)
    assert [tool["name"] for tool in after["tools"]] == ["b"]


@pytest.mark.parametrize("body", [ERROR, notification("notifications/progress"), rpc("ping")])
def test_errors_and_notifications_need_no_edits(body: Any) -> None:
    assert filter_listing(parse(json.dumps(body)), "tools/list", only()) == []
    assert filter_listing(parse(json.dumps(RESULT)), "tools/call", only()) == []


@pytest.mark.parametrize(
    "result",
    [
        "{}",
        '{"tools":null}',
        '{"tools":{}}',
        '{"tools":["a"]}',
        '{"tools":[{"name":1}]}',
        '{"tools":[{"title":"a"}]}',
        '{"tools":[{"name":"a","NAME":"b"}]}',
        '{"tools":[],"Tools":[{"name":"a"}]}',
        '{"tools":[],"CACHESCOPE":"public"}',
        '{"tools":[],"cache\\u017fcope":"public"}',
    ],
)
def test_a_listing_that_cannot_be_filtered_is_refused(result: str) -> None:
    with pytest.raises(AnswerRefused):
        filtered(listing(result), "tools/list", only("a"))


def test_an_answer_to_an_unknown_question_is_filtered_by_its_shape() -> None:
    text = listing('{"tools":[{"name":"a"},{"name":"b"}],"prompts":[{"name":"a"}],"ttlMs":1,"cacheScope":"public"}')
    document = parse(text)
    edits = filter_answer(document, classify(document), None, only("b"))
    assert json.loads(apply_edits(text, edits))["result"] == {
        "tools": [{"name": "b"}],
        "prompts": [],
        "ttlMs": 1,
        "cacheScope": "private",
    }
    tool_result = parse(listing('{"content":[],"structuredContent":{"tools":[1]}}'))
    assert filter_answer(tool_result, classify(tool_result), None, only()) == []
    for result in ('{"tools":[1]}', '{"Tools":[]}'):
        document = parse(listing(result))
        with pytest.raises(AnswerRefused):
            filter_answer(document, classify(document), None, only())


def test_each_answer_of_a_batch_is_filtered_by_its_own_method() -> None:
    text = f'[{listing("{}")}, {{"jsonrpc":"2.0","id":2,"result":{{"tools":[{{"name":"a"}},{{"name":"b"}}]}}}}]'
    document = parse(text)
    answers = check_answer(document, era=Era.LEGACY, expected_ids=("1", "2"), in_stream=False)
    edits = filter_answer(document, answers[1], "tools/list", only("b"))
    assert json.loads(apply_edits(text, edits))[1]["result"]["tools"] == [{"name": "b"}]
