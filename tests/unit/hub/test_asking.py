"""Whoever is asked something through the one door is told which target asks, whatever that target writes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import CreateMessageRequest, ElicitRequest, InputRequiredResult, ListRootsRequest

from countersign.hub.answered import Terms, told
from countersign.hub.asking import MOST_ASKED, MOST_LINES, said_by
from countersign.hub.inside import Away
from countersign.jsontext import parse
from countersign.mcp import Era

LEGACY, MODERN = Era.LEGACY, Era.MODERN
FORM = {"type": "object", "properties": {"value": {"type": "string"}}}
BY = {"countersign/target": "old"}


def passed(message: dict[str, Any], era: Era = LEGACY) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    # However it is written.
    for indent, separators in ((None, None), (None, (",", ":")), (2, (",", " \t:\r\n"))):
        written = json.dumps({"jsonrpc": "2.0", **message}, indent=indent, separators=separators)
        text = told(parse(written), Terms("old", era, era))
        assert text is not None
        # Strictly read: no key comes twice.
        parse(text)
        found.append(json.loads(text))
    assert found[0] == found[1] == found[2]
    return found[0]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Your name?", "old: Your name?"),
        ("", "old:"),
        ("new: Your password?", "old: new: Your password?"),
        ("Done.\n\nnew: Your password?", "old: Done.\nold:\nold: new: Your password?"),
        *((f"a{mark}new: b", "old: a\nold: new: b") for mark in ("\r", "\r\n", "\v", "\f", "\x1e", "\x85", "\u2028")),
        ("\x1b[2K\x1b[1Gnew: b\b\b", "old: \ufffd[2K\ufffd[1Gnew: b\ufffd\ufffd"),
        ("\u202e?drowssap ruoY :wen\u202c", "old: \ufffd?drowssap ruoY :wen\ufffd"),
        ("\u2067new: b\u2069\x9b1G", "old: \ufffdnew: b\ufffd\ufffd1G"),
        ("läuft \t日本語 👍", "old: läuft \t日本語 👍"),
    ],
)
def test_each_line_that_a_target_says_to_a_person_begins_with_its_name(said: str, shown: str) -> None:
    assert said_by("old", said) == shown


def test_lines_without_end_do_not_make_a_message_without_end() -> None:
    shown = said_by("old", "\n" * 1_000_000)
    assert shown.count("\n") == MOST_LINES - 1
    assert len(shown) < 1_001_000


@pytest.mark.parametrize("meta", [None, {}, {"countersign/target": "new"}, {"x": 1}, 5])
def test_a_request_of_a_target_names_it_for_people_and_for_programs(meta: object) -> None:
    more = {} if meta is None else {"_meta": meta}
    kept = meta if isinstance(meta, dict) else {}
    form = {"message": "Your name?", "requestedSchema": FORM, **more}
    params = passed({"id": 1, "method": "elicitation/create", "params": form})["params"]
    assert params == {"message": "old: Your name?", "requestedSchema": FORM, "_meta": {**kept, **BY}}
    ElicitRequest.model_validate({"method": "elicitation/create", "params": params})
    link = {"mode": "url", "elicitationId": "e", "message": "Open it", "url": "https://x.test/new:%20trust"}
    params = passed({"id": 1, "method": "elicitation/create", "params": {**link, **more}})["params"]
    assert params == {**link, "elicitationId": "old:e", "message": "old: Open it", "_meta": {**kept, **BY}}
    ElicitRequest.model_validate({"method": "elicitation/create", "params": params})
    sampled = {"maxTokens": 5, "messages": [{"role": "user", "content": {"type": "text", "text": "new: hi"}}]}
    for prompt, shown in (
        ({}, "This is asked by old."),
        ({"systemPrompt": None}, "This is asked by old."),
        ({"systemPrompt": "Be brief."}, "This is asked by old.\n\nBe brief."),
    ):
        params = passed({"id": 1, "method": "sampling/createMessage", "params": {**sampled, **prompt, **more}})[
            "params"
        ]
        assert params == {**sampled, "systemPrompt": shown, "_meta": {**kept, **BY}}
        CreateMessageRequest.model_validate({"method": "sampling/createMessage", "params": params})
    for roots in ({}, {"params": more}):
        request = passed({"id": 1, "method": "roots/list", **roots})
        assert request["params"] == {"_meta": {**(kept if roots else {}), **BY}}
        ListRootsRequest.model_validate({"method": "roots/list", "params": request["params"]})


@pytest.mark.parametrize("message", [None, 5, ["x"]])
def test_what_has_no_message_names_its_target_all_the_same(message: object) -> None:
    more = {} if message is None else {"message": message}
    params = passed({"id": 1, "method": "elicitation/create", "params": {"requestedSchema": FORM, **more}})["params"]
    assert params["message"] == "old:"


def test_what_a_result_or_a_task_asks_back_names_its_target() -> None:
    asked = {
        "a": {"method": "elicitation/create", "params": {"message": "m", "requestedSchema": FORM}},
        'b"\\': {"method": "sampling/createMessage", "params": {"maxTokens": 5, "messages": []}},
        "c": {"method": "roots/list"},
        "d": {"method": "roots/list", "params": None},
    }
    named = {
        "a": {
            "method": "elicitation/create",
            "params": {"message": "old: m", "requestedSchema": FORM, "_meta": BY},
        },
        'b"\\': {
            "method": "sampling/createMessage",
            "params": {"maxTokens": 5, "messages": [], "systemPrompt": "This is asked by old.", "_meta": BY},
        },
        "c": {"method": "roots/list", "params": {"_meta": BY}},
        "d": {"method": "roots/list", "params": {"_meta": BY}},
    }
    result = {"resultType": "input_required", "requestState": "s", "inputRequests": asked}
    assert passed({"id": 1, "result": result}, MODERN)["result"] == {**result, "inputRequests": named}
    InputRequiredResult.model_validate({**result, "inputRequests": named})
    task = {"resultType": "complete", "taskId": "t", "status": "input_required", "inputRequests": asked}
    assert passed({"id": 1, "result": task}, MODERN)["result"]["inputRequests"] == named
    told_of = {"method": "notifications/tasks", "params": {"taskId": "t", "inputRequests": asked}}
    assert passed(told_of, MODERN)["params"]["inputRequests"] == named


@pytest.mark.parametrize("code", ["-32042", "-3.2042e4", "-32042.0"])
def test_links_that_an_error_wants_opened_name_their_target(code: str) -> None:
    link = '{"mode":"url","elicitationId":"e","message":"m","url":"https://x.test"}'
    error = f'{{"code":{code},"message":"x","data":{{"elicitations":[{link},5]}}}}'
    text = told(parse(f'{{"jsonrpc":"2.0","id":1,"error":{error}}}'), Terms("old", LEGACY, LEGACY))
    assert text is not None
    (first, other) = json.loads(text)["error"]["data"]["elicitations"]
    assert (first["message"], first["elicitationId"], first["_meta"], other) == ("old: m", "old:e", BY, 5)


@pytest.mark.parametrize("own", ["e", "new:e"])
def test_a_target_says_of_no_others_link_that_it_is_done(own: str) -> None:
    done = {"method": "notifications/elicitation/complete", "params": {"elicitationId": own}}
    assert passed(done)["params"] == {"elicitationId": f"old:{own}"}


def test_who_asks_more_than_can_be_named_in_passing_asks_nothing() -> None:
    asked = {str(number): {"method": "roots/list"} for number in range(MOST_ASKED + 1)}
    with pytest.raises(Away):
        passed({"id": 1, "result": {"resultType": "input_required", "inputRequests": asked}}, MODERN)


def test_a_target_is_not_shown_what_a_client_made_for_another() -> None:
    # To its client the door is one server, whose tasks are those that any target had it make.
    for method in ("tasks/result", "tasks/get", "tasks/list", "tasks/cancel", "completion/complete"):
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"taskId": "of another"}}
        assert told(parse(json.dumps(message)), Terms("old", LEGACY, LEGACY)) is None
    assert passed({"id": 1, "method": "ping"}) == {"jsonrpc": "2.0", "id": "old:1", "method": "ping"}


@pytest.mark.parametrize("context", ["thisServer", "allServers", "none", 5])
def test_what_other_targets_said_goes_along_with_no_sampling(context: object) -> None:
    sampled = {"maxTokens": 5, "messages": [], "includeContext": context}
    message = passed({"id": 1, "method": "sampling/createMessage", "params": sampled})
    assert message["params"]["includeContext"] == "none"
    asked = {"a": {"method": "sampling/createMessage", "params": sampled}}
    result = passed({"id": 1, "result": {"resultType": "input_required", "inputRequests": asked}}, MODERN)["result"]
    assert result["inputRequests"]["a"]["params"]["includeContext"] == "none"


_TWIN = {"method": "elicitation/create", "params": {"message": "m", "Message": "new: Your password?"}}


@pytest.mark.parametrize(
    "message",
    [
        {"id": 1, **_TWIN},
        {"id": 1, "method": "sampling/createMessage", "params": {"messages": [], "SystemPrompt": "new: hi"}},
        {"id": 1, "method": "elicitation/create", "params": {"__proto__": {"message": "new: Your password?"}}},
        {"id": 1, "method": "elicitation/create", "__proto__": {"params": {"message": "new: Your password?"}}},
        {"id": 1, "result": {"resultType": "input_required", "inputrequests": {"a": _TWIN}}},
        {"id": 1, "result": {"resultType": "input_required", "__proto__": {"inputRequests": {"a": _TWIN}}}},
        {"id": 1, "result": {"resultType": "input_required", "inputRequests": {"a": _TWIN}}},
        {"id": 1, "result": {"inputRequests": {"a": {"method": "roots/list", "Method": "elicitation/create"}}}},
        {"method": "notifications/tasks", "params": {"taskId": "t", "InputRequests": {"a": _TWIN}}},
        {"id": 1, "error": {"code": 1, "Code": -32042, "message": "x", "data": {"elicitations": [{}]}}},
        {"id": 1, "error": {"code": -32042, "message": "x", "data": {"Elicitations": [_TWIN["params"]]}}},
        {"id": 1, "error": {"code": -32042, "message": "x", "data": {"elicitations": [_TWIN["params"]]}}},
    ],
)
def test_a_question_that_some_clients_read_under_another_key_is_not_put(message: dict[str, Any]) -> None:
    with pytest.raises(Away):
        told(parse(json.dumps({"jsonrpc": "2.0", **message})), Terms("old", LEGACY, LEGACY))


def test_what_an_error_says_of_itself_may_be_called_anything() -> None:
    error = {"code": -32603, "message": "x", "data": {"Code": "Throttled", "Message": "later", "Data": {}}}
    assert passed({"id": 1, "error": error})["error"] == error


def test_the_texts_of_a_form_draw_no_lines_of_their_own() -> None:
    said, shown = "a\n\nnew: b\u2028c\x1b[1G\u202ed", "a  new: b c\ufffd[1G\ufffdd"

    def form(text: str) -> dict[str, Any]:
        choice = {"type": "string", "title": text, "description": text, "enum": ["x", text], "default": text}
        return {"type": "object", "properties": {"value": choice, "läuft": {"type": "number", "maximum": 5}}}

    params = passed(
        {"id": 1, "method": "elicitation/create", "params": {"message": "m", "requestedSchema": form(said)}}
    )["params"]
    assert params == {"message": "old: m", "requestedSchema": form(shown), "_meta": BY}


@pytest.mark.parametrize("name", ["x\nnew: Your password?", "x\u2028", "\x1b[1G"])
def test_a_form_with_a_field_whose_name_draws_lines_is_not_shown(name: str) -> None:
    schema = {"type": "object", "properties": {name: {"type": "string"}}}
    with pytest.raises(Away):
        passed({"id": 1, "method": "elicitation/create", "params": {"message": "m", "requestedSchema": schema}})
