"""The gateway's own answers are what clients of either era can read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_types import UnsupportedProtocolVersionErrorData, jsonrpc_message_adapter, methods
from mcp_types.jsonrpc import JSONRPCError, JSONRPCResponse

from countersign.mcp import DENIED, Failure, HttpRequest, McpRefused, denied, denied_batch, failed, refused
from tests.unit.mcp.requests import legacy, modern, modern_rpc, notification, read, rpc

TEXT = 'no "exports"\n\u2028 \\ </script>'


def error_of(body: bytes) -> JSONRPCError:
    message = jsonrpc_message_adapter.validate_json(body)
    assert isinstance(message, JSONRPCError)
    return message


def refusal_of(request: HttpRequest) -> McpRefused:
    with pytest.raises(McpRefused) as caught:
        read(request)
    return caught.value


@pytest.mark.parametrize(
    ("request_", "version"),
    [
        (legacy(rpc("tools/call", {"name": "export"}, rpc_id="a")), "2025-11-25"),
        (legacy(rpc("tools/call", {"name": "export"}, rpc_id="a")), "2025-03-26"),
        (modern(modern_rpc("tools/call", {"name": "export"}, rpc_id="a")), "2026-07-28"),
    ],
)
def test_a_denied_tool_call_is_a_tool_result_that_says_so(request_: HttpRequest, version: str) -> None:
    reply = denied(read(request_).messages[0], TEXT)
    message = jsonrpc_message_adapter.validate_json(reply.body)
    assert isinstance(message, JSONRPCResponse)
    assert (reply.status, message.id) == (200, "a")
    methods.validate_server_result("tools/call", version, message.result)
    assert message.result["isError"] is True
    assert message.result["content"] == [{"type": "text", "text": TEXT}]
    assert ("resultType" in message.result) == (version == "2026-07-28")


def test_a_denied_request_of_another_method_is_an_error_with_a_code_of_ours() -> None:
    reply = denied(read(legacy(rpc("resources/read", {"uri": "db://x"}, rpc_id=9))).messages[0], TEXT)
    error = error_of(reply.body)
    assert (reply.status, error.id, error.error.code, error.error.message) == (200, 9, DENIED, TEXT)


@pytest.mark.parametrize(
    "request_",
    [
        legacy(notification("notifications/initialized")),
        legacy({"jsonrpc": "2.0", "id": 5, "result": {}}),
        HttpRequest("GET", {"accept": "text/event-stream"}, b""),
        HttpRequest("DELETE", {"mcp-session-id": "s"}, b""),
    ],
)
def test_a_denial_that_nobody_awaits_never_pretends_success(request_: HttpRequest) -> None:
    reply = denied(read(request_).messages[0], TEXT)
    assert (reply.status, error_of(reply.body).id) == (403, None)


def test_every_request_of_a_denied_batch_is_told() -> None:
    batch = [rpc("tools/call", {"name": "x"}), notification("notifications/initialized"), rpc("ping", rpc_id=2)]
    reply = denied_batch(read(legacy(batch, mcp_protocol_version=None)).messages, TEXT)
    replies = [jsonrpc_message_adapter.validate_python(one) for one in json.loads(reply.body)]
    assert [type(one) for one in replies] == [JSONRPCResponse, JSONRPCError]
    only_notifications = read(legacy([notification("x")], mcp_protocol_version=None)).messages
    assert denied_batch(only_notifications, TEXT).status == 403


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_has_its_status_and_a_code_that_nobody_reserved(failure: Failure) -> None:
    reply = failed(failure, TEXT, '"a"')
    error = error_of(reply.body)
    assert (reply.status, error.error.code, error.id) == (failure.status, failure.code, "a")
    assert not -32768 <= failure.code <= -32000
    assert error_of(failed(failure, TEXT).body).id is None


def test_every_code_of_ours_means_one_thing() -> None:
    codes = [DENIED, *(failure.code for failure in Failure)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("request_", "status", "rpc_id"),
    [
        (legacy(b"{"), 400, None),
        (legacy(rpc("tools/call", {}, rpc_id="x")), 400, "x"),
        (legacy(rpc("ping"), content_encoding="gzip"), 415, None),
    ],
)
def test_a_refusal_is_answered_as_it_was_raised(request_: HttpRequest, status: int, rpc_id: Any) -> None:
    refusal = refusal_of(request_)
    reply = refused(refusal)
    error = error_of(reply.body)
    assert (reply.status, error.id, error.error.code) == (status, rpc_id, refusal.code)
    assert error.error.message == refusal.message


def test_an_unknown_version_is_answered_with_the_list_to_choose_from() -> None:
    reply = refused(refusal_of(legacy(rpc("ping"), mcp_protocol_version="2027-01-01")))
    data = UnsupportedProtocolVersionErrorData.model_validate(error_of(reply.body).error.data)
    assert data.requested == "2027-01-01"
    assert data.supported == ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]


def test_who_states_its_version_in_a_request_may_choose_from_those_that_are_stated_so() -> None:
    request = rpc("ping", {"_meta": {"io.modelcontextprotocol/protocolVersion": "2027-01-01"}})
    reply = refused(refusal_of(legacy(request, mcp_protocol_version="2027-01-01")))
    data = UnsupportedProtocolVersionErrorData.model_validate(error_of(reply.body).error.data)
    assert (data.requested, data.supported) == ("2027-01-01", ["2026-07-28"])


def test_a_verb_that_is_not_served_is_answered_with_those_that_are() -> None:
    reply = refused(refusal_of(HttpRequest("PUT", {}, b"")))
    assert (reply.status, reply.headers) == (405, (("allow", "GET, POST, DELETE"),))
