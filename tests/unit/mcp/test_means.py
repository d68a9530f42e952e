"""What a client can do while it waits is what it said on this very request, and nothing that it did not say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countersign.mcp import Era, HttpRequest, Means, prefers_async, read_means, read_state, read_task_id
from tests.unit.mcp.requests import CAPABILITIES_KEY, META, legacy, modern, notification, read, rpc

TASKS = "io.modelcontextprotocol/tasks"
ROUNDS = Means(Era.MODERN, takes_rounds=True)


def params(can: Any = None, meta: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"name": "query", **more, "_meta": {**META, CAPABILITIES_KEY: can or {}, **(meta or {})}}


def means(method: str = "tools/call", can: Any = None, meta: dict[str, Any] | None = None, **more: Any) -> Means:
    return means_of(modern(rpc(method, params(can, meta, **more))))


def means_of(request: HttpRequest) -> Means:
    return read_means(read(request).messages[0])


@pytest.mark.parametrize("method", ["tools/call", "prompts/get"])
def test_a_modern_client_makes_these_requests_again_by_itself(method: str) -> None:
    assert means(method) == ROUNDS


def test_resources_are_read_in_rounds_too() -> None:
    assert means("resources/read", uri="db://x") == ROUNDS


@pytest.mark.parametrize("method", ["tools/list", "completion/complete", "tasks/get", "any/thing"])
def test_other_requests_are_not_made_again(method: str) -> None:
    ref = {"type": "ref/prompt", "name": "p"}
    can: dict[str, Any] = {"elicitation": {"url": {}}, "extensions": {TASKS: {}}}
    assert means(method, can, ref=ref, taskId="query") == Means(Era.MODERN)


@pytest.mark.parametrize(
    ("elicitation", "can"),
    [
        ({"url": {}}, True),
        ({"form": {}, "url": {}}, True),
        ({}, False),
        ({"form": {}}, False),
        ({"url": None}, False),
        ({"url": True}, False),
        ({"URL": {}}, False),
        (["url"], False),
        ("url", False),
        (None, False),
    ],
)
def test_links_are_for_clients_that_can_show_them(elicitation: Any, can: bool) -> None:
    assert means(can={"elicitation": elicitation}).elicits_urls is can


@pytest.mark.parametrize(
    ("extensions", "can"),
    [({TASKS: {}}, True), ({TASKS: {"more": 1}}, False), ({TASKS: None}, False), ({}, False), ([TASKS], False)],
)
def test_tasks_are_for_clients_that_declare_them_on_this_request(extensions: Any, can: bool) -> None:
    assert means(can={"extensions": extensions}).takes_tasks is can
    assert not means("prompts/get", can={"extensions": extensions}).takes_tasks


@pytest.mark.parametrize(
    ("members", "state", "nested"),
    [
        ({}, "", "{}"),
        ({"requestState": "a\u00e9"}, "a\u00e9", '{"requestState":"a\\u00e9"}'),
        ({"requestState": 7}, "", '{"requestState":7}'),
        ({"requestState": ""}, "", '{"requestState":""}'),
        (
            {"inputResponses": {"x": {"action": "accept"}}, "requestState": "s"},
            "s",
            '{"requestState":"s","inputResponses":{"x": {"action": "accept"}}}',
        ),
        ({"arguments": {"requestState": "deep"}}, "", "{}"),
    ],
)
def test_the_members_by_which_a_client_goes_on_are_kept_as_they_were_sent(
    members: dict[str, Any], state: str, nested: str
) -> None:
    message = read(modern(rpc("tools/call", params(**members)))).messages[0]
    found = read_means(message)
    assert read_state(message) == state
    assert (found.state, found.nested) == (state, nested)


def test_a_key_spelt_with_escapes_is_the_same_key() -> None:
    body = json.dumps(rpc("tools/call", params(requestState="s"))).replace("requestState", "request\\u0053tate")
    request = modern(rpc("tools/call", params(requestState="s")))
    request = HttpRequest(request.verb, request.headers, body.encode())
    found = means_of(request)
    assert (found.state, found.nested) == ("s", '{"requestState":"s"}')
    assert read_state(read(request).messages[0]) == "s"


@pytest.mark.parametrize(
    ("responses", "action"),
    [
        ({"approval": {"action": "accept"}}, "accept"),
        ({"approval": {"action": "decline"}}, "decline"),
        ({"approval": {"action": "cancel"}}, "cancel"),
        ({"approval": {"action": "approve"}}, ""),
        ({"approval": {"action": 1}}, ""),
        ({"approval": {"action": ["accept"]}}, ""),
        ({"approval": "accept"}, ""),
        ({"other": {"action": "accept"}}, ""),
        (["accept"], ""),
    ],
)
def test_what_a_person_did_with_the_link_is_one_of_three(responses: Any, action: str) -> None:
    assert means(inputResponses=responses).link_action == action


def test_a_legacy_client_can_nothing_whatever_it_says() -> None:
    can: dict[str, Any] = {"elicitation": {"url": {}}, "extensions": {TASKS: {}}}
    said = {"name": "query", "requestState": "s", "_meta": {CAPABILITIES_KEY: can}}
    assert means_of(legacy(rpc("tools/call", said))) == Means(Era.LEGACY)
    assert read_state(read(legacy(rpc("tools/call", said))).messages[0]) == ""


def test_a_progress_token_is_seen_in_both_eras() -> None:
    assert means(meta={"progressToken": 0}).has_progress
    assert means_of(legacy(rpc("tools/call", {"name": "q", "_meta": {"progressToken": "t"}}))).has_progress
    assert not means_of(legacy(rpc("tools/call", {"name": "q", "arguments": {"progressToken": 1}}))).has_progress


@pytest.mark.parametrize(
    "request_",
    [
        legacy(rpc("ping")),
        legacy({"jsonrpc": "2.0", "id": 5, "result": {}}),
        legacy(notification("notifications/cancelled", {"requestId": 1})),
        HttpRequest("DELETE", {"mcp-session-id": "s"}, b""),
    ],
)
def test_what_says_nothing_can_nothing(request_: HttpRequest) -> None:
    assert means_of(request_) == Means(Era.LEGACY)
    assert read_state(read(request_).messages[0]) == ""


def test_a_modern_notification_cannot_be_made_again() -> None:
    assert means_of(modern(notification("tools/call/x", {"requestState": "s"}))) == Means(Era.MODERN)


@pytest.mark.parametrize(
    ("method", "members", "task_id"),
    [
        ("tasks/get", {"taskId": "t"}, "t"),
        ("tasks/cancel", {"taskId": "t"}, "t"),
        ("tasks/update", {"taskId": "t", "inputResponses": {}}, "t"),
        ("tasks/get", {}, ""),
        ("tasks/list", {"cursor": "t"}, ""),
        ("tools/call", {"name": "t", "taskId": "t"}, ""),
    ],
)
def test_a_task_is_named_by_requests_about_tasks_only(method: str, members: dict[str, Any], task_id: str) -> None:
    message = read(legacy(rpc(method, members))).messages[0]
    assert read_task_id(message) == task_id


def test_a_task_id_that_is_no_text_is_none() -> None:
    assert read_task_id(read(legacy(rpc("tasks/get", {"taskId": 7}))).messages[0]) == ""


@pytest.mark.parametrize(
    ("header", "prefers"),
    [
        ("respond-async", True),
        ("Respond-Async; x=1, wait=10", True),
        ("wait=10,respond-async", True),
        ("respond-asynchronously", False),
        ('foo="respond-async"', False),
        ("wait=10", False),
        ("", False),
    ],
)
def test_only_who_asks_for_it_is_answered_before_the_end(header: str, prefers: bool) -> None:
    assert prefers_async({"prefer": header}) is prefers
    assert not prefers_async({})
