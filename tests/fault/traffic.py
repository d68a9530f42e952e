"""A bounded stream of concurrent calls, and what became of each: what faults are injected into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.fault.record import ANSWERS, assert_whole
from tests.fault.rig import Caller, Rig, eventually, new_marker, rpc_error
from tests.support.targets import ScriptedTarget

CALLERS = 8
CALLS = 4_000
"""At most so many altogether, so that no failure can go on for ever."""


@dataclass(slots=True)
class Traffic:
    """The calls so far, by marker: answered, refused by the gateway, or cut without an answer."""

    answered: list[str] = field(default_factory=list)
    refused: dict[str, httpx.Response] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def made(self) -> int:
        """How many calls have ended."""
        return len(self.answered) + len(self.refused) + len(self.cut)

    async def until_answered(self, more: int = 30) -> None:
        """Return when so many more calls were answered."""
        wanted = len(self.answered) + more
        await eventually(lambda: len(self.answered) >= wanted, 40, f"{more} answers")

    async def until_disturbed(self) -> None:
        """Return when a call was refused or cut."""
        before = len(self.refused) + len(self.cut)
        await eventually(lambda: len(self.refused) + len(self.cut) > before, 20, "a failed call")

    async def run(self, caller: Caller) -> None:
        """Call until told to end."""
        while not self.ended and self.made < CALLS:
            marker = new_marker()
            try:
                answer = await caller.ask(marker)
            except httpx.TransportError:
                self.cut.append(marker)
                # A gateway that is away refuses at once: let others use the machine.
                await asyncio.sleep(0.1)
                continue
            if answer.status_code == 200:
                assert "result" in answer.json()
                self.answered.append(marker)
            else:
                self.refused[marker] = answer
                await asyncio.sleep(0.1)


@asynccontextmanager
async def traffic(rig: Rig) -> AsyncIterator[Traffic]:
    """Keep calling while the block runs; all calls have ended afterwards."""
    state = Traffic()
    async with rig.caller() as caller:
        callers = [asyncio.ensure_future(state.run(caller)) for _ in range(CALLERS)]
        try:
            await state.until_answered()
            yield state
        finally:
            state.ended = True
            await asyncio.gather(*callers)


def assert_promises(rig: Rig, state: Traffic, target: ScriptedTarget, statuses: set[int]) -> None:
    """Every refusal is a JSON-RPC error; what was forwarded was recorded first; what was answered is all recorded."""
    for answer in state.refused.values():
        assert answer.status_code in statuses, answer.text
        assert rpc_error(answer) in (5020, 5030)
    rows = rig.record.rows()
    assert_whole(rows)
    requested = {row.call: row.text for row in rows if row.kind == "request" and row.outcome == "allow"}
    markers = {text[(at := text.index("m-")) : at + 34]: call for call, text in requested.items() if "m-" in text}
    forwarded = {str(received.message()["params"]["arguments"]["marker"]) for received in target.received}  # type: ignore[index]  # JSON, as posted
    assert forwarded <= {*markers, ""}, "something was forwarded that is not on the record"
    assert set(state.answered) <= forwarded
    ends: dict[str, list[tuple[int, str]]] = {}
    for row in rows:
        if row.kind in ANSWERS:
            ends.setdefault(row.call, []).append((row.status, row.reason))
    recorded = [ends.get(markers[marker]) for marker in state.answered]
    assert recorded == [[(200, "")]] * len(state.answered), "each released answer is on the record, once"
