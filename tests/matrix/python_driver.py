"""The driver of the two Python clients: the official SDK's ``Client``, and fastmcp's.

``python -m tests.matrix.python_driver official|fastmcp`` reads runs from standard input and writes what it saw as JSON
lines, as the drivers in Node.js do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.subscriptions import ListenNotSupportedError, listen
from mcp.shared.exceptions import MCPError

from tests.matrix.python_clients import (
    SESSION,
    WAIT_S,
    Answers,
    Connect,
    Connected,
    Told,
    fastmcp,
    headers,
    official,
    plain,
)
from tests.matrix.steps import Door, Run, Saw, Step


async def _after(door: Door, session: str, version: str) -> int:
    """What a request in a session that its client has ended is answered."""
    assert door.url is not None
    sent = {**headers(door), "mcp-session-id": session, "mcp-protocol-version": version}
    async with httpx2.AsyncClient(headers={**sent, "accept": "application/json, text/event-stream"}) as http:
        return (await http.post(door.url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).status_code


async def drive(connect: Connect, runs: Sequence[Run]) -> list[Saw]:
    """Do all runs, one after the other."""
    return [saw for run in runs for saw in await _drive(connect, run)]


async def _drive(connect: Connect, run: Run) -> list[Saw]:
    told = Told()
    seen: list[Saw] = []
    session = SESSION.set([])
    try:
        async with asyncio.timeout(WAIT_S * 5), connect(run, Answers(told)) as client:
            seen.append(Saw(run.name, "connect", _connected(client.session)))
            for step in run.steps:
                if step.do == "lost":
                    told_lost = await _tried(_lost(connect, run, client, step))
                    seen += [] if told_lost is None else [Saw(run.name, step.name, told_lost)]
                did = _STEPS.get(step.do)
                if did is not None and (what := await _tried(did(client, step, told))) is not None:
                    seen.append(Saw(run.name, step.name, {**what, "told": told.take()}))
            version = client.session.protocol_version
        if "end" in {step.do for step in run.steps} and (ids := SESSION.get()):
            seen.append(Saw(run.name, "end", {"result": {"after": await _after(run.door, ids[-1], version)}}))
    except BaseExceptionGroup as error:
        seen.append(Saw(run.name, "broke", _leaf(error)))
    except (MCPError, TimeoutError, OSError, RuntimeError) as error:
        seen.append(Saw(run.name, "broke", _leaf(error)))
    SESSION.reset(session)
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


async def _wait(client: Connected, step: Step, told: Told) -> Any:
    file = step.settings["file"]
    Path(f"{file}.here").touch()
    while not Path(f"{file}.go").exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    return True


async def _lost(connect: Connect, run: Run, client: Connected, step: Step) -> Any:
    ids = SESSION.get()
    if not ids:
        raise _NoWay
    assert run.door.url is not None
    sent = {**headers(run.door), "mcp-session-id": ids[-1]}
    sent["mcp-protocol-version"] = client.session.protocol_version or ""
    async with httpx2.AsyncClient(headers=sent) as http:
        await http.delete(run.door.url)
    tool, arguments = step.settings["tool"], step.settings["arguments"]
    try:
        await client.call(tool, arguments)
        failed = False
    except MCPError:
        failed = True
    async with connect(run, Answers(Told())) as another:
        return {"failed": failed, "again": plain(await another.call(tool, arguments))}


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
    "wait": _wait,
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
