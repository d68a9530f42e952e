"""What waiting clients are told is what clients of either era can read, and says no more than it should."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import jsonrpc_message_adapter, methods
from mcp_types.jsonrpc import JSONRPCError, JSONRPCResponse

from countersign.mcp import (
    WAITING,
    HttpRequest,
    Message,
    Reply,
    Task,
    TaskStatus,
    accepted_later,
    input_required,
    task_acknowledged,
    task_started,
    task_state,
    waiting_result,
)
from tests.unit.mcp.requests import legacy, modern, modern_rpc, notification, read, rpc

TEXT = 'waits for "data-owners"\n\u2028 \\ </script>'
URL = "https://gw.example/approvals/a1?x=1&y=\u00e9"
MODERN = "2026-07-28"
TASK = Task("cs-task1.x", TaskStatus.WORKING, TEXT, 1_795_298_400_123_456, 1_795_298_401_000_000, 900_000, 5_000)


def message(method: str = "tools/call", rpc_id: str | int = "a") -> Message:
    key = {"resources/read": "uri", "tasks/get": "taskId", "tasks/cancel": "taskId"}.get(method, "name")
    return read(modern(modern_rpc(method, {key: "db://x"}, rpc_id=rpc_id))).messages[0]


def result_of(reply: Reply, rpc_id: str | int = "a") -> dict[str, Any]:
    response = jsonrpc_message_adapter.validate_json(reply.body)
    assert isinstance(response, JSONRPCResponse)
    assert (reply.status, reply.content_type, response.id) == (200, "application/json", rpc_id)
    return dict(response.result)


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read"])
def test_a_modern_client_is_told_to_come_back_with_its_state_alone(method: str) -> None:
    result = result_of(input_required(message(method, 7), "cs-wait1.s"), 7)
    assert result == {"resultType": "input_required", "requestState": "cs-wait1.s"}
    methods.validate_server_result(method, MODERN, result)


def test_a_link_is_shown_by_an_elicitation_that_the_sdk_reads() -> None:
    result = result_of(input_required(message(), "cs-wait1.s", URL, TEXT))
    asked = {"method": "elicitation/create", "params": {"mode": "url", "message": TEXT, "url": URL}}
    assert result == {
        "resultType": "input_required",
        "requestState": "cs-wait1.s",
        "inputRequests": {"approval": asked},
    }
    methods.validate_server_result("tools/call", MODERN, result)


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (legacy(rpc("tools/call", {"name": "export"}, rpc_id="a")), "2025-03-26"),
        (legacy(rpc("tools/call", {"name": "export"}, rpc_id="a")), "2025-11-25"),
        (modern(modern_rpc("tools/call", {"name": "export"}, rpc_id="a")), MODERN),
    ],
)
def test_a_tool_call_that_ends_waiting_is_a_result_that_models_read(request_: HttpRequest, version: str) -> None:
    result = result_of(waiting_result(read(request_).messages[0], TEXT))
    methods.validate_server_result("tools/call", version, result)
    assert result["isError"] is True
    assert result["content"] == [{"type": "text", "text": TEXT}]
    assert ("resultType" in result) == (version == MODERN)


def test_another_request_that_ends_waiting_is_an_error_with_a_code_of_ours() -> None:
    reply = waiting_result(read(legacy(rpc("resources/read", {"uri": "db://x"}, rpc_id=9))).messages[0], TEXT)
    error = jsonrpc_message_adapter.validate_json(reply.body)
    assert isinstance(error, JSONRPCError)
    assert (reply.status, error.id, error.error.code, error.error.message) == (200, 9, WAITING, TEXT)
    assert not -32768 <= WAITING <= -32000


@pytest.mark.parametrize(
    "request_",
    [legacy(notification("notifications/x")), HttpRequest("GET", {"accept": "text/event-stream"}, b"")],
)
def test_what_awaits_no_answer_is_never_told_that_it_was_taken(request_: HttpRequest) -> None:
    reply = waiting_result(read(request_).messages[0], TEXT)
    error = jsonrpc_message_adapter.validate_json(reply.body)
    assert isinstance(error, JSONRPCError)
    assert (reply.status, error.id) == (403, None)


def test_a_task_begins_flat_as_its_extension_writes_it() -> None:
    result = result_of(task_started(message(), TASK))
    assert result == {
        "resultType": "task",
        "taskId": "cs-task1.x",
        "status": "working",
        "statusMessage": TEXT,
        "createdAt": "2026-11-21T22:00:00.123Z",
        "lastUpdatedAt": "2026-11-21T22:00:01.000Z",
        "ttlMs": 900_000,
        "pollIntervalMs": 5_000,
    }


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (TaskStatus.WORKING, {}),
        (TaskStatus.CANCELLED, {}),
        (TaskStatus.FAILED, {"error": {"code": 4030, "message": TEXT}}),
        (
            TaskStatus.COMPLETED,
            {"result": {"content": [{"type": "text", "text": TEXT}], "isError": True, "resultType": "complete"}},
        ),
    ],
)
def test_a_task_tells_how_it_stands_and_how_it_ended(status: TaskStatus, end: dict[str, Any]) -> None:
    task = Task(TASK.id, status, TEXT, TASK.created_us, TASK.updated_us, TASK.ttl_ms, TASK.poll_ms)
    result = result_of(task_state(message("tasks/get"), task))
    begun = result_of(task_started(message(), task))
    assert result == {**begun, "resultType": "complete", "status": status.value, **end}


def test_the_end_of_a_task_is_a_result_that_the_tool_could_have_given() -> None:
    task = Task(TASK.id, TaskStatus.COMPLETED, TEXT, 0, 0, 0, 0)
    result = result_of(task_state(message("tasks/get"), task))
    methods.validate_server_result("tools/call", MODERN, result["result"])
    assert result["createdAt"] == "1970-01-01T00:00:00.000Z"


def test_other_requests_about_a_task_are_acknowledged() -> None:
    assert result_of(task_acknowledged(message("tasks/cancel"))) == {"resultType": "complete"}


def test_plain_http_is_told_where_to_look_and_when_to_come_back() -> None:
    reply = accepted_later("/approvals/a1", 30, TEXT)
    assert (reply.status, reply.content_type) == (202, "application/json")
    assert reply.headers == (
        ("location", "/approvals/a1"),
        ("retry-after", "30"),
        ("preference-applied", "respond-async"),
    )
    assert json.loads(reply.body) == {"status": "waiting", "message": TEXT, "location": "/approvals/a1"}


@pytest.mark.parametrize("location", ["", "/a b", "/a\r\nset-cookie: x", "/\u00e9"])
def test_no_location_writes_another_header(location: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        accepted_later(location, 30, TEXT)
