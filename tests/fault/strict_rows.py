"""What is refused, in the words of docs/mcp.md: for each line of its table the requests that must meet it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.clients import LEGACY, MODERN, Rpc, call

TOOL = "query"
VERSION, CAPABILITIES = "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities"
BATCHES = "2025-03-26"


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that is malformed in one way. ``id`` is what its refusal must carry.

    ``headers`` replace those of a good request, or take one away where they say ``None``; ``lines`` are added.
    """

    body: bytes = b""
    headers: Mapping[str, str | None] = field(default_factory=dict)
    lines: tuple[tuple[str, str] | bytes, ...] = ()
    verb: str = "POST"
    query: str = ""
    id: object = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: its words, status and code, and what must meet it."""

    kind: str
    status: int
    code: int
    cases: Mapping[str, Sent]


def good(era: str = MODERN) -> Rpc:
    """The call that passes, if nothing is wrong with it."""
    return call(TOOL, {"marker": "", "limit": 7})


CALL = good().body(MODERN)
OLD_CALL = good().body(LEGACY)
OLD: Mapping[str, str | None] = {"mcp-protocol-version": "2025-11-25", "mcp-method": None, "mcp-name": None}
UNSTATED: Mapping[str, str | None] = {**OLD, "mcp-protocol-version": None}
BATCHED: Mapping[str, str | None] = {**OLD, "mcp-protocol-version": BATCHES}


def bent(old: bytes, new: bytes, body: bytes = CALL) -> bytes:
    """A body with one thing replaced."""
    assert old in body, old
    return body.replace(old, new, 1)


def modern(body: bytes, rpc_id: object = 1, **headers: str | None) -> Sent:
    """A body with the headers of the good call, but for these."""
    return Sent(body, {name.replace("_", "-"): value for name, value in headers.items()}, id=rpc_id)


def legacy(method: str, params: object = None, rpc_id: object = 1) -> Sent:
    """A legacy request of that method."""
    message = {"jsonrpc": "2.0", "id": rpc_id, "method": method, "params": params}
    return Sent(json.dumps(message).encode(), OLD, id=rpc_id)


def asked(method: str, params: Mapping[str, object], **headers: str | None) -> Sent:
    """A modern request of that method, complete but for what is wrong with it."""
    rpc = Rpc(method, dict(params))
    plain: dict[str, str | None] = {"mcp-method": method, "mcp-name": None}
    return Sent(rpc.body(MODERN), plain | {name.replace("_", "-"): value for name, value in headers.items()}, id=1)


def meta(**members: object) -> bytes:
    """The good call with other ``_meta``: names of members are those of MCP without their prefix."""
    named = {f"io.modelcontextprotocol/{name}": value for name, value in members.items()}
    return json.dumps(
        {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": TOOL, "arguments": {}, "_meta": named}, "id": 1}
    ).encode()


def packed(text: str) -> str:
    """A header's value in the form for what no header may hold."""
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def uris(*texts: str) -> dict[str, Sent]:
    return {text: legacy("resources/read", {"uri": text}) for text in texts}


_FRAME = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call"'
_OLD_PING = b'{"jsonrpc": "2.0", "id": 2, "method": "ping"}'
_ANSWER = b'{"jsonrpc": "2.0", "id": 1, "result": {}}'
_NOTE = b'{"jsonrpc": "2.0", "method": "notifications/cancelled"}'
_INIT = b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-03-26"}}'

_BAD_NAMES: Mapping[str, dict[str, object]] = {
    "missing": {},
    "empty": {"name": ""},
    "no string": {"name": [TOOL]},
    "a number": {"name": 1},
    "null": {"name": None},
    "too long": {"name": "x" * 4097},
    "a line break": {"name": f"{TOOL}\n"},
    "a NUL": {"name": f"{TOOL}\0"},
    "DEL": {"name": f"{TOOL}\x7f"},
}
NO_NAMES: Mapping[str, Sent] = {
    **{f"tools/call, {what}": legacy("tools/call", {**params, "arguments": {}}) for what, params in _BAD_NAMES.items()},
    "prompts/get": legacy("prompts/get", {}),
    "resources/read": legacy("resources/read", {}),
    "resources/subscribe": legacy("resources/subscribe", {"uri": ""}),
    "resources/unsubscribe": legacy("resources/unsubscribe", {"uri": 1}),
    "completion/complete": legacy("completion/complete", {"ref": {"type": "ref/prompt"}, "argument": {}}),
}

ROWS: tuple[Row, ...] = (
    Row(
        "a body that is not JSON (RFC 8259) in UTF-8, has a byte order mark, lone surrogates, trailing bytes, a key "
        "repeated in one object at any depth, or is nested too deeply",
        400,
        -32700,
        {
            name: Sent(body)
            for name, body in {
                "nothing": b"",
                "no JSON": b"query please",
                "half a text": CALL[:-1],
                "two texts": CALL + CALL,
                "two texts on lines": CALL + b"\n" + CALL,
                "trailing bytes": CALL + b"\x00",
                "a byte order mark": b"\xef\xbb\xbf" + CALL,
                "UTF-16": CALL.decode().encode("utf-16"),
                "UTF-32": CALL.decode().encode("utf-32-le"),
                "not UTF-8": bent(b'"marker": ""', b'"marker": "\xff"'),
                "overlong UTF-8": bent(b'"marker": ""', b'"marker": "\xc0\xaf"'),
                "a surrogate in UTF-8": bent(b'"marker": ""', b'"marker": "\xed\xa0\x80"'),
                "a lone surrogate": bent(b'"marker": ""', b'"marker": "\\ud800"'),
                "a low surrogate": bent(b'"marker": ""', b'"marker": "\\udc00\\ud800"'),
                "a repeated key": bent(b'"name": "query"', b'"name": "query", "name": "export"'),
                "a repeated key, escaped": bent(b'"name": "query"', b'"name": "query", "n\\u0061me": "export"'),
                "a repeated key, deep": bent(b'"marker": ""', b'"a": {"b": 1, "b": 2}'),
                "a repeated method": bent(b'"method"', b'"method": "ping", "method"'),
                "a repeated id": bent(b'"id": 1', b'"id": 1, "id": 1'),
                "deep nesting": bent(b'"marker": ""', b'"a": ' + b"[" * 500 + b"]" * 500),
                "deeper nesting": b"[" * 100_000,
                "NaN": bent(b'"marker": ""', b'"a": NaN'),
                "Infinity": bent(b'"marker": ""', b'"a": -Infinity'),
                "a comment": bent(b'"marker": ""', b'"a": 1 /* b */'),
                "a trailing comma": bent(b'"marker": ""', b'"a": [1,]'),
                "single quotes": bent(b'"marker": ""', b"'marker': ''"),
                "a bare control character": bent(b'"marker": ""', b'"marker": "\t"'),
                "a leading zero": bent(b'"limit": 7', b'"limit": 07'),
                "a plus": bent(b'"limit": 7', b'"limit": +7'),
                "hexadecimal": bent(b'"limit": 7', b'"limit": 0x7'),
                "a bare point": bent(b'"limit": 7', b'"limit": 7.'),
                "a no-break space": bent(b'"limit": 7', b'"limit":\xc2\xa07'),
                "a form feed": bent(b'"limit": 7', b'"limit":\x0c7'),
                "an escape that is none": bent(b'"marker": ""', b'"marker": "\\x41"'),
            }.items()
        },
    ),
    Row(
        "not one JSON-RPC 2.0 object; `method` together with `result` or `error`; `params` that are no object",
        400,
        -32600,
        {
            "a scalar": modern(b'"query"', None),
            "null": modern(b"null", None),
            "a number": modern(b"1", None),
            "no version": modern(bent(b'"jsonrpc": "2.0", ', b"")),
            "another version": modern(bent(b'"jsonrpc": "2.0"', b'"jsonrpc": "1.0"')),
            "a version that is a number": modern(bent(b'"jsonrpc": "2.0"', b'"jsonrpc": 2.0')),
            "a result besides": modern(bent(b'"id": 1', b'"id": 1, "result": {}')),
            "an error besides": modern(bent(b'"id": 1', b'"id": 1, "error": {"code": 1, "message": ""}')),
            "neither": modern(b'{"jsonrpc": "2.0", "id": 1}'),
            "params in a list": modern((_FRAME + ', "params": ["query"]}').encode()),
            "params that are null": modern((_FRAME + ', "params": null}').encode()),
        },
    ),
    Row(
        "a key, or a method, that differs from a known one only in case (`Method`, `PARAMS`, `params.Name`, `_meta` "
        "keys; `Tools/Call`)",
        400,
        -32600,
        {
            "Method": modern(bent(b'"method"', b'"Method": "ping", "method"')),
            "PARAMS": modern(bent(b'"params"', b'"PARAMS": {}, "params"')),
            "Id": modern(bent(b'"id": 1', b'"id": 1, "Id": 2')),
            "params.Name": modern(bent(b'"name": "query"', b'"name": "query", "Name": "export"')),
            "params.Arguments": modern(bent(b'"arguments"', b'"Arguments": {}, "arguments"')),
            "_META": modern(bent(b'"_meta"', b'"_META": {}, "_meta"')),
            "a key of _meta": modern(
                bent(b'"_meta": {', b'"_meta": {"io.modelcontextprotocol/protocolversion": "x", ')
            ),
            "Tools/Call": Sent(bent(b"tools/call", b"Tools/Call"), {"mcp-method": "Tools/Call"}, id=1),
            "a Kelvin sign": modern(bent(b'"arguments"', b'"_meta\xe2\x84\xaa": 1, "Uri": 1, "arguments"')),
        },
    ),
    Row(
        "an id that is null, a fraction, written with an exponent, beyond ±(2⁵³-1), or longer than 256 characters",
        400,
        -32600,
        {
            name: Sent(bent(b'"id": 1', b'"id": ' + text.encode()))
            for name, text in {
                "null": "null",
                "a fraction": "1.5",
                "a whole fraction": "1.0",
                "an exponent": "1e0",
                "too large": str(2**53),
                "too small": str(-(2**53)),
                "far too large": "9" * 400,
                "minus zero": "-0",
                "true": "true",
                "a list": "[1]",
                "an object": "{}",
                "too long": json.dumps("x" * 257),
            }.items()
        },
    ),
    Row(
        "a key `__proto__` at any depth, however it is spelt: JavaScript drops it or lets the object inherit from it",
        400,
        -32600,
        {
            "in the arguments": Sent(bent(b'"marker": ""', b'"__proto__": {"a": 1}')),
            "at the top": Sent(bent(b'"id": 1', b'"id": 1, "__proto__": {"method": "ping"}')),
            "escaped": Sent(bent(b'"marker": ""', b'"a": [{"\\u005f_proto__": 1}]')),
        },
    ),
    Row(
        "a `progressToken` that an id could not be: some targets take `true` for 1",
        400,
        -32602,
        {
            text: modern(bent(b'"_meta": {', b'"_meta": {"progressToken": ' + text.encode() + b", "))
            for text in ("true", "1.5", "null", "[]", "1e3")
        },
    ),
    Row(
        "a method longer than 128 characters, not visible ASCII, or called `GET` or `DELETE`",
        400,
        -32600,
        {
            **{text[:10]: legacy(text) for text in ("x" * 129, "tools call", "tools/cäll", "", "GET", "DELETE")},
            "no string": Sent(b'{"jsonrpc": "2.0", "id": 1, "method": 1}', OLD, id=1),
            "null": Sent(b'{"jsonrpc": "2.0", "id": 1, "method": null}', OLD, id=1),
        },
    ),
    Row(
        "a known request without an id; a `notifications/…` message with one",
        400,
        -32600,
        {
            "a call without an id": modern(bent(b', "id": 1', b""), None),
            "the same, legacy": Sent(bent(b', "id": 1', b"", OLD_CALL), OLD),
            "a notification with an id": legacy("notifications/cancelled", {"requestId": 1}),
        },
    ),
    Row(
        "a batch outside `2025-03-26`, empty, with more than 32 messages, a repeated id, an `initialize`, or both "
        "responses and requests",
        400,
        -32600,
        {
            "modern": Sent(b"[" + CALL + b"]", {"mcp-method": None, "mcp-name": None}),
            "2025-11-25": Sent(b"[" + OLD_CALL + b"]", OLD),
            "2025-06-18": Sent(b"[" + OLD_CALL + b"]", {**OLD, "mcp-protocol-version": "2025-06-18"}),
            "empty": Sent(b"[]", BATCHED),
            "empty, unstated": Sent(b"[]", UNSTATED),
            "33 messages": Sent(b"[" + b",".join([_NOTE] * 33) + b"]", BATCHED),
            "a repeated id": Sent(b"[" + OLD_CALL + b"," + OLD_CALL + b"]", BATCHED),
            "initialize": Sent(b"[" + _INIT + b"]", BATCHED),
            "both": Sent(b"[" + _ANSWER + b"," + _OLD_PING + b"]", BATCHED),
            "a batch in a batch": Sent(b"[[" + OLD_CALL + b"]]", BATCHED),
        },
    ),
    Row(
        "a client's response in the modern era, or one without an id",
        400,
        -32600,
        {
            "modern": Sent(_ANSWER, {"mcp-method": None, "mcp-name": None}, id=1),
            "without an id": Sent(b'{"jsonrpc": "2.0", "result": {}}', OLD),
        },
    ),
    Row(
        "`Mcp-Session-Id` sent twice, longer than 1024, or not visible ASCII; a DELETE without it",
        400,
        -32600,
        {
            "twice": Sent(OLD_CALL, OLD, (("mcp-session-id", "a"), ("mcp-session-id", "a")), id=1),
            "listed": Sent(OLD_CALL, {**OLD, "mcp-session-id": "a,b"}, id=1),
            "too long": Sent(OLD_CALL, {**OLD, "mcp-session-id": "x" * 1025}, id=1),
            "a space": Sent(OLD_CALL, {**OLD, "mcp-session-id": "a b"}, id=1),
            "not ASCII": Sent(OLD_CALL, {**OLD, "mcp-session-id": "\xe4"}, id=1),
            "empty": Sent(OLD_CALL, {**OLD, "mcp-session-id": ""}, id=1),
            "DELETE without it": Sent(b"", OLD, verb="DELETE"),
        },
    ),
    Row(
        "a GET or DELETE with a body",
        400,
        -32600,
        {verb: Sent(OLD_CALL, {**OLD, "mcp-session-id": "a"}, verb=verb) for verb in ("GET", "DELETE")},
    ),
    Row(
        "a GET whose `Last-Event-ID` is longer than 256 or not visible ASCII",
        400,
        -32600,
        {
            "too long": Sent(b"", {**OLD, "last-event-id": "x" * 257}, verb="GET"),
            "a space": Sent(b"", {**OLD, "last-event-id": "a b"}, verb="GET"),
            "not ASCII": Sent(b"", {**OLD, "last-event-id": "\xe4"}, verb="GET"),
        },
    ),
    Row(
        "`tools/call`, `prompts/get`, `resources/read`, `resources/subscribe`, `resources/unsubscribe` or "
        "`completion/complete` whose name or URI is missing, empty, no string, longer than 4096 characters, or holds "
        "control characters",
        400,
        -32602,
        NO_NAMES,
    ),
    Row(
        "a resource URI with a `.` or `..` segment, also percent-encoded; with a scheme in capitals; with "
        "percent-encoded letters, digits, `-`, `.` or `_`: rules and targets could read it differently",
        400,
        -32602,
        uris(
            *("file:///a/../b", "file:///a/./b", "file:///a/%2e%2e/b", "file:///a/.%2E/b", "file:///.."),
            *("FILE:///a", "File:///a", "file:///%61", "file:///a%2Db", "file:///%30", "file:///a%5fb"),
        ),
    ),
    Row(
        "`arguments` that are no object; `_meta` that is no object",
        400,
        -32602,
        {
            "a list": modern(bent(b'"arguments": {"marker": "", "limit": 7}', b'"arguments": [1]')),
            "a text": modern(bent(b'"arguments": {"marker": "", "limit": 7}', b'"arguments": "{}"')),
            "_meta in a list": legacy("tools/call", {"name": TOOL, "_meta": []}),
            "_meta that is null": legacy("tools/call", {"name": TOOL, "_meta": None}),
        },
    ),
    Row(
        "a modern request without a protocol version or client capabilities in `params._meta`",
        400,
        -32602,
        {
            "no version": modern(meta(clientCapabilities={})),
            "no capabilities": modern(meta(protocolVersion=MODERN)),
            "capabilities in a list": modern(meta(protocolVersion=MODERN, clientCapabilities=[])),
            "a version that is a number": modern(meta(protocolVersion=2026, clientCapabilities={})),
            "a session's request": modern(OLD_CALL, 1, mcp_session_id="a"),
        },
    ),
    Row(
        "`MCP-Protocol-Version` sent twice or malformed, or not that of `_meta`; `initialize` under a modern header "
        "without `_meta`",
        400,
        -32020,
        {
            "twice": Sent(CALL, lines=(("mcp-protocol-version", MODERN),), id=1),
            "twice, unlike": Sent(CALL, lines=(("mcp-protocol-version", "2025-11-25"),), id=1),
            "malformed": modern(CALL, 1, mcp_protocol_version="2026-07-28; q=1"),
            "empty": modern(CALL, 1, mcp_protocol_version=""),
            "legacy above a modern body": modern(CALL, 1, mcp_protocol_version="2025-11-25"),
            "none above a modern body": modern(CALL, 1, mcp_protocol_version=None),
            "unknown above a modern body": modern(CALL, 1, mcp_protocol_version="2031-01-01"),
            "modern above another": modern(meta(protocolVersion="2025-11-25", clientCapabilities={})),
            "initialize": modern(_INIT, 1, mcp_method="initialize", mcp_name=None),
        },
    ),
    Row(
        "`Mcp-Method` or `Mcp-Name` that does not repeat the body, in either era; missing on a modern request",
        400,
        -32020,
        {
            "another method": modern(CALL, 1, mcp_method="tools/list"),
            "a method in capitals": modern(CALL, 1, mcp_method="Tools/Call"),
            "a packed method": modern(CALL, 1, mcp_method=packed("tools/call")),
            "the method twice": Sent(CALL, lines=(("mcp-method", "tools/call"),), id=1),
            "another name": modern(CALL, 1, mcp_name="export"),
            "another name, packed": modern(CALL, 1, mcp_name=packed("export")),
            "packed carelessly": modern(CALL, 1, mcp_name="=?base64?cXVlcnk?="),
            "packed with a rest": modern(CALL, 1, mcp_name="=?base64?cXVlcnl=?="),
            "packed twice": modern(CALL, 1, mcp_name=packed(packed(TOOL))),
            "packed, no UTF-8": modern(CALL, 1, mcp_name="=?base64?/w==?="),
            "packed, another case": modern(CALL, 1, mcp_name="=?BASE64?cXVlcnk=?="),
            "the name twice": Sent(CALL, lines=(("mcp-name", TOOL),), id=1),
            "both names": Sent(CALL, lines=(("mcp-name", "export"),), id=1),
            "not ASCII": modern(CALL, 1, mcp_name="qu\xe9ry"),
            "no method": modern(CALL, 1, mcp_method=None),
            "no name": modern(CALL, 1, mcp_name=None),
            "no name but one of the body's": modern(bent(b'"name": "query"', b'"x": "query"')),
            "legacy, another method": Sent(OLD_CALL, {**OLD, "mcp-method": "tools/list"}, id=1),
            "legacy, another name": Sent(OLD_CALL, {**OLD, "mcp-name": "export"}, id=1),
            "of a batch": Sent(b"[" + OLD_CALL + b"]", {**BATCHED, "mcp-method": "tools/call"}),
            "folded": Sent(CALL, {"mcp-name": None}, (b"mcp-name: que\r\n ry",), id=1),
        },
    ),
    Row(
        "`Mcp-Param-*` that repeats no value of the arguments",
        400,
        -32020,
        {
            "another value": modern(CALL, 1, mcp_param_limit="8"),
            "another value, packed": modern(CALL, 1, mcp_param_limit=packed("8")),
            "twice": Sent(CALL, lines=(("mcp-param-limit", "7"), ("mcp-param-limit", "7")), id=1),
            "legacy": Sent(OLD_CALL, {**OLD, "mcp-param-limit": "8"}, id=1),
        },
    ),
    Row(
        "a protocol version that is not listed above; the error's `data.supported` lists those that are (the modern "
        "ones, when it is stated in `params._meta`)",
        400,
        -32022,
        {
            "unknown": Sent(OLD_CALL, {**OLD, "mcp-protocol-version": "2031-01-01"}, id=1),
            "of a batch": Sent(b"[" + OLD_CALL + b"]", {**OLD, "mcp-protocol-version": "2024-11-05"}),
            "of a GET": Sent(b"", {**OLD, "mcp-protocol-version": "1"}, verb="GET"),
            "unknown in both": modern(
                meta(protocolVersion="2031-01-01", clientCapabilities={}), 1, mcp_protocol_version="2031-01-01"
            ),
            "legacy in both": modern(
                meta(protocolVersion="2025-11-25", clientCapabilities={}), 1, mcp_protocol_version="2025-11-25"
            ),
        },
    ),
    Row(
        "a request that the modern era has no more: `initialize`, `ping`, `logging/setLevel`, `resources/subscribe`, "
        "`resources/unsubscribe`, `tasks/list`, `tasks/result`",
        404,
        -32601,
        {
            **{method: asked(method, {}) for method in ("initialize", "ping", "logging/setLevel", "tasks/list")},
            **{method: asked(method, {"uri": "a:b"}) for method in ("resources/subscribe", "resources/unsubscribe")},
            "tasks/result": asked("tasks/result", {"taskId": "a"}, mcp_name="a"),
        },
    ),
    Row(
        "GET or DELETE in the modern era; any verb but POST, GET and DELETE",
        405,
        -32600,
        {
            "GET": Sent(b"", {"mcp-session-id": "a"}, verb="GET"),
            "DELETE": Sent(b"", {"mcp-session-id": "a"}, verb="DELETE"),
            **{verb: Sent(CALL, verb=verb) for verb in ("PUT", "PATCH", "OPTIONS", "TRACE")},
        },
    ),
    Row(
        "a GET that does not accept `text/event-stream`",
        406,
        -32600,
        {
            "JSON": Sent(b"", {**OLD, "accept": "application/json"}, verb="GET"),
            "nothing": Sent(b"", {**OLD, "accept": None}, verb="GET"),
        },
    ),
    Row(
        "a content type other than `application/json` (charset `utf-8` or none), or sent twice; any content encoding",
        415,
        -32600,
        {
            "text": Sent(CALL, {"content-type": "text/plain"}),
            "none": Sent(CALL, {"content-type": None}),
            "another charset": Sent(CALL, {"content-type": "application/json; charset=utf-7"}),
            "two charsets": Sent(CALL, {"content-type": "application/json; charset=utf-8; charset=utf-16"}),
            "a form": Sent(CALL, {"content-type": "multipart/form-data; boundary=a"}),
            "twice": Sent(CALL, lines=(("content-type", "application/json"),)),
            "gzip": Sent(CALL, {"content-encoding": "gzip"}),
            "identity": Sent(CALL, {"content-encoding": "identity"}),
        },
    ),
    Row(
        "a query on the URL of an endpoint",
        400,
        -32600,
        {"a name": Sent(CALL, query="?name=export"), "empty": Sent(CALL, query="?")},
    ),
)
