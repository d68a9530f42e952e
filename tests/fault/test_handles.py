"""While nobody knows what was handed to whom, nothing that must be known of it passes; all else goes on.

Who floods is refused alone, and what is answered reaches its target once, whatever fails.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from countersign.recorder.handles.shares import MOST_OF_BOTH
from tests.fault.rig import Rig, rpc_error
from tests.support.clients import INITIALIZE, LEGACY, MODERN, Rpc, post
from tests.support.targets import JSON_TYPE, SSE_TYPE, Exchange, event, result


async def _in_rounds(exchange: Exchange) -> None:
    """Hand out a state, unless one comes back, or none is wanted."""
    params: Any = exchange.request.message()["params"]
    plain = {"resultType": "complete", "content": []}
    asks = params["arguments"].get("rounds") and "requestState" not in params
    body = result(exchange, {"resultType": "input_required", "requestState": "opaque"} if asks else plain)
    await exchange.head(length=len(body), content_type=JSON_TYPE)
    await exchange.body(body)


async def test_what_cannot_be_kept_is_not_shown_and_what_cannot_be_checked_is_not_sent(rig: Rig) -> None:
    async def ask(*, rounds: bool = False, **more: object) -> httpx.Response:
        rpc = Rpc("tools/call", {"name": "query", "arguments": {"rounds": rounds}, **more})
        return await post(rig.url, rig.token(), rpc, era=MODERN)

    async with rig.target(_in_rounds) as target:
        shown = await ask(rounds=True)
        assert shown.json()["result"]["requestState"] == "opaque"
        before = len(target.received)
        with rig.record.shut("handles"):
            plain, kept, back = await asyncio.gather(
                ask(), ask(rounds=True), ask(requestState="opaque", inputResponses={})
            )
        assert plain.status_code == 200, "what comes back with nothing asks nobody"
        assert (kept.status_code, rpc_error(kept)) == (502, 5020)
        assert "opaque" not in kept.text
        # Whichever is patient for less: authz, or this gateway's Envoy.
        assert (back.status_code, rpc_error(back)) in {(503, 5030), (502, 5020)}
        assert len(target.received) == before + 2
        assert not any("requestState" in json.loads(each.body)["params"] for each in target.received)
        assert (await ask(requestState="opaque", inputResponses={})).status_code == 200


@dataclass
class Session:
    """A legacy session of somebody's at the rig's target."""

    http: httpx.AsyncClient
    url: str
    headers: dict[str, str]

    async def post(self, message: object) -> httpx.Response:
        return await self.http.post(self.url, content=json.dumps(message).encode(), headers=self.headers)

    async def calls(self, asks: int) -> httpx.Response:
        params = {"name": "query", "arguments": {"asks": asks}}
        return await self.post({"jsonrpc": "2.0", "id": "call", "method": "tools/call", "params": params})

    async def answers(self, rpc_id: int, **result_: object) -> httpx.Response:
        return await self.post({"jsonrpc": "2.0", "id": rpc_id, "result": result_})


@asynccontextmanager
async def session_of(rig: Rig, subject: str) -> AsyncIterator[Session]:
    token = rig.hold(rig.issuer.token("alice", rig.url, sub=subject))
    headers = {"authorization": f"Bearer {token}", "mcp-protocol-version": "2025-03-26"}
    headers |= {"content-type": "application/json", "accept": "application/json, text/event-stream"}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        begun = await http.post(rig.url, content=INITIALIZE.body(LEGACY), headers=headers)
        yield Session(http, rig.url, headers | {"mcp-session-id": begun.headers["mcp-session-id"]})


@dataclass
class Asking:
    """A legacy target that asks its clients as much as they want to be asked, a hundred things at once."""

    answered: list[object] = field(default_factory=list)
    sessions: int = 0

    async def __call__(self, exchange: Exchange) -> None:
        message: Any = exchange.request.message()
        if "method" not in message:
            self.answered.append(message["result"])
            await exchange.head(202, length=0)
        elif message["method"] == "initialize":
            self.sessions += 1
            served = {"protocolVersion": "2025-03-26", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}
            body = result(exchange, served)
            await exchange.head(length=len(body), content_type=JSON_TYPE, mcp_session_id=f"s{self.sessions}")
            await exchange.body(body)
        else:
            await exchange.head(content_type=SSE_TYPE)
            asks = message["params"]["arguments"]["asks"]
            for first in range(0, asks, 100):
                ids = range(first, min(asks, first + 100))
                some = [{"jsonrpc": "2.0", "id": rpc_id, "method": "ping"} for rpc_id in ids]
                await exchange.body(b"data: %s\n\n" % json.dumps(some).encode())
            await exchange.body(event(json.loads(result(exchange, {"content": []}))))
            await exchange.end()


async def test_an_answer_that_could_not_be_recorded_comes_again_and_reaches_its_target_once(rig: Rig) -> None:
    asking = Asking()
    async with rig.target(asking), session_of(rig, "alice") as alice:
        assert (await alice.calls(2)).status_code == 200
        with rig.record.shut("events"):
            lost = await alice.answers(0, said="first")
        # Whichever is patient for less: authz, or this gateway's Envoy.
        assert (lost.status_code, rpc_error(lost)) in {(503, 5030), (502, 5020)}
        assert asking.answered == []
        assert (await alice.answers(0, said="second")).status_code == 400
        assert (await alice.answers(0, said="first")).status_code == 202
        assert (await alice.answers(0, said="first")).status_code == 400
        assert (await alice.answers(1, said="other")).status_code == 202
    assert asking.answered == [{"said": "first"}, {"said": "other"}]


async def test_a_target_that_asks_one_caller_without_end_is_refused_for_that_one_alone(rig: Rig) -> None:
    asking = Asking()
    async with rig.target(asking), session_of(rig, "dora") as dora:

        async def flooded() -> bool:
            async with session_of(rig, "flooded") as some:
                try:
                    return (await some.calls(MOST_OF_BOTH // 3)).status_code != 200
                except httpx.TransportError:
                    return True

        # Four thirds of what fits, however often it was counted meanwhile.
        assert any([await flooded() for _ in range(4)])
        assert (await dora.calls(1)).status_code == 200
        assert (await dora.answers(0)).status_code == 202
