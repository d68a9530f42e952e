"""Takes what happened to approvals to the recorder."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from weakref import WeakValueDictionary

from countersign.approver.events import event_of
from countersign.approver.ports import ApprovalStore
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import EventSink, NotRecorded

log = logging.getLogger(__name__)

LOOK_S = 1.0
LONGEST_PAUSE_S = 5.0
AT_ONCE = 200
APPROVALS_AT_ONCE = 16


class Outbox:
    """Relays what the store wrote down in the same commit as each change.

    Promises: those of one approval are recorded in order, each only once the one before it is durable; what is not
    durable stays in the store. Every replica relays whatever it finds: event ids are the same in all of them, so that
    one sent twice is recorded once, and no replica waits for another that hangs.
    """

    def __init__(self, store: ApprovalStore, sink: EventSink, *, look_s: float = LOOK_S) -> None:
        self._store = store
        self._sink = sink
        self._look_s = look_s
        self._news = asyncio.Event()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._few = asyncio.Semaphore(APPROVALS_AT_ONCE)

    async def flush(self, approval_id: str) -> None:
        """Return when all that happened to an approval by now is durable in the record.

        Raises ``NotRecorded``, ``DatabaseUnavailable``: then it is recorded later.
        """
        async with self._turn(approval_id):
            while waiting := await self._store.outbox(AT_ONCE, approval_id):
                done: list[str] = []
                try:
                    for transition in waiting:
                        await self._sink.record(event_of(transition))
                        done.append(transition.event_id)
                finally:
                    if done:
                        await self._store.recorded(done)

    def soon(self) -> None:
        """Have what was written down just now recorded in the background, at once."""
        self._news.set()

    async def run(self) -> None:
        """Relay until cancelled."""
        pause_s = self._look_s
        while True:
            self._news.clear()
            if await self._relay():
                pause_s = self._look_s
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._news.wait()
            else:
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _relay(self) -> bool:
        """Relay what there is, each approval's by itself; return whether all of it is recorded."""
        try:
            waiting = await self._store.outbox(AT_ONCE)
        except DatabaseUnavailable as error:
            log.warning("what happened to approvals waits to be recorded: %s", error)
            return False
        ids = dict.fromkeys(transition.approval.id for transition in waiting)
        problems = [one for one in await asyncio.gather(*map(self._problem, ids)) if one]
        if problems:
            log.warning("what happened to %d approvals waits to be recorded: %s", len(problems), problems[0])
        elif len(waiting) == AT_ONCE:
            self._news.set()
        return not problems

    async def _problem(self, approval_id: str) -> str:
        async with self._few:
            try:
                await self.flush(approval_id)
            except (NotRecorded, DatabaseUnavailable) as error:
                return str(error)
        return ""

    def _turn(self, approval_id: str) -> asyncio.Lock:
        turn = self._turns.get(approval_id)
        if turn is None:
            turn = self._turns[approval_id] = asyncio.Lock()
        return turn
