"""While nobody knows what was handed to whom, nothing that must be known of it passes; all else goes on."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx

from tests.fault.rig import Rig, rpc_error
from tests.support.clients import MODERN, Rpc, post
from tests.support.targets import JSON_TYPE, Exchange, result


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
