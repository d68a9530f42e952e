"""Whatever dies, hangs or is edited meanwhile: what must be masked on its way reaches no target unmasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest

from tests.fault.record import ANSWERS
from tests.fault.rig import TARGET, Caller, Rig, eventually, new_marker, running_rig
from tests.support.clients import call
from tests.support.targets import answers, tool_text

CALLERS = 4
MASKED = {"mask_request": {"mask": ["pii"]}}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running_rig(target=MASKED) as running:
        yield running


class Statuses(list[int]):
    """What became of the calls so far; 0 for those that were cut."""

    async def until(self, *wanted: int) -> None:
        """Return when another call ended in one of these ways."""
        before = len(self)
        await eventually(lambda: any(status in wanted for status in self[before:]), 30, f"one of {wanted}")


@asynccontextmanager
async def telling(rig: Rig, canary: str) -> AsyncIterator[Statuses]:
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

    async with rig.caller() as caller:
        callers = [asyncio.ensure_future(run(caller)) for _ in range(CALLERS)]
        try:
            await statuses.until(200)
            yield statuses
        finally:
            for each in callers:
                each.cancel()
            await asyncio.wait(callers)


async def test_nothing_is_sent_unmasked_when_the_masker_is_killed(rig: Rig) -> None:
    canary = rig.canary()
    async with rig.target(answers(tool_text("fine"))) as target:
        async with telling(rig, canary) as statuses:
            dead = rig.gateway.kill("masker")
            await statuses.until(502, 503)
            await rig.until_restarted("masker", dead)
            await statuses.until(200)
        assert canary.encode() not in target.raw
        assert b"write to [EMAIL]" in target.raw
        assert set(statuses) <= {200, 502, 503, 0}


async def test_nothing_is_sent_while_the_masker_hangs(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller(timeout_s=2) as caller:
        hung = rig.gateway.part("masker")
        hung.suspend()
        try:
            with pytest.raises(httpx.ReadTimeout):
                await caller.post(call("query", {"marker": f"{marker} {canary}"}))
            assert target.received == []
        finally:
            hung.resume()

        async def ended() -> bool:
            return any(row.kind in ANSWERS for row in rig.record.call(marker))

        # The caller hung up, and that is on the record; what the masker releases afterwards goes nowhere.
        await eventually(ended, 10, "the end on the record")
        assert canary.encode() not in target.raw


async def test_what_is_refused_on_its_way_is_told_and_recorded(rig: Rig) -> None:
    canary, marker = rig.canary(), new_marker()
    asked = call("query", {"marker": marker})
    asked = replace(asked, params={**dict(asked.params or {}), "note": canary})
    async with rig.target(answers(tool_text("fine"))) as target, rig.caller() as caller:
        answer = await caller.post(asked)
        assert target.received == []
    assert "`pii` found EMAIL" in answer.text
    assert canary not in answer.text
    (row,) = rig.record.call(marker)
    assert row.outcome == "deny"


async def test_no_edit_lets_anything_through_unmasked(rig: Rig) -> None:
    """Envoy and the services take up an edit one after the other, in any order."""
    canary = rig.canary()
    setup = rig.gateway.setup
    plain = replace(setup, targets={TARGET: replace(setup.targets[TARGET], extra={})})
    async with rig.target(answers(tool_text("fine"))) as target:
        rig.gateway.reconfigure(plain)
        async with rig.caller() as caller:
            await _until_sent(target.raw, caller)
        rig.gateway.reconfigure(setup)
        async with rig.caller() as caller:
            await _until_masked(target.raw, caller)
        del target.raw[:]
        async with telling(rig, canary) as statuses:
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
