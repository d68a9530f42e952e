"""The two Python clients as one: connected, with answers to whatever servers ask, and ears for what they tell."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from pydantic import BaseModel

from tests.matrix.steps import Door, Run

WAIT_S = 60.0
_ANSWER: Mapping[str, str | int] = {"colour": "blau", "count": 3, "name": "Ada", "title": "x"}


class Told:
    """What the server told its client, by kind, in the order in which it came."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[Any]] = {}
        self._news = asyncio.Condition()

    async def hear(self, kind: str, what: Any) -> None:
        """Keep it."""
        async with self._news:
            self.by_kind.setdefault(kind, []).append(what)
            self._news.notify_all()

    def take(self) -> dict[str, list[Any]]:
        """What was told since this was asked last."""
        taken, self.by_kind = self.by_kind, {}
        return taken

    async def until(self, kind: str, method: str) -> None:
        """Return once such a notification was told.

        Raises:
            TimeoutError: when none is.
        """

        def heard() -> bool:
            return any(each.get("method") == method for each in self.by_kind.get(kind, ()))

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(heard)


def plain(value: object) -> Any:
    """A result as JSON, as the protocol spells it."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value


class Answers:
    """What the client answers when a server asks it; each question is told, too."""

    def __init__(self, told: Told) -> None:
        self._told = told

    async def sampling(self, context: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        """A model that always says the same."""
        await self._told.hear("sampling", plain(params))
        content = types.TextContent(type="text", text="Schlüssel öffnen Türen.")
        return types.CreateMessageResult(role="assistant", content=content, model="none", stop_reason="endTurn")

    async def elicitation(self, context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        """A person who agrees."""
        await self._told.hear("elicitation", plain(params))
        schema: Mapping[str, Any] = getattr(params, "requested_schema", {})
        asked = schema.get("properties", {})
        return types.ElicitResult(action="accept", content={key: _ANSWER[key] for key in asked if key in _ANSWER})

    async def roots(self, context: object) -> types.ListRootsResult:
        """Two folders."""
        return types.ListRootsResult(roots=[types.Root(uri="file:///srv/a", name="a"), types.Root(uri="file:///srv/b")])  # type: ignore[arg-type]

    async def logging(self, params: types.LoggingMessageNotificationParams) -> None:
        """A line of a server's log."""
        await self._told.hear("log", plain(params))

    async def message(self, message: IncomingMessage) -> None:
        """Whatever else a server tells."""
        if isinstance(message, Exception):
            await self._told.hear("exception", type(message).__name__)
        elif not isinstance(message, types.LoggingMessageNotification | types.ProgressNotification):
            await self._told.hear("notice", plain(message))


class Connected(Protocol):
    """A client of either package, connected."""

    session: ClientSession

    async def list(self, what: str, cursor: str | None) -> Any: ...
    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any: ...
    async def read(self, uri: str) -> Any: ...
    async def prompt(self, name: str, arguments: dict[str, str]) -> Any: ...
    async def complete(self, ref: Any, argument: dict[str, str]) -> Any: ...
    async def level(self, level: Any) -> Any: ...


class _Official:
    def __init__(self, client: Client) -> None:
        self._client = client
        self.session = client.session

    async def list(self, what: str, cursor: str | None) -> Any:
        lists = {
            "tools": self._client.list_tools,
            "resources": self._client.list_resources,
            "templates": self._client.list_resource_templates,
            "prompts": self._client.list_prompts,
        }
        return await lists[what](cursor=cursor)

    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any:
        return await self._client.call_tool(tool, arguments, progress_callback=progress)

    async def read(self, uri: str) -> Any:
        return await self._client.read_resource(uri)

    async def prompt(self, name: str, arguments: dict[str, str]) -> Any:
        return await self._client.get_prompt(name, arguments)

    async def complete(self, ref: Any, argument: dict[str, str]) -> Any:
        return await self._client.complete(ref, argument)

    async def level(self, level: Any) -> Any:
        return await self._client.set_logging_level(level)


class _Fastmcp:
    def __init__(self, client: Any) -> None:
        self._client = client
        self.session: ClientSession = client.session

    async def list(self, what: str, cursor: str | None) -> Any:
        lists = {
            "tools": self._client.list_tools_mcp,
            "resources": self._client.list_resources_mcp,
            "templates": self._client.list_resource_templates_mcp,
            "prompts": self._client.list_prompts_mcp,
        }
        return await lists[what](cursor=cursor)

    async def call(self, tool: str, arguments: dict[str, Any], progress: Any = None) -> Any:
        return await self._client.call_tool_mcp(tool, arguments, progress_handler=progress)

    async def read(self, uri: str) -> Any:
        return await self._client.read_resource_mcp(uri)

    async def prompt(self, name: str, arguments: dict[str, str]) -> Any:
        return await self._client.get_prompt_mcp(name, arguments)

    async def complete(self, ref: Any, argument: dict[str, str]) -> Any:
        return await self._client.complete_mcp(ref, argument)

    async def level(self, level: Any) -> Any:
        return await self._client.set_logging_level(level)


@asynccontextmanager
async def official(run: Run, answers: Answers) -> AsyncIterator[Connected]:
    """The official SDK's client; ``auto``, ``legacy`` or a modern version is its mode."""
    async with AsyncExitStack() as stack:
        client = Client(
            await _way(run.door, stack),
            mode=run.mode,
            read_timeout_seconds=WAIT_S,
            sampling_callback=answers.sampling,
            elicitation_callback=answers.elicitation,
            list_roots_callback=answers.roots,
            logging_callback=answers.logging,
            message_handler=answers.message,
            log_level="debug",
        )
        yield _Official(await stack.enter_async_context(client))


@asynccontextmanager
async def fastmcp(run: Run, answers: Answers) -> AsyncIterator[Connected]:
    """fastmcp's client."""
    from fastmcp import Client as FastmcpClient
    from fastmcp.client.transports import StdioTransport, StreamableHttpTransport

    door = run.door
    transport: Any
    if door.url is None:
        command, *rest = door.command
        transport = StdioTransport(command, rest, env={**os.environ, **door.env}, keep_alive=False)
    else:
        transport = StreamableHttpTransport(door.url, headers=headers(door), httpx_client_factory=http_client)
    client: Any = FastmcpClient(
        transport,
        mode=run.mode,
        timeout=WAIT_S,
        message_handler=answers.message,
        log_handler=answers.logging,
    )

    async def sampling(_: object, params: types.CreateMessageRequestParams, context: object) -> Any:
        return await answers.sampling(context, params)

    async def elicitation(_: object, __: object, params: types.ElicitRequestParams, context: object) -> Any:
        return await answers.elicitation(context, params)

    client.set_sampling_callback(sampling)
    client.set_elicitation_callback(elicitation)
    client.set_roots(["file:///srv/a", "file:///srv/b"])
    async with client:
        yield _Fastmcp(client)


async def _way(door: Door, stack: AsyncExitStack) -> Any:
    if door.url is None:
        command, *rest = door.command
        return stdio_client(StdioServerParameters(command=command, args=rest, env={**os.environ, **door.env}))
    http = await stack.enter_async_context(http_client(headers(door)))
    return streamable_http_client(door.url, http_client=http)


def headers(door: Door) -> dict[str, str]:
    """What goes with each request."""
    return {} if door.token is None else {"authorization": f"Bearer {door.token}"}


Connect = Callable[[Run, Answers], Any]

# The ids of sessions that were seen in answers: the clients keep them to themselves.
SESSION: ContextVar[list[str]] = ContextVar("session")


async def _watch(answer: httpx2.Response) -> None:
    if (session := answer.headers.get("mcp-session-id")) is not None:
        SESSION.get().append(session)


def http_client(
    headers: dict[str, str] | None = None,
    timeout: httpx2.Timeout | None = None,
    auth: httpx2.Auth | None = None,
    **more: Any,
) -> httpx2.AsyncClient:
    clock = httpx2.Timeout(WAIT_S) if timeout is None else timeout
    return httpx2.AsyncClient(headers=headers, event_hooks={"response": [_watch]}, timeout=clock, auth=auth, **more)
