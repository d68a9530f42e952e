"""What was used before, through the real Envoy: small reads add up, limits hold, and a restart forgets nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from countersign.api.recorder.v1 import event_pb2, session_pb2
from tests.support.auditors import session_service
from tests.support.clients import LEGACY, MODERN, Rpc, call, mcp_client, messages, post
from tests.support.gateway import Gateway, Setup, Upstream, free_port
from tests.support.in_turn import InTurn
from tests.support.issuer import RunningIssuer, running_issuer
from tests.support.targets import SSE_TYPE, Exchange, ScriptedTarget, result, scripted_target, tool_text

DEADLINE_S = 60.0
ROWS = 5
MOST_ROWS = 40
CALLS = 5
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "analysts", "allow": {"groups": ["analysts"], "targets": ["*"], "tools": ["read", "wipe"]}},
    {"name": "enough", "deny": {"targets": ["rows"], "tools": ["read"]}, "when": f"usage.rows_1h > {MOST_ROWS}"},
    {"name": "slowly", "deny": {"targets": ["calls"], "tools": ["read"]}, "when": f"usage.calls_24h >= {CALLS}"},
    {"name": "never", "deny": {"tools": ["wipe"]}},
)
LIMITS: tuple[Mapping[str, object], ...] = (
    {"name": "five a minute", "targets": ["minute"], "calls": CALLS, "per": "1m"},
    {"name": "five a day", "targets": ["day", "other"], "calls": CALLS, "per": "24h"},
)
TARGETS = ("rows", "calls", "minute", "day", "other")
READ, WIPE = call("read"), call("wipe", {}, "w1")
TABLE = json.dumps([{"id": number, "name": f"n{number}"} for number in range(ROWS)])


async def reads(exchange: Exchange) -> None:
    """Answer with a few rows, as a stream to who asks for one by its arguments."""
    params = exchange.request.message().get("params")
    assert isinstance(params, dict)
    answer = result(exchange, tool_text(TABLE))
    if not params.get("arguments"):
        await exchange.head(length=len(answer), content_type="application/json")
        await exchange.body(answer)
        return
    await exchange.head(content_type=SSE_TYPE)
    await exchange.body(b"data: " + answer + b"\n\n")
    await exchange.end()


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway with limits of every kind, all of whose targets are one that a test starts."""

    gateway: Gateway
    issuer: RunningIssuer
    port: int

    async def ask(
        self, target: str, subject: str, rpc: Rpc = READ, *, era: str = MODERN, body: bytes | None = None
    ) -> httpx.Response:
        """Ask with a new token of a subject."""
        url = self.gateway.endpoint(target)
        return await post(url, self.issuer.token("alice", url, sub=subject), rpc, era=era, body=body)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[ScriptedTarget]:
        async with scripted_target(reads, self.port) as target:
            yield target

    async def decisions(self, subject: str) -> list[event_pb2.Event]:
        """The requests of a subject that are on the record."""
        mine = session_pb2.SessionFilter(issuer=self.issuer.url, subject=subject)
        async with session_service(self.gateway.url, self.issuer.token("carol", self.gateway.url)) as service:
            found = [await service.replay(session.session_id) for session in await service.list_sessions(mine)]
        return [one.event for events in found for one in events if one.event.kind == event_pb2.EVENT_KIND_REQUEST]


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Place]:
    port = free_port()
    with running_issuer() as issuer:
        targets = {name: Upstream(f"http://127.0.0.1:{port}/mcp") for name in TARGETS}
        setup = Setup(issuer.url, targets, RULES, extra={"rate_limits": list(LIMITS)})
        yield Place(in_turn.take(setup), issuer, port)


def denied(answer: httpx.Response) -> str:
    """The text of a denied tool call; empty when it was allowed."""
    assert answer.status_code == 200, answer.text
    (message,) = messages(answer)
    found = message["result"]
    assert isinstance(found, dict)
    return str(found["content"][0]["text"]) if found.get("isError") else ""


def limited(answer: httpx.Response) -> int:
    """The seconds after which the caller may come again; 0 when it was allowed."""
    if answer.status_code == 200:
        assert denied(answer) == ""
        return 0
    assert answer.status_code == 429
    (message,) = messages(answer)
    error = message["error"]
    assert isinstance(error, dict)
    assert error["code"] == 4290
    assert "the rate limit" in error["message"]
    return int(answer.headers["retry-after"])


@pytest.mark.parametrize("as_stream", [False, True])
async def test_many_small_reads_add_up_to_a_denial(place: Place, as_stream: bool) -> None:
    subject = f"reader-{as_stream}"
    rpc = call("read", {"stream": True} if as_stream else {})
    deadline = time.monotonic() + DEADLINE_S
    async with place.standing() as target:
        while not (text := denied(await place.ask("rows", subject, rpc))):
            assert time.monotonic() < deadline
        passed = len(target.received)
        assert passed * ROWS > MOST_ROWS
        assert "(rule: enough)" in text
        # What was reached stays reached: with a new token, in the other era, for the other kind of answer.
        for era, again in ((LEGACY, rpc), (MODERN, READ), (LEGACY, call("read", {"stream": True}))):
            assert "(rule: enough)" in denied(await place.ask("rows", subject, again, era=era))
        assert len(target.received) == passed
        assert denied(await place.ask("rows", "somebody else")) == ""
        assert limited(await place.ask("day", subject)) == 0


async def test_a_condition_on_calls_is_exact_however_many_come_at_once(place: Place) -> None:
    async with place.standing() as target:
        answers = await asyncio.gather(*[place.ask("calls", "hasty") for _ in range(4 * CALLS)])
        assert len(target.received) == CALLS
    texts = [denied(answer) for answer in answers]
    assert texts.count("") == CALLS
    assert all("(rule: slowly)" in text for text in texts if text)


async def test_who_calls_too_often_is_told_when_to_come_again(place: Place) -> None:
    async with place.standing() as target:
        answers = await asyncio.gather(*[place.ask("minute", "busy") for _ in range(4 * CALLS)])
        waits = [limited(answer) for answer in answers]
        assert waits.count(0) == len(target.received) == CALLS
        # A minute, and the rest of a bucket of two seconds; what is denied does not prolong it.
        assert all(50 <= wait <= 62 for wait in waits if wait)
        later = limited(await place.ask("minute", "busy", call("read", {}, "again"), era=LEGACY))
        assert 1 <= later <= max(waits)
        assert len(target.received) == CALLS
        assert limited(await place.ask("minute", "calm")) == 0
        assert limited(await place.ask("other", "busy")) == 0
        assert limited(await place.ask("minute", "Busy")) == 0, "another subject"
    refused = [event for event in await place.decisions("busy") if event.decision.outcome != event_pb2.OUTCOME_ALLOW]
    assert len(refused) == 3 * CALLS + 1
    assert {(event.status, *event.decision.rules) for event in refused} == {(429, "five a minute")}


async def test_the_answer_to_one_call_too_many_is_for_that_call(place: Place) -> None:
    async with place.standing():
        for _ in range(CALLS):
            assert limited(await place.ask("day", "exact")) == 0
        answer = await place.ask("day", "exact", call("read", {}, "seven"))
    assert answer.headers["content-type"] == "application/json"
    [message] = messages(answer)
    assert message["id"] == "seven"
    assert 86_000 < limited(answer) <= 86_400 + 1_800


@pytest.mark.parametrize(("target", "rule"), [("calls", "slowly"), ("day", "five a day")])
async def test_calls_in_a_batch_count_each(place: Place, target: str, rule: str) -> None:
    """Batches exist in one version of the protocol; what is one request of HTTP is no one call."""
    subject = f"batcher at {target}"
    url = place.gateway.endpoint(target)
    headers = {"mcp-protocol-version": "2025-03-26"}

    async def ask(count: int) -> httpx.Response:
        body = b"[" + b",".join(call("read", {}, number).body(LEGACY) for number in range(count)) + b"]"
        token = place.issuer.token("alice", url, sub=subject)
        return await post(url, token, READ, era=LEGACY, body=body, headers=headers)

    async with place.standing() as standing:
        assert rule in (await ask(CALLS + 1)).text
        assert standing.received == []
        # None of them was sent, so none of them counts.
        assert rule not in (await place.ask(target, subject)).text
        assert rule in (await ask(CALLS)).text
        assert len(standing.received) == 1


async def test_sessions_and_tokens_of_one_subject_share_what_it_may(place: Place) -> None:
    url = place.gateway.endpoint("other")
    async with place.standing() as target:
        for number in range(CALLS):
            token = place.issuer.token(
                "alice", url, sub="many", jti=f"token-{number}", groups=["analysts", f"g{number}"]
            )
            assert limited(await post(url, token, READ, era=(LEGACY, MODERN)[number % 2])) == 0
        assert limited(await place.ask("other", "many")) > 0
        assert len(target.received) == CALLS


async def test_what_is_denied_or_only_connects_is_no_use(place: Place) -> None:
    async with place.standing() as target:
        for _ in range(CALLS + 1):
            assert "(rule: never)" in denied(await place.ask("day", "careful", WIPE))
            await place.ask("day", "careful", Rpc("ping"), era=LEGACY)
        connected = len(target.received)
        for _ in range(CALLS):
            assert limited(await place.ask("day", "careful")) == 0
        assert limited(await place.ask("day", "careful")) > 0
        # A denial that a rule gives needs no room in the limit, but tells no more than that there is none.
        assert limited(await place.ask("day", "careful", WIPE)) > 0
        assert len(target.received) == connected + CALLS


async def test_a_real_client_learns_that_it_must_wait(place: Place) -> None:
    async with place.standing():
        for _ in range(CALLS):
            assert limited(await place.ask("day", "client")) == 0
        url = place.gateway.endpoint("day")
        async with mcp_client(url, place.issuer.token("alice", url, sub="client"), MODERN) as client:
            with pytest.raises(Exception, match="five a day"):
                await client.call_tool("read", {})


async def test_a_start_on_the_same_record_knows_what_was_used(place: Place) -> None:
    async with place.standing() as target:
        for _ in range(CALLS):
            assert limited(await place.ask("day", "patient")) == 0
        deadline = time.monotonic() + DEADLINE_S
        while not denied(await place.ask("rows", "patient")):
            assert time.monotonic() < deadline
        passed = len(target.received)
        await asyncio.to_thread(place.gateway.stop)
        await asyncio.to_thread(place.gateway.start)
        answer = await place.ask("day", "patient")
        assert limited(answer) > 80_000
        assert "(rule: enough)" in denied(await place.ask("rows", "patient"))
        assert len(target.received) == passed
