"""What callers used is counted once each whatever dies, and nobody passes by a count that may be old."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager

import httpx
import psutil
import pytest

from countersign.model.methods import is_connection
from countersign.model.windows import usage_key
from countersign.runtime.usage import SILENCE_S
from tests.fault.rig import RECOVERY_S, TARGET, Caller, Rig, eventually, rpc_error, running_rig
from tests.fault.traffic import assert_promises, traffic
from tests.support.clients import Rpc, call, messages
from tests.support.targets import SSE_TYPE, Exchange, answers, event, tool_text

FEW, ROWS = 4, 50
RULES: tuple[Mapping[str, object], ...] = (
    {"name": "analysts ask", "allow": {"groups": ["analysts"], "targets": [TARGET], "tools": ["query", "few", "pour"]}},
    {"name": "only a few", "deny": {"tools": ["few"]}, "when": f"usage.calls_24h >= {FEW}"},
    {"name": "poured enough", "deny": {"tools": ["pour"]}, "when": f"usage.rows_24h >= {2 * ROWS}"},
)
NEWS = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": list(range(ROWS))}}
# Three rows, which the masks of the record change.
SCRIPT = answers(tool_text(json.dumps([{"id": number, "mail": f"n{number}@example.org"} for number in range(3)])))
QUERY, FEW_TOOL, POUR = call("query", {}), call("few", {}), call("pour", {})
Totals = dict[tuple[bytes, int], Counter[str]]


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig(rules=RULES) as running:
        yield running


@asynccontextmanager
async def somebody(rig: Rig, subject: str) -> AsyncIterator[Caller]:
    """A caller whom no other test knows."""
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
        yield Caller(http, rig.url, rig.hold(rig.issuer.token("alice", rig.url, sub=subject)))


def outcome(answer: httpx.Response) -> str:
    """``passed``, ``denied`` or ``unavailable``."""
    if answer.status_code == 503:
        assert rpc_error(answer) == 5030
        return "unavailable"
    assert answer.status_code == 200, answer.text
    (message,) = messages(answer)
    result = message["result"]
    assert isinstance(result, dict)
    return "denied" if result.get("isError") else "passed"


async def ask(caller: Caller, rpc: Rpc) -> str:
    return outcome(await caller.post(rpc))


def gone(process: psutil.Process) -> Callable[[], bool]:
    return lambda: not process.is_running()


def recorded(rig: Rig) -> Totals:
    """What the record says was used, added up in the plainest way: once for each of the three windows."""
    totals: Totals = {}
    for issuer, subject, target, text in rig.record.query(
        "SELECT s.issuer, s.subject, s.target, e.record FROM countersign.events AS e"
        " JOIN countersign.sessions AS s USING (session_id)"
    ):
        fact = json.loads(text)
        used: Counter[str] = Counter()
        if fact["kind"] == "request" and fact["decision"]["outcome"] == "allow" and not is_connection(fact["method"]):
            used["calls"] = 1
        if fact["kind"] in ("response", "stream_event"):
            used |= Counter(rows=fact.get("row_count", 0), bytes=fact.get("size_bytes", 0))
        if subject and +used:
            for tier in (1, 2, 3):
                totals.setdefault((usage_key(issuer, subject, target), tier), Counter()).update(used)
    return totals


def counted(rig: Rig) -> Totals:
    """What is counted, over all buckets."""
    return {
        (key, tier): Counter(calls=int(calls), rows=int(rows), bytes=int(size))
        for key, tier, calls, rows, size in rig.record.query(
            "SELECT key, tier, sum(calls), sum(row_count), sum(size_bytes) FROM countersign.usage_buckets GROUP BY 1, 2"
        )
    }


async def until_counted(rig: Rig) -> Totals:
    """Return what is counted when that is all that is recorded; fails when it never is."""
    await eventually(lambda: counted(rig) == recorded(rig), RECOVERY_S, "a count that agrees with the record")
    return counted(rig)


@pytest.mark.parametrize("part", ["recorder", "postgres", "masker"])
async def test_everything_is_counted_once_when_a_part_is_killed_again_and_again(rig: Rig, part: str) -> None:
    answered = 0
    async with rig.target(SCRIPT) as target:
        for _ in range(3):
            async with traffic(rig) as state:
                dead = rig.gateway.kill(part)
                await eventually(gone(dead), RECOVERY_S)
                await state.until_answered()
            assert_promises(rig, state, target, {502, 503})
            answered += len(state.answered)
    alice = (await until_counted(rig))[usage_key(rig.issuer.url, "alice", TARGET), 3]
    assert alice["rows"] >= 3 * answered


async def test_while_counts_stand_still_nobody_passes_by_them(rig: Rig) -> None:
    """The record goes on, so what no count decides passes; what one decides stops before it could be long wrong."""
    async with rig.target(SCRIPT) as target, somebody(rig, "careful") as caller:
        assert await ask(caller, FEW_TOOL) == "passed"
        with rig.record.locked("usage_counter"):
            judged: list[str] = []

            async def refused() -> bool:
                judged.append(await ask(caller, FEW_TOOL))
                return judged[-1] == "unavailable"

            await eventually(refused, 2 * SILENCE_S + RECOVERY_S, "a refusal by an old count")
            assert judged.count("passed") == FEW - 1, "own calls count while nothing is told"
            assert set(judged) == {"passed", "denied", "unavailable"}
            reached = len(target.received)
            async with somebody(rig, "new") as other:
                assert await ask(other, FEW_TOOL) == "unavailable"
                assert await ask(other, QUERY) == "passed"
            assert await ask(caller, QUERY) == "passed"
            assert len(target.received) == reached + 2

        async def told_again() -> bool:
            return await ask(caller, FEW_TOOL) == "denied"

        await eventually(told_again, RECOVERY_S, "fresh counts")
        assert len(target.received) == reached + 2
    await until_counted(rig)


async def test_killing_who_judges_gives_nobody_a_second_share(rig: Rig) -> None:
    """It knew of calls before they were counted; its successor must wait for the count."""
    async with rig.target(SCRIPT), somebody(rig, "killer") as caller:
        assert [await ask(caller, FEW_TOOL) for _ in range(FEW)] == ["passed"] * FEW
        dead = rig.gateway.kill("authz")
        await rig.until_restarted("authz", dead)
        seen: list[str] = []

        async def judged() -> bool:
            seen.append(await ask(caller, FEW_TOOL))
            return seen[-1] != "unavailable"

        await eventually(judged, RECOVERY_S, "a judgement")
        assert seen[-1] == "denied"


async def test_a_caller_that_hangs_up_has_used_what_it_asked_for(rig: Rig) -> None:
    async with rig.target(SCRIPT) as target, somebody(rig, "hasty") as caller:
        waiting = [asyncio.ensure_future(caller.post(FEW_TOOL)) for _ in range(5 * FEW)]
        await eventually(lambda: len(target.received) > 0)
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        left = [await ask(caller, FEW_TOOL) for _ in range(FEW)]
        assert left[-1] == "denied"
        assert len(target.received) <= FEW
    await until_counted(rig)


@pytest.mark.parametrize("who", ["caller", "target"])
async def test_what_a_stream_released_before_it_was_cut_is_used(rig: Rig, who: str) -> None:
    go_on = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.head(content_type=SSE_TYPE)
        await exchange.body(event(NEWS) + event(NEWS))
        await go_on.wait()
        await exchange.body(event(NEWS)[:40])
        exchange.reset()

    async with rig.target(script) as target, somebody(rig, f"cut by the {who}") as caller:
        async with caller.stream(POUR) as answer:
            parts = answer.aiter_raw()
            seen = b""
            while seen.count(b"data:") < 2:
                seen += await anext(parts)
            if who == "target":
                go_on.set()
                with pytest.raises(httpx.TransportError):
                    await anext(parts)
        key = usage_key(rig.issuer.url, f"cut by the {who}", TARGET)

        def told() -> bool:
            return counted(rig).get((key, 3), Counter())["rows"] == 2 * ROWS

        await eventually(told, RECOVERY_S, "the rows of a stream that was cut")
        target.script = SCRIPT

        async def denied() -> bool:
            return await ask(caller, POUR) == "denied"

        await eventually(denied, RECOVERY_S, "a denial by these rows")
    await until_counted(rig)
