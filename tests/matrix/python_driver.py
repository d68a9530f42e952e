"""The driver of the two Python clients: the official SDK's ``Client``, and fastmcp's.

``python -m tests.matrix.python_driver official|fastmcp`` reads runs from standard input and writes what it saw as JSON
lines, as the drivers in Node.js do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import httpx2
import mcp_types as types
from mcp import Client, StdioServerParameters
from mcp.client.session import ClientSession, IncomingMessage
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import ListenNotSupportedError, listen
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from tests.matrix.steps import Door, Run, Saw, Step

WAIT_S = 20.0
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
        transport = StreamableHttpTransport(door.url, headers=_headers(door), httpx_client_factory=_http)
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
    http = await stack.enter_async_context(_http(_headers(door)))
    return streamable_http_client(door.url, http_client=http)


def _headers(door: Door) -> dict[str, str]:
    return {} if door.token is None else {"authorization": f"Bearer {door.token}"}


Connect = Callable[[Run, Answers], Any]

# The ids of sessions that were seen in answers: the clients keep them to themselves.
_SESSION: ContextVar[list[str]] = ContextVar("session")


async def _watch(answer: httpx2.Response) -> None:
    if (session := answer.headers.get("mcp-session-id")) is not None:
        _SESSION.get().append(session)


def _http(
    headers: dict[str, str] | None = None, timeout: httpx2.Timeout | None = None, auth: httpx2.Auth | None = None
) -> httpx2.AsyncClient:
    clock = httpx2.Timeout(WAIT_S) if timeout is None else timeout
    return httpx2.AsyncClient(headers=headers, event_hooks={"response": [_watch]}, timeout=clock, auth=auth)


async def _after(door: Door, session: str, version: str) -> int:
    """What a request in a session that its client has ended is answered."""
    assert door.url is not None
    headers = {**_headers(door), "mcp-session-id": session, "mcp-protocol-version": version}
    async with httpx2.AsyncClient(headers={**headers, "accept": "application/json, text/event-stream"}) as http:
        return (await http.post(door.url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status_code


async def drive(connect: Connect, runs: Sequence[Run]) -> list[Saw]:
    """Do all runs, one after the other."""
    return [saw for run in runs for saw in await _drive(connect, run)]


async def _drive(connect: Connect, run: Run) -> list[Saw]:
    told = Told()
    seen: list[Saw] = []
    session = _SESSION.set([])
    try:
        async with asyncio.timeout(WAIT_S * 4), connect(run, Answers(told)) as client:
            seen.append(Saw(run.name, "connect", _connected(client.session)))
            for step in run.steps:
                did = _STEPS.get(step.do)
                if did is not None and (what := await _tried(did(client, step, told))) is not None:
                    seen.append(Saw(run.name, step.name, {**what, "told": told.take()}))
            version = client.session.protocol_version
        if "end" in {step.do for step in run.steps} and (ids := _SESSION.get()):
            seen.append(Saw(run.name, "end", {"result": {"after": await _after(run.door, ids[-1], version)}}))
    except BaseExceptionGroup as error:
        seen.append(Saw(run.name, "broke", _leaf(error)))
    except (MCPError, TimeoutError, OSError, RuntimeError) as error:
        seen.append(Saw(run.name, "broke", _leaf(error)))
    _SESSION.reset(session)
    return seen


def _leaf(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def _connected(session: ClientSession) -> dict[str, Any]:
    return {
        "version": session.protocol_version,
        "server": plain(session.server_info),
        "offers": plain(session.server_capabilities),
        "instructions": session.instructions,
    }


async def _tried(step: Awaitable[Any]) -> dict[str, Any] | None:
    """What came of it; None when this client has no way to do it in this era."""
    try:
        async with asyncio.timeout(WAIT_S):
            return {"result": await step}
    except (_NoWay, ListenNotSupportedError):
        return None
    except MCPError as error:
        return {"error": plain(error.error)}
    except TimeoutError:
        return {"silent": True}
    except (RuntimeError, ValueError) as error:
        return {"raised": f"{type(error).__name__}: {error}"}


class _NoWay(Exception):
    """The client has no way to do it."""


async def _list(client: Connected, step: Step, told: Told) -> Any:
    pages, cursor = [], None
    while True:
        page = await client.list(step.settings["what"], cursor)
        pages.append(plain(page))
        cursor = page.next_cursor
        if cursor is None:
            return pages


async def _call(client: Connected, step: Step, told: Told) -> Any:
    async def progress(done: float, total: float | None, message: str | None) -> None:
        await told.hear("progress", [done, total, message])

    wanted = progress if step.settings["progress"] else None
    return plain(await client.call(step.settings["tool"], step.settings["arguments"], wanted))


async def _read(client: Connected, step: Step, told: Told) -> Any:
    return plain(await client.read(step.settings["uri"]))


async def _prompt(client: Connected, step: Step, told: Told) -> Any:
    return plain(await client.prompt(step.settings["prompt"], step.settings["arguments"]))


async def _complete(client: Connected, step: Step, told: Told) -> Any:
    ref = step.settings["ref"]
    kind = types.PromptReference if ref["type"] == "ref/prompt" else types.ResourceTemplateReference
    argument = {"name": step.settings["argument"], "value": step.settings["value"]}
    return plain(await client.complete(kind.model_validate(ref), argument))


async def _level(client: Connected, step: Step, told: Told) -> Any:
    return plain(await client.level(step.settings["level"]))


async def _ping(client: Connected, step: Step, told: Told) -> Any:
    return plain(await client.session.send_ping())


async def _cancel(client: Connected, step: Step, told: Told) -> Any:
    going = asyncio.Event()

    async def progress(done: float, total: float | None, message: str | None) -> None:
        going.set()

    arguments = step.settings["arguments"]
    calling = asyncio.create_task(client.call(step.settings["tool"], arguments, progress))
    async with asyncio.timeout(WAIT_S):
        await going.wait()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    while True:
        proof = plain(await client.call(step.settings["proof"], arguments))
        if "true" in proof["content"][0]["text"].lower():
            return proof
        await asyncio.sleep(0.02)


async def _subscribe(client: Connected, step: Step, told: Told) -> Any:
    uri, tool, arguments = step.settings["uri"], step.settings["tool"], step.settings["arguments"]
    session = client.session
    if (session.protocol_version or "") >= "2026":
        heard = []
        async with listen(session, tools_list_changed=True, resource_subscriptions=[uri]) as stream:
            honored = plain(stream.honored)
            result = plain(await client.call(tool, arguments))
            async for event in stream:
                heard.append(repr(event))
                if uri in repr(event):
                    break
        told.take()
        return {"honored": honored, "called": result, "heard": sorted(heard)}
    await session.subscribe_resource(uri)
    result = plain(await client.call(tool, arguments))
    await told.until("notice", "notifications/resources/updated")
    await session.unsubscribe_resource(uri)
    return {"called": result, "heard": sorted(repr(each) for each in told.take().get("notice", []))}


_STEPS: dict[str, Callable[[Connected, Step, Told], Awaitable[Any]]] = {
    "list": _list,
    "call": _call,
    "read": _read,
    "prompt": _prompt,
    "complete": _complete,
    "level": _level,
    "ping": _ping,
    "cancel": _cancel,
    "subscribe": _subscribe,
}


def main(kind: str) -> None:
    """Do what standard input says with that client."""
    logging.disable(logging.CRITICAL)
    runs = [_run(each) for each in json.load(sys.stdin)]
    for saw in asyncio.run(drive({"official": official, "fastmcp": fastmcp}[kind], runs)):
        print(json.dumps({"run": saw.run, "step": saw.step, "what": saw.what}), flush=True)


def _run(written: dict[str, Any]) -> Run:
    steps = [Step(each.pop("name"), each.pop("feature"), each.pop("do"), each) for each in written["steps"]]
    return Run(written["name"], written["mode"], Door(**written["door"]), steps)


if __name__ == "__main__":
    main(sys.argv[1])
