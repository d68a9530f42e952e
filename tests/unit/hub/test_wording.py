"""What names something of a target is put into the door's words, and nothing else is touched."""

from __future__ import annotations

import json

import pytest

from countersign.hub.answered import Terms, told
from countersign.hub.asked import About, Again, Asked, body_for
from countersign.hub.peers import ID, PROGRESS, Owner, Theirs, Way
from countersign.hub.wording import listed, target_of
from countersign.jsontext import parse
from countersign.mcp import Era
from countersign.model.door_names import NotNamed

LEGACY, MODERN = Era.LEGACY, Era.MODERN
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    "io.modelcontextprotocol/clientInfo": {"name": "n", "version": "1"},
    "progressToken": 7,
}


def as_told(message: object, terms: Terms | None = None) -> object:
    text = told(parse(json.dumps(message)), terms or Terms("t", MODERN, MODERN))
    return None if text is None else json.loads(text)


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (
            {"content": [{"type": "resource_link", "uri": "a:/b"}]},
            {"content": [{"type": "resource_link", "uri": "t+a:/b"}]},
        ),
        (
            {"content": [{"type": "resource", "resource": {"uri": "a:/b", "text": "a:/b"}}]},
            {"content": [{"type": "resource", "resource": {"uri": "t+a:/b", "text": "a:/b"}}]},
        ),
        ({"contents": [{"uri": "a:/b", "text": "x"}]}, {"contents": [{"uri": "t+a:/b", "text": "x"}]}),
        (
            {"messages": [{"role": "user", "content": {"type": "resource", "resource": {"uri": "a:"}}}]},
            {"messages": [{"role": "user", "content": {"type": "resource", "resource": {"uri": "t+a:"}}}]},
        ),
        ({"resultType": "task", "taskId": "1"}, {"resultType": "task", "taskId": "t:1"}),
        ({"task": {"taskId": "1"}}, {"task": {"taskId": "t:1"}}),
        (
            {"taskId": "1", "result": {"content": [{"type": "resource_link", "uri": "a:"}]}},
            {"taskId": "t:1", "result": {"content": [{"type": "resource_link", "uri": "t+a:"}]}},
        ),
        # What only looks like it: data of the target's own.
        (
            {
                "content": [{"type": "text", "text": "x", "uri": "a:"}],
                "structuredContent": {"uri": "a:", "taskId": "1"},
            },
            {
                "content": [{"type": "text", "text": "x", "uri": "a:"}],
                "structuredContent": {"uri": "a:", "taskId": "1"},
            },
        ),
    ],
)
def test_results_name_things_as_the_door_does(there: object, here: object) -> None:
    assert as_told({"jsonrpc": "2.0", "id": 1, "result": there}) == {"jsonrpc": "2.0", "id": 1, "result": here}


def test_all_else_stays_byte_for_byte() -> None:
    text = (
        '{"jsonrpc" : "2.0","id":1.0e2,"result":{"content":[{"type":"text","text":"\\u00e4 \\/"}],"n":1E400,"b":-0.0}}'
    )
    assert told(parse(text), Terms("t", MODERN, MODERN)) == text


def test_requests_of_targets_say_whose_they_are_and_modern_callers_get_none() -> None:
    asked = {"jsonrpc": "2.0", "id": 'a"b', "method": "sampling/createMessage", "params": {}}
    assert as_told(asked, Terms("t", LEGACY, LEGACY)) == {
        **asked,
        "id": 't:"a\\"b"',
        "params": {"systemPrompt": "This is asked by t.", "_meta": {"countersign/target": "t"}},
    }
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert as_told(ping, Terms("t", LEGACY, LEGACY)) == {**ping, "id": "t:1"}
    assert as_told(asked, Terms("t", MODERN, LEGACY)) is None
    assert as_told({**asked, "id": "x" * 255}, Terms("t", LEGACY, LEGACY)) is None


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ({"id": 1, "result": {}}, True),
        ({"id": 1, "error": {"code": 1, "message": "m"}}, True),
        ({"id": "1", "result": {}}, False),
        ({"id": 2, "result": {}}, False),
        ({"id": None, "error": {"code": 1, "message": "m"}}, False),
        ({"method": "notifications/progress", "params": {"progressToken": "p", "progress": 1}}, True),
        ({"method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}, False),
    ],
)
def test_a_target_answers_what_it_was_asked_and_nothing_else(message: dict[str, object], passes: bool) -> None:
    owner = Owner("k")
    owner.note(ID, "1", "t")
    owner.note(ID, "2", "t")
    owner.note(ID, "2", "other")
    owner.note(PROGRESS, '"p"', "t")
    terms = Terms("t", LEGACY, LEGACY, answers=Theirs(owner, ID, "t"), progress=Theirs(owner, PROGRESS, "t"))
    whole = {"jsonrpc": "2.0", **message}
    assert as_told(whole, terms) == (whole if passes else None)


@pytest.mark.parametrize("token", [True, [1], None, {}])
def test_what_is_no_token_is_progress_of_nothing(token: object) -> None:
    progress = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": token, "progress": 1}}
    # So is noted what was asked without a token.
    assert as_told(progress, Terms("t", LEGACY, LEGACY, progress=frozenset({""}))) is None


@pytest.mark.parametrize(
    "params", [None, {}, {"_meta": {}}, {"_meta": {"io.modelcontextprotocol/subscriptionId": "yours"}}, {"_meta": 5}]
)
def test_a_stream_is_called_as_its_caller_does_whatever_its_target_calls_it(params: object) -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    document = parse(json.dumps(message | ({} if params is None else {"params": params})))
    text = told(document, Terms("t", MODERN, LEGACY, subscription='"mine"'))
    assert text is not None
    assert text.count("_meta") == 1
    about = {"_meta": {"io.modelcontextprotocol/subscriptionId": "mine"}}
    # Strictly read: no key comes twice.
    assert parse(text).root == {**message, "params": about}


def test_a_target_takes_its_own_requests_back() -> None:
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
    assert as_told(cancelled) == {**cancelled, "params": {"requestId": "t:7"}}


def test_modern_callers_get_logs_only_where_they_asked() -> None:
    message = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}
    assert as_told(message, Terms("t", MODERN, LEGACY, logs=False)) is None
    assert as_told(message, Terms("t", MODERN, LEGACY, logs=True)) == message
    assert as_told(message, Terms("t", LEGACY, LEGACY, logs=False)) == message


def test_a_legacy_result_becomes_a_whole_modern_one() -> None:
    read = Terms("t", MODERN, LEGACY, "resources/read")
    result = as_told({"jsonrpc": "2.0", "id": 1, "result": {}}, read)
    assert result == {
        "jsonrpc": "2.0",
        "id": 1,
        "result": {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"},
    }
    kept = {"resultType": "task", "ttlMs": 5, "cacheScope": "public"}
    assert as_told({"jsonrpc": "2.0", "id": 1, "result": kept}, read) == {"jsonrpc": "2.0", "id": 1, "result": kept}


def asked(params: dict[str, object] | None, era: Era) -> Asked:
    message: dict[str, object] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    document = parse(json.dumps(message | ({} if params is None else {"params": params})))
    return Asked(document, "tools/call", {}, "1", era, {})


@pytest.mark.parametrize("meta", [None, {}, {"progressToken": 7}])
def test_a_legacy_request_becomes_a_modern_one(meta: dict[str, object] | None) -> None:
    params: dict[str, object] = {"name": "t__x", "arguments": {"_meta": {"name": "y"}}}
    params |= {} if meta is None else {"_meta": meta}
    body = body_for(
        asked(params, LEGACY),
        About("t", "x", ("name",)),
        Way(MODERN, "2026-07-28"),
        id_json='"n"',
        again=Again("s", '{"k":{}}'),
    )
    sent = json.loads(body)
    stated = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    assert sent["id"] == "n"
    assert sent["params"] == {
        **params,
        "name": "x",
        "requestState": "s",
        "inputResponses": {"k": {}},
        "_meta": {**stated, **(meta or {})},
    }


def test_a_modern_request_becomes_a_legacy_one() -> None:
    params: dict[str, object] = {"name": "t__x", "arguments": {"_meta": META}, "_meta": META, "requestState": "s"}
    sent = json.loads(body_for(asked(params, MODERN), About("t", "x", ("name",)), Way(LEGACY, "2025-11-25")))
    assert sent["params"] == {"name": "x", "arguments": {"_meta": META}, "_meta": {"progressToken": 7}}


@pytest.mark.parametrize(
    ("method", "params", "expected"),
    [
        ("tools/call", {"name": "t__x"}, ("t", "x", ("name",))),
        ("resources/subscribe", {"uri": "t+a:b"}, ("t", "a:b", ("uri",))),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "t__p"}}, ("t", "p", ("ref", "name"))),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "t+a:{b}"}}, ("t", "a:{b}", ("ref", "uri"))),
        ("tasks/cancel", {"taskId": "t:1:2"}, ("t", "1:2", ("taskId",))),
    ],
)
def test_a_request_says_which_target_it_is_about(method: str, params: dict[str, object], expected: object) -> None:
    document = parse(json.dumps(params))
    assert isinstance(document.root, dict)
    assert target_of(method, document.root) == expected


@pytest.mark.parametrize("params", [{}, {"name": None}, {"name": 3}, {"name": ["t__x"]}])
def test_a_request_that_names_nothing_is_about_no_target(params: dict[str, object]) -> None:
    document = parse(json.dumps(params))
    assert isinstance(document.root, dict)
    with pytest.raises(NotNamed):
        target_of("tools/call", document.root)


def test_entries_are_listed_as_they_stand_but_for_their_names() -> None:
    text = '{"tools":[{"x":1E400,"name":"a","_meta":{"ui":{"resourceUri":"ui://a"},"ui/resourceUri":"ui://a"}},{"name":"N"}]}'
    found = listed("t", parse(text.replace("N", "n" * 126)), ("tools",), "name")
    entry = '{"x":1E400,"name":"t__a","_meta":{"ui":{"resourceUri":"t+ui://a"},"ui/resourceUri":"t+ui://a"}}'
    assert found == [("t__a", entry)]
