"""When a part dies in mid-traffic, calls fail; none passes unjudged, unmasked or unrecorded; and it comes back.

Whatever dies, hangs or is edited: what must be masked on its way reaches no target unmasked.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from tests.fault.record import ANSWERS
from tests.fault.rig import (
    RULES,
    TARGET,
    Caller,
    Rig,
    eventually,
    is_dead,
    new_marker,
    question,
    rpc_error,
    running_rig,
)
from tests.fault.traffic import assert_promises, traffic
from tests.support.clients import call
from tests.support.targets import (
    Exchange,
    Steps,
    answers,
    event,
    final_event,
    result,
    tool_text,
)

CALLERS = 4
GUARDED = "guarded"
MASKED = {"mask_request": {"mask": ["pii"]}}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    rules = ({**RULES[0], "allow": {"groups": ["analysts"], "targets": [TARGET, GUARDED], "tools": ["query"]}},)
    with running_rig(rules=rules, beside={GUARDED: MASKED}) as running:
        yield running


@pytest.fixture
def guarded(rig: Rig) -> Rig:
    """The same gateway, and a target that is not to get personal data."""
    return replace(rig, name=GUARDED)


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
        # 502: of what the target had begun to answer when it was not known any more who is revoked.
        assert_promises(rig, state, target, {502, 503})
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
        await eventually(lambda: is_dead(dead))
        go.set()
        answer = await asking
        assert answer.status_code == 502
        assert rpc_error(answer) == 5020
        assert canary not in answer.text
        target.script = answers(tool_text("fine"))
        await rig.until_it_serves()


async def test_every_service_runs_again_when_what_they_are_forked_from_is_killed(rig: Rig) -> None:
    canary = rig.canary()
    async with rig.target(answers(tool_text(f"write to {canary}"))) as target:
        async with traffic(rig) as state:
            services = {name: rig.gateway.part(name) for name in ("authz", "masker", "recorder")}
            rig.gateway.kill("nursery")
            await state.until_disturbed()
            for name, ended in services.items():
                await rig.until_restarted(name, ended)
            await state.until_answered()
        assert_promises(rig, state, target, {502, 503})
        assert [answer for answer in state.refused.values() if canary in answer.text] == []


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


class Statuses(list[int]):
    """What became of the calls so far; 0 for those that were cut."""

    async def until(self, *wanted: int) -> None:
        """Return when another call ended in one of these ways."""
        before = len(self)
        await eventually(lambda: any(status in wanted for status in self[before:]), 30, f"one of {wanted}")


@asynccontextmanager
async def telling(guarded: Rig, canary: str) -> AsyncIterator[Statuses]:
    """Keep calling with a value in the arguments while the block runs."""
    statuses = Statuses()

    async def run(caller: Caller) -> None:
        while True:
            try:
                answer = await caller.post(call("query", {"marker": f"write to {canary}"}))
                statuses.append(answer.status_code)
            except httpx.TransportError:
                statuses.append(0)
            if statuses[-1] != 200:
                # A gateway that is away refuses at once: let others use the machine.
                await asyncio.sleep(0.02)

    async with guarded.caller() as caller:
        callers = [asyncio.ensure_future(run(caller)) for _ in range(CALLERS)]
        try:
            await statuses.until(200)
            yield statuses
        finally:
            for each in callers:
                each.cancel()
            await asyncio.wait(callers)


async def test_nothing_is_sent_unmasked_when_the_masker_is_killed(guarded: Rig) -> None:
    canary = guarded.canary()
    async with guarded.target(answers(tool_text("fine"))) as target:
        async with telling(guarded, canary) as statuses:
            dead = guarded.gateway.kill("masker")
            await statuses.until(502, 503)
            await guarded.until_restarted("masker", dead)
            await statuses.until(200)
        assert canary.encode() not in target.raw
        assert b"write to [EMAIL]" in target.raw
        assert set(statuses) <= {200, 502, 503, 0}


async def test_nothing_is_sent_while_the_masker_hangs(guarded: Rig) -> None:
    canary, marker = guarded.canary(), new_marker()
    async with guarded.target(answers(tool_text("fine"))) as target, guarded.caller(timeout_s=2) as caller:
        hung = guarded.gateway.part("masker")
        hung.suspend()
        try:
            with pytest.raises(httpx.ReadTimeout):
                await caller.post(call("query", {"marker": f"{marker} {canary}"}))
            assert target.received == []
        finally:
            hung.resume()

        async def ended() -> bool:
            return any(row.kind in ANSWERS for row in guarded.record.call(marker))

        # The caller hung up, and that is on the record; what the masker releases afterwards goes nowhere.
        await eventually(ended, 10, "the end on the record")
        assert canary.encode() not in target.raw


async def test_what_is_refused_on_its_way_is_told_and_recorded(guarded: Rig) -> None:
    canary, marker = guarded.canary(), new_marker()
    asked = call("query", {"marker": marker})
    asked = replace(asked, params={**dict(asked.params or {}), "note": canary})
    async with guarded.target(answers(tool_text("fine"))) as target, guarded.caller() as caller:
        answer = await caller.post(asked)
        assert target.received == []
    assert "`pii` found EMAIL" in answer.text
    assert canary not in answer.text
    (row,) = guarded.record.call(marker)
    assert row.outcome == "deny"


async def test_no_edit_lets_anything_through_unmasked(guarded: Rig) -> None:
    """Envoy and the services take up an edit one after the other, in any order."""
    canary = guarded.canary()
    setup = guarded.gateway.setup
    plain = replace(setup, targets={**setup.targets, GUARDED: replace(setup.targets[GUARDED], extra={})})
    async with guarded.target(answers(tool_text("fine"))) as target:
        guarded.gateway.reconfigure(plain)
        async with guarded.caller() as caller:
            await _until_sent(target.raw, caller)
        guarded.gateway.reconfigure(setup)
        async with guarded.caller() as caller:
            await _until_masked(target.raw, caller)
        del target.raw[:]
        async with telling(guarded, canary) as statuses:
            await statuses.until(200)
        assert canary.encode() not in target.raw


async def _until_sent(raw: bytearray, caller: Caller) -> None:
    mail = "plain@" + "example.org"

    async def sent() -> bool:
        await caller.post(call("query", {"marker": mail}))
        return mail.encode() in raw

    await eventually(sent, 15, "an edit that takes force")


async def _until_masked(raw: bytearray, caller: Caller) -> None:
    """Return when authz masks; from then on no answer of Envoy's may be older than that."""

    async def masked() -> bool:
        del raw[:]
        answer = await caller.post(call("query", {"marker": "edited@" + "example.org"}))
        return answer.status_code == 503 or b"[EMAIL]" in raw

    await eventually(masked, 15, "an edit that takes force")
