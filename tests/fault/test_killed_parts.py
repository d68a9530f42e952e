"""When a part dies in mid-traffic, calls fail; none passes unjudged, unmasked or unrecorded; and it comes back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator

import httpx
import psutil
import pytest

from tests.fault.rig import Rig, eventually, question, rpc_error, running_rig
from tests.fault.traffic import assert_promises, traffic
from tests.support.targets import (
    Exchange,
    Steps,
    answers,
    event,
    final_event,
    result,
    tool_text,
)


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig() as running:
        yield running


async def test_no_call_without_a_record_when_the_recorder_is_killed(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            dead = rig.gateway.kill("recorder")
            await rig.until_restarted("recorder", dead)
            await state.until_answered()
        # A quick restart may well be bridged: waiting calls are then recorded by the new process, each once.
        assert_promises(rig, state, target, {503})
        assert state.cut == []


async def test_calls_fail_while_the_recorder_does_not_answer(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            hung = rig.gateway.part("recorder")
            hung.suspend()
            await state.until_disturbed()
            reached = len(target.received)
            async with rig.caller() as caller:
                answer = await caller.ask()
                assert (answer.status_code, rpc_error(answer)) == (503, 5030)
            assert len(target.received) == reached
            hung.kill()
            await rig.until_restarted("recorder", hung)
            await state.until_answered()
        assert_promises(rig, state, target, {503})
        assert state.cut == []


async def test_nothing_reaches_the_target_while_authz_is_dead(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            dead = rig.gateway.kill("authz")
            await state.until_disturbed()
            await rig.until_restarted("authz", dead)
            await state.until_answered()
        assert_promises(rig, state, target, {503})
        assert {rpc_error(answer) for answer in state.refused.values()} == {5030}
        assert state.cut == []


async def test_nothing_is_released_unmasked_when_the_masker_is_killed(rig: Rig) -> None:
    canary = rig.canary()
    async with rig.target(answers(tool_text(f"write to {canary}"))) as target:
        async with traffic(rig) as state:
            dead = rig.gateway.kill("masker")
            await state.until_disturbed()
            await rig.until_restarted("masker", dead)
            await state.until_answered()
        assert_promises(rig, state, target, {502})
        assert [answer for answer in state.refused.values() if canary in answer.text] == []


async def test_a_stream_is_cut_when_the_masker_is_killed(rig: Rig) -> None:
    canary = rig.canary()
    note = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": f"to {canary}"}}
    steps = Steps([event(note), event(note)[:40], event(note)[40:], event(note), final_event(tool_text(canary))])
    got = bytearray()

    async def rest(pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            got.extend(piece)

    async with rig.target(steps), rig.caller() as caller, caller.stream(question()) as answer:
        pieces = answer.aiter_bytes()
        steps.release()
        got += await anext(pieces)
        assert b"[EMAIL]" in got
        steps.release()
        await eventually(lambda: steps.sent == 2)
        dead = rig.gateway.kill("masker")
        steps.release(3)
        with pytest.raises(httpx.TransportError):
            await rest(pieces)
    assert canary.encode() not in got
    assert got.count(b"[EMAIL]") == 1
    await rig.until_restarted("masker", dead)


async def test_a_buffered_answer_is_withheld_when_the_masker_is_killed(rig: Rig) -> None:
    canary = rig.canary()
    half, go = asyncio.Event(), asyncio.Event()

    async def script(exchange: Exchange) -> None:
        body = result(exchange, tool_text(f"write to {canary}"))
        await exchange.head(content_type="application/json")
        await exchange.body(body[:-20])
        half.set()
        await go.wait()
        await exchange.body(body[-20:])
        await exchange.end()

    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        await rig.until_it_serves()
        target.script = script
        asking = asyncio.ensure_future(caller.ask())
        await half.wait()
        dead = rig.gateway.kill("masker")
        await eventually(lambda: not dead.is_running() or dead.status() == psutil.STATUS_ZOMBIE)
        go.set()
        answer = await asking
        assert answer.status_code == 502
        assert rpc_error(answer) == 5020
        assert canary not in answer.text
        target.script = answers(tool_text("fine"))
        await rig.until_it_serves()


async def test_envoy_is_started_again(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            dead = rig.gateway.kill("envoy")
            await state.until_disturbed()
            await rig.until_restarted("envoy", dead)
            await state.until_answered()
        assert_promises(rig, state, target, set())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGQUIT])
async def test_nothing_is_lost_or_doubled_when_postgres_dies(rig: Rig, how: signal.Signals) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            dead = rig.gateway.kill("postgres", how)
            await rig.until_restarted("postgres", dead)
            await state.until_answered()
        assert_promises(rig, state, target, {502, 503})
        assert state.cut == []


async def test_nothing_is_lost_or_doubled_when_postgres_stands_still(rig: Rig) -> None:
    async with rig.target(answers(tool_text("fine"))) as target:
        async with traffic(rig) as state:
            postmaster = rig.gateway.part("postgres")
            frozen = [postmaster, *postmaster.children(recursive=True)]
            for process in frozen:
                process.suspend()
            try:
                await state.until_disturbed()
                reached = len(target.received)
                async with rig.caller() as caller:
                    assert (await caller.ask()).status_code == 503
                assert len(target.received) == reached
            finally:
                for process in frozen:
                    process.resume()
            await state.until_answered()
        assert_promises(rig, state, target, {502, 503})
        assert state.cut == []
