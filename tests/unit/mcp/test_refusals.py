"""Requests that two readers could read in two ways, each named by its defect, and how each is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from countersign.mcp import HttpRequest, McpRefused
from tests.unit.mcp.requests import (
    CAPABILITIES_KEY,
    HEADERS,
    META,
    MODERN,
    VERSION_KEY,
    legacy,
    modern,
    modern_rpc,
    notification,
    read,
    rpc,
)

CALL = modern_rpc("tools/call", {"name": "query", "arguments": {}})
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}


def request_with(**members: Any) -> dict[str, Any]:
    return {**rpc("tools/call", {"name": "query"}), **members}


def params_with(**members: Any) -> dict[str, Any]:
    return rpc("tools/call", {"name": "query", **members})


def raw(members: str) -> HttpRequest:
    return legacy(f'{{"jsonrpc":"2.0","id":1,"method":"ping"{members}}}')


def modern_meta(**changes: Any) -> dict[str, Any]:
    keys = {"version": VERSION_KEY, "capabilities": CAPABILITIES_KEY}
    meta = {**META, **{keys[name]: value for name, value in changes.items()}}
    return rpc("tools/list", {"_meta": {name: value for name, value in meta.items() if value is not ...}})


NOT_JSON = {
    "nothing": legacy(b""),
    "half an object": legacy(b'{"jsonrpc":"2.0"'),
    "two values": legacy(b"{} {}"),
    "a byte order mark": legacy(b"\xef\xbb\xbf" + json.dumps(rpc("ping")).encode()),
    "UTF-16": legacy(json.dumps(rpc("ping")).encode("utf-16")),
    "bad UTF-8": legacy(b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}'),
    "a repeated method": raw(',"method":"tools/call"'),
    "a repeated key under an escape": raw(',"\\u006dethod":"tools/call"'),
    "a repeated key deep inside": raw(',"params":{"a":[{"b":1,"b":2}]}'),
    "NaN": raw(',"params":{"a":NaN}'),
    "nested too deeply": legacy(b"[" * 100_000),
    "a comment": legacy(b'/**/{"jsonrpc":"2.0","id":1,"method":"ping"}'),
    "a single quote": legacy(b"{'jsonrpc':'2.0'}"),
}

NOT_A_MESSAGE = {
    "a string": legacy('"ping"'),
    "null": legacy("null"),
    "an empty batch": legacy([], mcp_protocol_version="2025-03-26"),
    "a batch too large": legacy([rpc("ping", rpc_id=n) for n in range(33)], mcp_protocol_version="2025-03-26"),
    "a batch in a later version": legacy([rpc("ping")]),
    "a batch in the modern era": modern([rpc("ping")]),
    "a batch within a batch": legacy([[rpc("ping")]], mcp_protocol_version=None),
    "a batch with an initialize": legacy([rpc("initialize", INITIALIZE)], mcp_protocol_version=None),
    "a batch with a repeated id": legacy([rpc("ping"), rpc("ping")], mcp_protocol_version=None),
    "a batch of requests and responses": legacy(
        [rpc("ping"), {"jsonrpc": "2.0", "id": 2, "result": {}}], mcp_protocol_version=None
    ),
    "no jsonrpc": legacy({"id": 1, "method": "ping"}),
    "jsonrpc 1.0": legacy(request_with(jsonrpc="1.0")),
    "jsonrpc as a number": legacy(request_with(jsonrpc=2.0)),
    "no method": legacy({"jsonrpc": "2.0", "id": 1}),
    "method as a number": legacy(request_with(method=1)),
    "an empty method": legacy(request_with(method="")),
    "a method with a space": legacy(request_with(method="tools/call ")),
    "a method with a NUL": legacy(request_with(method="tools/call\0")),
    "a method that is too long": legacy(request_with(method="m" * 129)),
    "a method in other letters": legacy(request_with(method="tööls/call")),
    "a method in capitals": legacy(request_with(method="TOOLS/CALL")),
    "a method with one capital": legacy(rpc("tools/Call", {"name": "query"})),
    "a method with one capital less": legacy(request_with(method="logging/setlevel")),
    "a method that is a verb": legacy(request_with(method="GET")),
    "another verb": legacy(request_with(method="DELETE")),
    "id null": legacy(request_with(id=None)),
    "id true": legacy(request_with(id=True)),
    "id with a fraction": legacy(request_with(id=1.5)),
    "id 1.0": legacy(request_with(id=1.0)),
    "id with an exponent": legacy('{"jsonrpc":"2.0","id":1e3,"method":"ping"}'),
    "id minus zero": legacy('{"jsonrpc":"2.0","id":-0,"method":"ping"}'),
    "id beyond exact integers": legacy(request_with(id=2**53)),
    "id of many digits": legacy('{"jsonrpc":"2.0","id":1' + "0" * 5000 + ',"method":"ping"}'),
    "id that is too long": legacy(request_with(id="x" * 257)),
    "id as an object": legacy(request_with(id={})),
    "a method in capitals too": legacy(request_with(Method="ping")),
    "params in capitals too": legacy(request_with(PARAMS={})),
    "only params in capitals": raw(',"Params":{"name":"x"}'),
    "id in capitals too": legacy(request_with(ID=2)),
    "params with a long s": raw(',"param\\u017f":{}'),
    "result beside method": legacy(request_with(result={})),
    "error beside method": legacy(request_with(error={"code": 1, "message": "x"})),
    "params as an array": raw(',"params":[]'),
    "params null": raw(',"params":null'),
    "a second name in capitals": legacy(params_with(Name="export")),
    "a second uri in capitals": legacy(rpc("resources/read", {"uri": "db://a", "URI": "db://b"})),
    "a second arguments in capitals": legacy(params_with(ARGUMENTS={})),
    "a second _meta in capitals": legacy(params_with(_Meta={})),
    "arguments with a long s": raw(',"params":{"argument\\u017f":{}}'),
    "a second version key in _meta": legacy(params_with(_meta={VERSION_KEY.lower(): MODERN})),
    "a second name in a reference": legacy(
        rpc("completion/complete", {"ref": {"type": "ref/prompt", "name": "a", "NAME": "b"}})
    ),
    "a key that JavaScript inherits by": raw(',"params":{"__proto__":{"name":"export"}}'),
    "the same within arguments": raw(',"params":{"arguments":{"a":[{"__proto__":null}]}}'),
    "the same under an escape": raw(',"params":{"\\u005f_prot\\u006f__":{}}'),
    "the same in a batch": legacy(
        '[{"jsonrpc":"2.0","id":1,"method":"ping","__proto__":1}]', mcp_protocol_version=None
    ),
    "a request without an id": legacy(notification("tools/call", {"name": "query"})),
    "a notification with an id": legacy(rpc("notifications/initialized")),
    "a response with result and error": legacy(
        {"jsonrpc": "2.0", "id": 1, "result": {}, "error": {"code": 1, "message": "x"}}
    ),
    "a response without an id": legacy({"jsonrpc": "2.0", "result": {}}),
    "an error with a null id": legacy({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": "x"}}),
    "a response with params": legacy({"jsonrpc": "2.0", "id": 1, "result": {}, "params": {}}),
    "a result as a string": legacy({"jsonrpc": "2.0", "id": 1, "result": "x"}),
    "an error as a string": legacy({"jsonrpc": "2.0", "id": 1, "error": "x"}),
    "an error without a code": legacy({"jsonrpc": "2.0", "id": 1, "error": {"message": "x"}}),
    "a response in the modern era": legacy({"jsonrpc": "2.0", "id": 1, "result": {}}, mcp_protocol_version=MODERN),
    "a doubled session id": legacy(rpc("ping"), mcp_session_id="a,b"),
    "a session id with a space": legacy(rpc("ping"), mcp_session_id="a b"),
    "an empty session id": legacy(rpc("ping"), mcp_session_id=""),
    "a session id that is too long": legacy(rpc("ping"), mcp_session_id="x" * 1025),
    "a session id with a control character": legacy(rpc("ping"), mcp_session_id="a\x7f"),
    "a GET with a body": HttpRequest("GET", {"accept": "text/event-stream"}, b"{}"),
    "a DELETE with a body": HttpRequest("DELETE", {"mcp-session-id": "s"}, b"{}"),
    "a DELETE of no session": HttpRequest("DELETE", {}, b""),
}

BAD_PARAMS = {
    "a tool without a name": legacy(rpc("tools/call", {"arguments": {}})),
    "a tool without params": legacy(rpc("tools/call")),
    "a tool named by a number": legacy(rpc("tools/call", {"name": 1})),
    "a tool named by null": legacy(rpc("tools/call", {"name": None})),
    "a tool with an empty name": legacy(rpc("tools/call", {"name": ""})),
    "a tool name with a line break": legacy(rpc("tools/call", {"name": "query\n"})),
    "a tool name that is too long": legacy(rpc("tools/call", {"name": "x" * 4097})),
    "a progress token that is true": legacy(params_with(_meta={"progressToken": True})),
    "a progress token that is null": legacy(params_with(_meta={"progressToken": None})),
    "a progress token with a fraction": legacy(params_with(_meta={"progressToken": 1.0})),
    "a progress token beyond exact integers": legacy(params_with(_meta={"progressToken": 2**53})),
    "progress of true": legacy(notification("notifications/progress", {"progressToken": True, "progress": 1})),
    "arguments as an array": legacy(rpc("tools/call", {"name": "query", "arguments": []})),
    "arguments as a string": legacy(rpc("tools/call", {"name": "query", "arguments": "{}"})),
    "a prompt without a name": legacy(rpc("prompts/get", {})),
    "a resource without a URI": legacy(rpc("resources/read", {"name": "x"})),
    "a subscription without a URI": legacy(rpc("resources/subscribe", {})),
    "a URI that climbs": legacy(rpc("resources/read", {"uri": "file:///public/../secret"})),
    "a URI that climbs under escapes": legacy(rpc("resources/read", {"uri": "file:///public/%2E%2e%2fsecret"})),
    "a URI that climbs by backslash": legacy(rpc("resources/read", {"uri": "file:///public\\..\\secret"})),
    "a URI with a scheme in capitals": legacy(rpc("resources/read", {"uri": "File:///etc/passwd"})),
    "a URI with escaped letters": legacy(rpc("resources/read", {"uri": "file:///%65tc/passwd"})),
    "a URI with escaped capitals": legacy(rpc("resources/read", {"uri": "db://%50eople"})),
    "a URI with an escaped digit": legacy(rpc("resources/subscribe", {"uri": "db://orders/%31"})),
    "a URI with an escaped underscore": legacy(rpc("resources/read", {"uri": "db://all%5Forders"})),
    "a completion of an escaped URI": legacy(
        rpc("completion/complete", {"ref": {"type": "ref/resource", "uri": "db://%7A"}})
    ),
    "a completion without a reference": legacy(rpc("completion/complete", {"argument": {}})),
    "a completion of something else": legacy(rpc("completion/complete", {"ref": {"type": "ref/tool", "name": "x"}})),
    "a completion of a nameless prompt": legacy(rpc("completion/complete", {"ref": {"type": "ref/prompt"}})),
    "an initialize without a version": legacy(rpc("initialize", {}), mcp_protocol_version=None),
    "_meta as an array": legacy(rpc("tools/list", {"_meta": []})),
    "no _meta in the modern era": legacy(rpc("tools/list"), mcp_protocol_version=MODERN, mcp_method="tools/list"),
    "no version in the modern _meta": modern(modern_meta(version=...)),
    "a version that is a number": modern(modern_meta(version=20260728)),
    "a version that is null": modern(modern_meta(version=None)),
    "a version that is null under a legacy header": legacy(modern_meta(version=None)),
    "no capabilities in the modern _meta": modern(modern_meta(capabilities=...)),
    "capabilities as a list": modern(modern_meta(capabilities=[])),
}

ARGUED = {"name": "query", "arguments": {"region": "eu", "limits": {"rows": 10, "exact": True}}}

HEADERS_THAT_LIE = {
    "another method": modern(CALL, mcp_method="tools/list"),
    "a method in capitals": modern(CALL, mcp_method="Tools/Call"),
    "a doubled method": modern(CALL, mcp_method="tools/call,tools/call"),
    "no method": modern(CALL, mcp_method=None),
    "another name": modern(CALL, mcp_name="list_tables"),
    "a doubled name": modern(CALL, mcp_name="query,query"),
    "no name": modern(CALL, mcp_name=None),
    "an empty name": modern(CALL, mcp_name=""),
    "an encoded other name": modern(CALL, mcp_name="=?base64?eA==?="),
    "a name of bad base64": modern(CALL, mcp_name="=?base64?cXVlcnk?="),
    "a name of loose base64": modern(modern_rpc("tools/call", {"name": "q"}), mcp_name="=?base64?cR==?="),
    "a name of bad UTF-8": modern(CALL, mcp_name="=?base64?/w==?="),
    "a raw name that needs encoding": modern(modern_rpc("tools/call", {"name": "größe"}), mcp_name="größe"),
    "another URI": modern(modern_rpc("resources/read", {"uri": "db://a"}), mcp_name="db://b"),
    "another task": modern(modern_rpc("tasks/get", {"taskId": "a"}), mcp_name="b"),
    "a name where there is none": modern(modern_rpc("tools/list"), mcp_name="query"),
    "a lie in the legacy era": legacy(rpc("tools/call", {"name": "query"}), mcp_method="tools/list"),
    "a lying name in the legacy era": legacy(rpc("tools/call", {"name": "query"}), mcp_name="export"),
    "a method for a response": legacy({"jsonrpc": "2.0", "id": 1, "result": {}}, mcp_method="ping"),
    "a method for a batch": legacy([rpc("ping")], mcp_protocol_version=None, mcp_method="ping"),
    "a method for a GET": HttpRequest("GET", {"accept": "*/*", "mcp-method": "tools/call"}, b""),
    "a parameter that is no argument": modern(
        modern_rpc("tools/call", ARGUED), mcp_name="query", mcp_param_region="us"
    ),
    "a parameter without arguments": modern(modern_rpc("tools/list"), mcp_param_region="eu"),
    "a parameter in bad base64": modern(modern_rpc("tools/call", ARGUED), mcp_param_region="=?base64?ZXU?="),
    "a parameter for a batch": legacy([rpc("ping")], mcp_protocol_version=None, mcp_param_region="eu"),
    "a parameter for a GET": HttpRequest("GET", {"accept": "*/*", "mcp-param-region": "eu"}, b""),
    "a doubled version": modern(CALL, mcp_protocol_version=f"{MODERN},{MODERN}"),
    "two versions": modern(CALL, mcp_protocol_version=f"2025-06-18,{MODERN}"),
    "an empty version": legacy(rpc("ping"), mcp_protocol_version=""),
    "a version with a script": legacy(rpc("ping"), mcp_protocol_version="<b>"),
    "no version header in the modern era": modern(CALL, mcp_protocol_version=None),
    "a legacy header with a modern _meta": modern(CALL, mcp_protocol_version="2025-11-25"),
    "a modern header with a legacy _meta": modern(modern_meta(version="2025-11-25")),
    "initialize under a modern header": legacy(rpc("initialize", INITIALIZE), mcp_protocol_version=MODERN),
    "a batch that holds a modern request": legacy([modern_rpc("tools/list")], mcp_protocol_version=None),
}

UNKNOWN_VERSIONS = {
    "of tomorrow, by header": legacy(rpc("ping"), mcp_protocol_version="2027-01-01"),
    "of tomorrow, by both": modern(modern_meta(version="2027-01-01"), mcp_protocol_version="2027-01-01"),
    "before HTTP": legacy(rpc("ping"), mcp_protocol_version="2024-11-05"),
    "of a response": legacy({"jsonrpc": "2.0", "id": 1, "result": {}}, mcp_protocol_version="x"),
    "of a batch": legacy([rpc("ping")], mcp_protocol_version="x"),
    "of a GET": HttpRequest("GET", {"accept": "*/*", "mcp-protocol-version": "x"}, b""),
    "a legacy one that claims to be in _meta": modern(
        modern_meta(version="2025-11-25"), mcp_protocol_version="2025-11-25"
    ),
}

# As servers must answer what they do not implement (MCP 2026-07-28, Streamable HTTP).
GONE_IN_THE_MODERN_ERA = {
    "initialize": modern(modern_rpc("initialize", INITIALIZE)),
    "ping": modern(modern_rpc("ping")),
    "logging/setLevel": modern(modern_rpc("logging/setLevel", {"level": "info"})),
    "resources/subscribe": modern(modern_rpc("resources/subscribe")),
    "resources/unsubscribe": modern(modern_rpc("resources/unsubscribe", {"uri": "db://a"})),
    "tasks/list": modern(modern_rpc("tasks/list")),
    "tasks/result": modern(modern_rpc("tasks/result", {"taskId": "a"})),
}

WRONG_MEDIA = {
    "no content type": legacy(rpc("ping"), content_type=None),
    "text": legacy(rpc("ping"), content_type="text/plain"),
    "a form": legacy(rpc("ping"), content_type="application/x-www-form-urlencoded"),
    "nearly JSON": legacy(rpc("ping"), content_type="application/json-seq"),
    "a doubled content type": legacy(rpc("ping"), content_type="application/json,application/json"),
    "two content types": legacy(rpc("ping"), content_type="application/json,text/plain"),
    "another charset": legacy(rpc("ping"), content_type="application/json; charset=utf-7"),
    "two charsets": legacy(rpc("ping"), content_type="application/json; charset=utf-8; charset=utf-16"),
    "gzip": legacy(rpc("ping"), content_encoding="gzip"),
    "identity": legacy(rpc("ping"), content_encoding="identity"),
    "an empty encoding": legacy(rpc("ping"), content_encoding=""),
    "gzip on a GET": HttpRequest("GET", {"accept": "*/*", "content-encoding": "gzip"}, b""),
}


def cases(table: dict[str, HttpRequest], status: int, code: int) -> list[Any]:
    return [pytest.param(request, status, code, id=name) for name, request in table.items()]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        *cases(NOT_JSON, 400, -32700),
        *cases(NOT_A_MESSAGE, 400, -32600),
        *cases(BAD_PARAMS, 400, -32602),
        *cases(HEADERS_THAT_LIE, 400, -32020),
        *cases(UNKNOWN_VERSIONS, 400, -32022),
        *cases(GONE_IN_THE_MODERN_ERA, 404, -32601),
        *cases(WRONG_MEDIA, 415, -32600),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(request_: HttpRequest, status: int, code: int) -> None:
    with pytest.raises(McpRefused) as caught:
        read(request_)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize(
    ("verb", "headers", "status", "allow"),
    [
        ("GET", {"accept": "text/event-stream", "mcp-protocol-version": MODERN}, 405, "POST"),
        ("DELETE", {"mcp-session-id": "s", "mcp-protocol-version": MODERN}, 405, "POST"),
        ("PUT", HEADERS, 405, "GET, POST, DELETE"),
        ("post", HEADERS, 405, "GET, POST, DELETE"),
        ("GET", {"accept": "application/json"}, 406, ""),
        ("GET", {}, 406, ""),
    ],
)
def test_verbs_that_an_era_lacks_are_refused(verb: str, headers: dict[str, str], status: int, allow: str) -> None:
    with pytest.raises(McpRefused) as caught:
        read(HttpRequest(verb, headers, b""))
    assert (caught.value.status, caught.value.allow) == (status, allow)


def test_a_refusal_gives_the_id_back_once_it_was_read() -> None:
    for request, id_json in (
        (modern(CALL, mcp_method="x"), "1"),
        (legacy(rpc("tools/call", {}, rpc_id="a-1")), '"a-1"'),
        (legacy({"jsonrpc": "3", "id": 12, "method": "ping"}), "12"),
        (legacy({"jsonrpc": "2.0", "id": 1.5, "method": "ping"}), ""),
        (legacy(b"{"), ""),
    ):
        with pytest.raises(McpRefused) as caught:
            read(request)
        assert caught.value.id_json == id_json


def test_no_refusal_quotes_what_was_sent() -> None:
    canary = "c4n4ry"
    for request in (
        legacy(f'{{"{canary}":1,"{canary}":2}}'),
        legacy(rpc("tools/call", {"name": [canary]})),
        legacy(rpc("tools/call", {"name": canary, "arguments": canary})),
        legacy(rpc(f"{canary} ")),
        legacy(rpc("ping", rpc_id=[canary])),
        legacy(rpc("ping"), mcp_session_id=f"{canary} "),
        modern(CALL, mcp_name=canary),
        legacy(rpc("ping"), content_type=canary),
        legacy(f'"{canary}\x01"'),
    ):
        with pytest.raises(McpRefused) as caught:
            read(request)
        assert canary not in str(caught.value) + caught.value.data_json
