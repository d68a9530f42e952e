"""Hundreds of strangers leave two events, and the stop of the gateway loses none of them."""

from __future__ import annotations

import asyncio
import re

import httpx

from countersign.api.recorder.v1 import event_pb2
from tests.support.auditors import session_service
from tests.support.gateway import Gateway, Setup, Upstream, running_gateway
from tests.support.issuer import RunningIssuer, running_issuer

ATTEMPTS = 300


async def attempts_at(gateway: Gateway) -> None:
    async with httpx.AsyncClient() as http:
        for _ in range(ATTEMPTS // 10):
            answers = await asyncio.gather(*(http.post(gateway.endpoint(), content=b"{}") for _ in range(10)))
            assert {answer.status_code for answer in answers} == {401}


async def refused(gateway: Gateway, issuer: RunningIssuer) -> list[event_pb2.Event]:
    async with session_service(gateway.url, issuer.token("carol", gateway.url)) as sessions:
        found = [session for session in await sessions.list_sessions() if session.refused_count]
        events = [each.event for session in found for each in await sessions.replay(session.session_id)]
    return [event for event in events if event.kind == event_pb2.EVENT_KIND_REFUSED]


async def test_a_flood_is_two_events_and_counted_to_the_last_also_when_the_gateway_stops() -> None:
    with running_issuer() as issuer:
        setup = Setup(issuer.url, {"orders": Upstream("http://127.0.0.1:9/mcp")})
        with running_gateway(setup) as gateway:
            await attempts_at(gateway)
            assert len(await refused(gateway, issuer)) == 1
            assert gateway.stop() == 0
            gateway.start()
            first, rest = await refused(gateway, issuer)
    assert (first.status, rest.status) == (401, 401)
    more = re.search(r"\((\d+) more attempts since the first\)$", rest.reason)
    assert more is not None
    assert int(more[1]) == ATTEMPTS - 1
