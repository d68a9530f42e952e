"""What well-formed requests of both eras are read as."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from countersign.mcp import Era, HttpRequest, MessageKind
from countersign.model.call import Call, NameKind
from tests.unit.mcp.requests import HEADERS, META, MODERN, legacy, modern, modern_rpc, notification, read, rpc


def test_the_call_is_made_from_the_body() -> None:
    body = '{"jsonrpc":"2.0","id":7,"method":"tools/call","params": {"name":"query", "arguments":{"n":1.50}} }'
    request = read(legacy(body, mcp_session_id="abc"))
    (message,) = request.messages
    assert message.call == Call(
        "orders", "tools/call", "query", NameKind.TOOL, '{"name":"query", "arguments":{"n":1.50}}'
    )
    assert (message.kind, message.rpc_id, message.id_json, message.era) == (MessageKind.REQUEST, 7, "7", Era.LEGACY)
    assert (request.era, request.protocol_version, request.session_id) == (Era.LEGACY, "2025-11-25", "abc")
    assert request.wants_stream
    assert not request.is_batch


@pytest.mark.parametrize(
    ("method", "params", "kind", "name"),
    [
        ("tools/call", {"name": "query"}, NameKind.TOOL, "query"),
        ("prompts/get", {"name": "greet"}, NameKind.PROMPT, "greet"),
        ("resources/read", {"uri": "db://orders/1"}, NameKind.RESOURCE, "db://orders/1"),
        ("resources/read", {"uri": "db://A/%2F%20%7E%C3%A9"}, NameKind.RESOURCE, "db://A/%2F%20%7E%C3%A9"),
        ("resources/read", {"uri": "no URI: at all"}, NameKind.RESOURCE, "no URI: at all"),
        ("resources/subscribe", {"uri": "db://x"}, NameKind.RESOURCE, "db://x"),
        ("resources/unsubscribe", {"uri": "db://x"}, NameKind.RESOURCE, "db://x"),
        ("completion/complete", {"ref": {"type": "ref/prompt", "name": "greet"}}, NameKind.PROMPT, "greet"),
        ("completion/complete", {"ref": {"type": "ref/resource", "uri": "db://{t}"}}, NameKind.RESOURCE, "db://{t}"),
        ("tools/list", {}, NameKind.NONE, ""),
        ("vendor/own", {"name": "x"}, NameKind.NONE, ""),
    ],
)
def test_a_method_names_what_it_names(method: str, params: dict[str, Any], kind: NameKind, name: str) -> None:
    call = read(legacy(rpc(method, params))).messages[0].call
    assert call is not None
    assert (call.name_kind, call.name) == (kind, name)


@pytest.mark.parametrize(
    ("sent", "rpc_id"),
    [("1", 1), ("0", 0), ("-7", -7), ("9007199254740991", 2**53 - 1), ('"a\\u0062"', "ab"), ('""', ""), ('"1"', "1")],
)
def test_an_id_keeps_its_type_and_its_meaning(sent: str, rpc_id: str | int) -> None:
    message = read(legacy(f'{{"jsonrpc":"2.0","id":{sent},"method":"ping"}}')).messages[0]
    assert message.rpc_id == rpc_id
    assert type(message.rpc_id) is type(rpc_id)
    assert json.loads(message.id_json) == rpc_id


def test_a_modern_request_is_read() -> None:
    request = read(modern(modern_rpc("tools/call", {"name": "query", "arguments": {}})))
    assert (request.era, request.protocol_version) == (Era.MODERN, MODERN)
    assert request.messages[0].era is Era.MODERN


@pytest.mark.parametrize("name", ["größe", " edge ", "=?base64?eA==?="])
def test_an_encoded_name_header_is_decoded_before_it_is_compared(name: str) -> None:
    encoded = f"=?base64?{base64.b64encode(name.encode()).decode()}?="
    assert read(modern(modern_rpc("tools/call", {"name": name}), mcp_name=encoded)).era is Era.MODERN


def test_an_extension_may_repeat_any_string_of_its_params_as_name() -> None:
    assert read(modern(modern_rpc("vendor/own", {"thing": "x"}), mcp_name="x")).era is Era.MODERN


def test_a_modern_notification_needs_no_envelope() -> None:
    request = read(modern(notification("notifications/cancelled", {"requestId": 1}), mcp_method=None))
    assert (request.era, request.messages[0].kind) == (Era.MODERN, MessageKind.NOTIFICATION)
    assert request.messages[0].id_json == ""


def test_no_version_means_the_oldest_one() -> None:
    assert read(legacy(rpc("ping"), mcp_protocol_version=None)).protocol_version == "2025-03-26"


def test_initialize_is_legacy_and_offers_a_version() -> None:
    params = {"protocolVersion": "2099-01-01", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    request = read(legacy(rpc("initialize", params), mcp_protocol_version=None))
    assert (request.era, request.protocol_version) == (Era.LEGACY, "2099-01-01")


@pytest.mark.parametrize("outcome", [{"result": {}}, {"error": {"code": -1, "message": "no"}}])
def test_a_legacy_client_may_answer_the_server(outcome: dict[str, Any]) -> None:
    message = read(legacy({"jsonrpc": "2.0", "id": "s-1", **outcome})).messages[0]
    assert (message.kind, message.call, message.rpc_id) == (MessageKind.RESPONSE, None, "s-1")


@pytest.mark.parametrize("version", ["2025-03-26", None])
def test_every_message_of_a_batch_is_judged(version: str | None) -> None:
    batch = [rpc("tools/call", {"name": "a"}), notification("notifications/initialized"), rpc("ping", rpc_id="1")]
    request = read(legacy(batch, mcp_protocol_version=version))
    calls = [message.call for message in request.messages]
    assert [call and (call.method, call.name) for call in calls] == [
        ("tools/call", "a"),
        ("notifications/initialized", ""),
        ("ping", ""),
    ]
    assert calls[0] is not None
    assert calls[0].params_json == '{"name": "a"}'
    assert request.is_batch
    assert read(legacy([rpc("ping")], mcp_protocol_version=version)).is_batch


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "text/*;q=0.5", "application/json,Text/Event-Stream"])
def test_a_legacy_get_opens_the_servers_stream(accept: str) -> None:
    request = read(HttpRequest("GET", {"accept": accept, "mcp-session-id": "s"}, b""))
    message = request.messages[0]
    assert (message.kind, message.call) == (MessageKind.BARE, Call("orders", "GET"))
    assert (request.era, request.session_id, request.wants_stream) == (Era.LEGACY, "s", True)


def test_a_legacy_delete_ends_a_session() -> None:
    request = read(HttpRequest("DELETE", {"mcp-session-id": "s", "mcp-protocol-version": "2025-06-18"}, b""))
    assert request.messages[0].call == Call("orders", "DELETE")
    assert request.protocol_version == "2025-06-18"


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_utf8_json_is_accepted_however_it_is_written(content_type: str) -> None:
    assert read(legacy(rpc("ping"), content_type=content_type))


def test_a_client_may_do_without_a_stream() -> None:
    assert not read(
        HttpRequest("POST", {**HEADERS, "accept": "application/json"}, json.dumps(rpc("ping")).encode())
    ).wants_stream


def test_headers_that_are_true_are_welcome_in_the_legacy_era_too() -> None:
    assert read(legacy(rpc("tools/call", {"name": "q"}), mcp_method="tools/call", mcp_name="q")).era is Era.LEGACY


def test_meta_of_others_is_not_our_business() -> None:
    assert read(modern(rpc("tools/list", {"_meta": {**META, "vendor/x": 1, "progressToken": "p"}}))).era is Era.MODERN


@pytest.mark.parametrize("value", ["eu", "10", "10.0", "true", "=?base64?Z3LDtsOfZQ==?="])
def test_a_header_may_repeat_an_argument(value: str) -> None:
    arguments = {"region": "eu", "limits": {"rows": 10, "exact": True, "unit": "größe"}}
    request = read(modern(modern_rpc("tools/call", {"name": "query", "arguments": arguments}), mcp_param_x=value))
    assert request.messages[0].call is not None
