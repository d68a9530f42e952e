"""Requests that are well-formed, made by hand so that a test can break exactly one thing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from countersign.mcp import HttpRequest, Request, read_request

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
META: dict[str, Any] = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}
HEADERS = {"content-type": "application/json", "accept": "application/json, text/event-stream"}


def legacy(body: Any, **headers: str | None) -> HttpRequest:
    """A POST of a legacy client; ``None`` removes a header, ``_`` in a header's name stands for ``-``."""
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return HttpRequest("POST", changed({**HEADERS, "mcp-protocol-version": "2025-11-25"}, headers), raw)


def modern(body: Any, **headers: str | None) -> HttpRequest:
    """A POST of a modern client, with the headers that repeat its body when the body is an object."""
    mirrors = {"mcp-protocol-version": MODERN}
    if isinstance(body, dict):
        mirrors["mcp-method"] = str(body.get("method"))
        params = body.get("params") or {}
        for key in ("name", "uri", "taskId"):
            if key in params:
                mirrors["mcp-name"] = str(params[key])
    return legacy(body, **{**{name.replace("-", "_"): value for name, value in mirrors.items()}, **headers})


def changed(headers: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def rpc(method: str, params: Any = None, rpc_id: Any = 1, **more: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": rpc_id, "method": method, **more}
    if params is not None:
        body["params"] = params
    return body


def notification(method: str, params: Any = None) -> dict[str, Any]:
    body = rpc(method, params)
    del body["id"]
    return body


def modern_rpc(method: str, params: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return rpc(method, {**(params or {}), "_meta": META}, **more)


def read(request: HttpRequest) -> Request:
    return read_request("orders", request, max_depth=64)
