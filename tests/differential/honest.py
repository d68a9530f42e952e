"""Lawful requests of every method in both eras: what mutations begin with."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any

from tests.differential.drafts import Draft, Headers, tree_of

MODERN = "2026-07-28"
LEGACY = ("2025-03-26", "2025-06-18", "2025-11-25", "")
META_VERSION = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"

TEXTS = (
    *("", "a", "select 1", "größe", "日本", "🦊", "a\tb\n", "\x7f", "\u200bname", "e\u0301", "é", "\ufeffx", "\u2028"),
    *("true", "null", "1e0", "../x", "{}", '"', "\\", "__proto", "name", "constructor", "\ufffd", "\u017f"),
    *("\u202etxt", "a" * 300),
)
NUMBERS = (0, 1, -1, 42, 2**31, 2**53 - 1, -(2**53) + 1, 0.5, -2.25, 1e21, 3.0, 1e-7)
KEYS = (
    "a",
    "sql",
    "path",
    "limit",
    "名",
    "Name",
    "id",
    "method",
    "params",
    "x y",
    "length",
    "toString",
    "0",
    "1",
    "then",
)
NAMES = ("query", "delete_all", "größe", "a.b/c", "query ", "Query", "q-1", "日本", "query\u200b", "toString", "0")
URIS = ("db://orders/1", "file:///srv/a.txt", "https://example.org/a?b=c#d", "db://orders/größe", "mem:x", "a b:c")


def value(chance: random.Random, depth: int = 0) -> Any:
    """Some JSON value."""
    pick = chance.random()
    if depth < 3 and pick < 0.18:
        return {chance.choice(KEYS): value(chance, depth + 1) for _ in range(chance.randrange(4))}
    if depth < 3 and pick < 0.3:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if pick < 0.55:
        return chance.choice(NUMBERS)
    return chance.choice((*TEXTS, True, False, None))


def arguments(chance: random.Random) -> dict[str, Any]:
    """Some arguments of a tool."""
    return {chance.choice(KEYS): value(chance, 1) for _ in range(chance.randrange(5))}


def rpc_id(chance: random.Random) -> Any:
    """Some id that everybody holds exactly."""
    return chance.choice((0, 1, 7, -3, 2**53 - 1, "1", "", "a-b", "é🦊", "null", "0", f"{chance.getrandbits(64):x}"))


def _tool(chance: random.Random) -> dict[str, Any]:
    params: dict[str, Any] = {"name": chance.choice(NAMES)}
    if chance.random() < 0.9:
        params["arguments"] = arguments(chance)
    return params


def _prompt(chance: random.Random) -> dict[str, Any]:
    return {"name": chance.choice(NAMES), "arguments": {chance.choice(KEYS): chance.choice(TEXTS)}}


def _uri(chance: random.Random) -> dict[str, Any]:
    return {"uri": chance.choice(URIS)}


def _page(chance: random.Random) -> dict[str, Any]:
    return {"cursor": chance.choice(TEXTS)} if chance.random() < 0.5 else {}


def _completion(chance: random.Random) -> dict[str, Any]:
    reference: dict[str, Any] = chance.choice(
        [{"type": "ref/prompt", "name": chance.choice(NAMES)}, {"type": "ref/resource", "uri": chance.choice(URIS)}]
    )
    return {"ref": reference, "argument": {"name": chance.choice(KEYS), "value": chance.choice(TEXTS)}}


def _task(chance: random.Random) -> dict[str, Any]:
    return {"taskId": chance.choice(("t-1", "é", "0"))}


def _nothing(_: random.Random) -> dict[str, Any]:
    return {}


def _initialize(chance: random.Random) -> dict[str, Any]:
    return {
        "protocolVersion": chance.choice((*LEGACY[:3], MODERN, "2030-01-01")),
        "capabilities": chance.choice(({}, {"roots": {"listChanged": True}}, {"sampling": {}, "elicitation": {}})),
        "clientInfo": {"name": chance.choice(TEXTS), "version": "1"},
    }


_BOTH: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "completion/complete": _completion,
    "prompts/get": _prompt,
    "prompts/list": _page,
    "resources/list": _page,
    "resources/read": _uri,
    "resources/templates/list": _page,
    "tools/call": _tool,
    "tools/list": _page,
    "tasks/get": _task,
    "tasks/cancel": _task,
    "acme/do": lambda chance: {"name": "query", "a": arguments(chance)},
}
_OF_LEGACY: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    **_BOTH,
    "initialize": _initialize,
    "logging/setLevel": lambda chance: {"level": chance.choice(("debug", "error"))},
    "ping": _nothing,
    "resources/subscribe": _uri,
    "resources/unsubscribe": _uri,
    "tasks/list": _page,
    "tasks/result": _task,
}
_OF_MODERN: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    **_BOTH,
    "server/discover": _nothing,
    "tasks/update": _task,
}
_NOTIFICATIONS: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "notifications/initialized": _nothing,
    "notifications/cancelled": lambda chance: {"requestId": rpc_id(chance), "reason": chance.choice(TEXTS)},
    "notifications/progress": lambda chance: {"progressToken": rpc_id(chance), "progress": chance.choice(NUMBERS)},
    "notifications/roots/list_changed": _nothing,
    "acme/told": lambda chance: {"a": arguments(chance)},
}
# Calls of tools are what tricks are for.
_LEGACY_METHODS = (*_OF_LEGACY, *["tools/call"] * 14, *["resources/read"] * 3, *["prompts/get"] * 2)
_MODERN_METHODS = (*_OF_MODERN, *["tools/call"] * 14, *["resources/read"] * 3, *["prompts/get"] * 2)


def message(chance: random.Random, *, modern: bool) -> dict[str, Any]:
    """A request or a notification of one of the eras."""
    body: dict[str, Any] = {"jsonrpc": "2.0"}
    if chance.random() < 0.12:
        method = chance.choice(tuple(_NOTIFICATIONS))
        params = _NOTIFICATIONS[method](chance)
    else:
        method = chance.choice(_MODERN_METHODS if modern else _LEGACY_METHODS)
        params = (_OF_MODERN if modern else _OF_LEGACY)[method](chance)
        body["id"] = rpc_id(chance)
    meta: dict[str, Any] = {}
    if modern:
        meta = {META_VERSION: MODERN, META_CAPABILITIES: chance.choice(({}, {"elicitation": {}}))}
        if method in ("tools/call", "resources/read") and chance.random() < 0.1:
            params["requestState"] = chance.choice(TEXTS)
    if chance.random() < 0.2:
        meta["progressToken"] = rpc_id(chance)
    if meta:
        params["_meta"] = meta
    body["method"] = method
    if params or chance.random() < 0.5:
        body["params"] = params
    return body


def response(chance: random.Random) -> dict[str, Any]:
    """A legacy client's answer to a request of the server."""
    if chance.random() < 0.5:
        return {"jsonrpc": "2.0", "id": rpc_id(chance), "result": arguments(chance)}
    return {"jsonrpc": "2.0", "id": rpc_id(chance), "error": {"code": -32000, "message": chance.choice(TEXTS)}}


def header_value(text: str) -> str:
    """A text as a header may carry it (MCP 2026-07-28, Streamable HTTP)."""
    plain = text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?")
    return text if plain else f"=?base64?{base64_of(text)}?="


def base64_of(text: str) -> str:
    """Its UTF-8 in base64; what has none is replaced."""
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def headers_of(body: Any, version: str) -> Headers:
    """The headers of a lawful POST of this body."""
    headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]
    if version:
        headers.append(("mcp-protocol-version", version))
    if version == MODERN and "id" in body:
        headers.append(("mcp-method", body["method"]))
        params = body.get("params", {})
        named = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
        key = named.get(body["method"], "taskId" if body["method"].startswith("tasks/") else "")
        if key in params:
            headers.append(("mcp-name", header_value(params[key])))
    return headers


def draft(chance: random.Random) -> Draft:
    """A lawful request."""
    pick = chance.random()
    if pick < 0.5:
        body: Any = message(chance, modern=True)
        return Draft(headers_of(body, MODERN), tree_of(body))
    if pick < 0.93:
        body = message(chance, modern=False)
        # The handshake comes before a version is agreed on.
        version = "" if body["method"] == "initialize" else chance.choice(LEGACY)
        return Draft(headers_of(body, version), tree_of(body))
    if pick < 0.97:
        body = response(chance)
        return Draft(headers_of(body, chance.choice(LEGACY)), tree_of(body))
    batch = [message(chance, modern=False) for _ in range(chance.randrange(1, 4))]
    batch = [each for each in batch if each["method"] != "initialize"] or [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    ]
    for place, each in enumerate(batch):
        if "id" in each:
            each["id"] = f"{place}-{each['id']}"
    return Draft(headers_of({}, chance.choice(("", "2025-03-26"))), tree_of(batch))
