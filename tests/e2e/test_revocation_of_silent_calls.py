"""A call of which the target has not said a word, when its caller is revoked: it ends, and nothing of it is shown."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from countersign.api.access.v1 import revocations_pb2
from tests.fault.record import Record
from tests.fault.rig import eventually
from tests.support.biting import PLAIN, TARGET, Biting, biting_of
from tests.support.clients import LEGACY, Rpc, call
from tests.support.in_turn import InTurn
from tests.support.targets import Exchange, scripted_target

DEADLINE_S = 15.0
TOOL = "query"


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Biting]:
    with biting_of(in_turn.take) as running:
        yield running


class Thinker:
    """A target that says nothing before it is told to; it knows when its caller hung up."""

    def __init__(self, says: str) -> None:
        self.says = says
        self.asked, self.speak, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        self.asked.set()
        leaving = asyncio.ensure_future(exchange.reader.read(1))
        speaking = asyncio.ensure_future(self.speak.wait())
        try:
            await asyncio.wait({leaving, speaking}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self.left.set()
                return
            leaving.cancel()
            await asyncio.wait({leaving})
            told = {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": self.says}]}}
            answer = json.dumps(told).encode()
            await exchange.head(length=len(answer), content_type="application/json")
            await exchange.body(answer)
        finally:
            for task in (leaving, speaking):
                task.cancel()


async def _post(http: httpx.AsyncClient, url: str, token: str, rpc: Rpc) -> httpx.Response:
    headers = {**rpc.headers(LEGACY), "authorization": f"Bearer {token}"}
    return await http.post(url, content=rpc.body(LEGACY), headers=headers)


@dataclass
class Asked:
    """Somebody whom nobody else knows, who waits for a target; ``marker`` is what it will say."""

    subject: str
    marker: str
    thinker: Thinker
    answer: asyncio.Task[httpx.Response]


@asynccontextmanager
async def asked(place: Biting, target: str) -> AsyncIterator[Asked]:
    """Have them ask, and wait until the target thinks."""
    subject, marker = f"s-{uuid.uuid4().hex[:12]}", f"m{uuid.uuid4().hex}"
    thinker, url = Thinker(marker), place.gateway.endpoint(target)
    token = place.issuer.token("alice", url, sub=subject)
    async with (
        scripted_target(thinker, port=place.port),
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
    ):
        answer = asyncio.ensure_future(_post(http, url, token, call(TOOL)))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await thinker.asked.wait()
            yield Asked(subject, marker, thinker, answer)
        finally:
            thinker.speak.set()
            answer.cancel()
            await asyncio.wait({answer})


async def _assert_recorded(place: Biting, one: Asked) -> None:
    """Its request, its end and why, and the seal of its session; and nothing of what the target said."""
    record = Record(place.gateway)
    (request,) = [row for row in record.rows() if row.kind == "request" and one.subject in row.text]

    def ended() -> bool:
        ends = [row for row in record.rows(request.index) if row.call == request.call and row.kind == "response"]
        return [(row.status, row.reason) for row in ends] == [(502, "the token was revoked")]

    await eventually(ended, DEADLINE_S, "its end on the record")
    seal = "SELECT seal_reason FROM countersign.sessions WHERE session_id = %s"
    await eventually(lambda: record.query(seal, request.session) == [("revoked",)], DEADLINE_S, "the seal")
    assert all(one.marker not in row.text for row in record.rows(request.index))


async def _refused(place: Biting, one: Asked) -> bool:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        token = place.token(one.subject)
        # A tool that no rule allows, so that its target is not asked.
        return (await _post(http, place.url, token, call("other"))).status_code == 401


async def test_where_its_request_passed_the_masker_it_ends_while_its_target_is_silent(place: Biting) -> None:
    async with asked(place, TARGET) as one, place.revoker() as revoker:
        await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, one.subject)
        async with asyncio.timeout(DEADLINE_S):
            answer = await one.answer
            # What it does for nobody it may leave off.
            await one.thinker.left.wait()
        assert (answer.status_code, answer.json()["error"]["message"]) == (502, "the token was revoked")
        assert not one.thinker.speak.is_set()
        await _assert_recorded(place, one)


async def test_elsewhere_nothing_of_its_answer_is_shown_when_it_comes(place: Biting) -> None:
    """The masker hears of the call only by its answer: until then its caller's connection stays open."""
    async with asked(place, PLAIN) as one, place.revoker() as revoker:
        await revoker.revoke(revocations_pb2.REVOCATION_KIND_PRINCIPAL, one.subject)
        await eventually(lambda: _refused(place, one), DEADLINE_S, "the revocation in force")
        one.thinker.speak.set()
        async with asyncio.timeout(DEADLINE_S):
            answer = await one.answer
        assert (answer.status_code, answer.json()["error"]["message"]) == (502, "the token was revoked")
        assert one.marker not in f"{answer.text} {answer.headers}"
        await _assert_recorded(place, one)
