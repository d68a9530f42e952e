"""Callers: the real MCP client of the official SDK in each protocol era, and raw HTTP for what no client would send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

AUTO = "auto"
LEGACY = "legacy"
MODERN = "2026-07-28"
MODES = (AUTO, LEGACY, MODERN)

# What servers demand of whoever asks about tasks.
_TASKS: Mapping[str, object] = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@asynccontextmanager
async def mcp_client(
    url: str, token: str | None, mode: str = AUTO, *, headers: Mapping[str, str] | None = None, timeout_s: float = 30
) -> AsyncIterator[Client]:
    """A connected MCP client that sends ``token`` as its bearer token; ``mode`` is AUTO, LEGACY or MODERN."""
    sent = {**({"authorization": f"Bearer {token}"} if token is not None else {}), **(headers or {})}
    async with (
        httpx2.AsyncClient(headers=sent, timeout=timeout_s) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode, read_timeout_seconds=timeout_s) as client,
    ):
        yield client


@dataclass(frozen=True, slots=True)
class Rpc:
    """A JSON-RPC request as it stands on the wire, to be sent as it is or bent first."""

    method: str
    params: Mapping[str, object] | None = None
    id: int | str | None = 1

    def body(self, era: str) -> bytes:
        """The JSON text; in the modern era with the ``_meta`` that it demands."""
        params = dict(self.params or {})
        if era == MODERN:
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": _TASKS if self.method.startswith("tasks/") else {},
            }
        message: dict[str, object] = {"jsonrpc": "2.0", "method": self.method, "params": params}
        if self.id is not None:
            message["id"] = self.id
        return json.dumps(message).encode()

    def headers(self, era: str) -> dict[str, str]:
        """The headers that go with it, without the token."""
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        headers["mcp-protocol-version"] = MODERN if era == MODERN else "2025-11-25"
        if era == MODERN:
            headers["mcp-method"] = self.method
            name = (self.params or {}).get("name", (self.params or {}).get("uri"))
            if isinstance(name, str) and self.method in ("tools/call", "prompts/get", "resources/read"):
                headers["mcp-name"] = name
        return headers


INITIALIZE = Rpc(
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
)
"""What begins a legacy session, by a client that can be asked nothing."""


def call(tool: str, arguments: Mapping[str, object] | None = None, id: int | str = 1) -> Rpc:  # noqa: A002 - its name
    """A ``tools/call``."""
    return Rpc("tools/call", {"name": tool, "arguments": dict(arguments or {})}, id)


async def post(
    url: str,
    token: str | None,
    rpc: Rpc,
    *,
    era: str = MODERN,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout_s: float = 60,
) -> httpx.Response:
    """POST one JSON-RPC message and read the whole answer; ``headers`` and ``body`` override what it would send."""
    sent = rpc.headers(era)
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    sent.update(headers or {})
    async with httpx.AsyncClient(timeout=timeout_s) as http:
        return await http.post(url, content=rpc.body(era) if body is None else body, headers=sent)


def messages(response: httpx.Response) -> list[dict[str, object]]:
    """The JSON-RPC messages of an answer, be it JSON or server-sent events."""
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        lines = response.text.splitlines()
        return [json.loads(line[5:]) for line in lines if line.startswith("data:") and line[5:].strip()]
    decoded = json.loads(response.content)
    return decoded if isinstance(decoded, list) else [decoded]
