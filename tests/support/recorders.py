"""Recorders and senders that run inside a test, and the check that a record is whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import grpc
import psycopg

from countersign.config.types import Recording
from countersign.recorder import RecorderPart
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.ports import Cosigner
from countersign.recorder.part import QUEUE_BYTES, QUEUE_EVENTS
from countersign.runtime.recording import NotRecorded, Recorder
from countersign.runtime.sealing import KEY_BYTES, Sealer
from tests.support.events import new_id, request
from tests.support.log_keys import log_of

SEALER = Sealer(bytes(KEY_BYTES))
KNOWN_WITHIN_S = 2.0


async def until(condition: Callable[[], bool], *, within_s: float = 30.0) -> None:
    """Return as soon as ``condition`` holds; raises ``TimeoutError``."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the conditions are of many kinds, and none has an event to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running_recorder(
    dsn: str,
    *,
    log: LogIdentity | None = None,
    recording: Callable[[], Recording] = Recording,
    cosigner: Cosigner | None = None,
    **limits: int,
) -> AsyncIterator[tuple[RecorderPart, str]]:
    """A recorder in this process, and its address; ``log`` is by default the one that all of a test share."""
    part = RecorderPart(
        dsn,
        sealer=SEALER,
        log=log or log_of(dsn),
        is_auditor=lambda principal: "auditors" in principal.groups,
        is_operator=lambda principal: "operators" in principal.groups,
        is_configured=lambda target: target != "removed",
        recording=recording,
        cosigner=cosigner,
        queue_events=limits.get("queue_events", QUEUE_EVENTS),
        queue_bytes=limits.get("queue_bytes", QUEUE_BYTES),
    )
    await part.open()
    server = grpc.aio.server()
    part.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()

    running = asyncio.ensure_future(part.run())
    # Before it knows what is revoked it lets nobody in; with a database that is away it never does.
    with suppress(TimeoutError):
        async with asyncio.timeout(KNOWN_WITHIN_S):
            await until(lambda: part.knows_revoked)
    try:
        yield part, f"127.0.0.1:{port}"
    finally:
        part.drain()
        await server.stop(2)
        await part.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def running_sender(
    address: str, *, timeout_s: float = 30.0, queue_events: int = 10_000
) -> AsyncIterator[Recorder]:
    """A sender towards ``address``."""
    sender = Recorder(address, queue_events=queue_events, queue_bytes=2**27, timeout_s=timeout_s)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.close()


@dataclass
class Traffic:
    """Callers that record event after event and remember which were acknowledged."""

    senders: list[Recorder]
    callers: int = 8
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    _stop: bool = False

    async def _call(self, number: int) -> None:
        session = new_id()
        while not self._stop:
            event = request(session)
            try:
                await self.senders[number % len(self.senders)].record(event)
            except NotRecorded as error:
                self.refused.append(str(error))
            else:
                self.acknowledged.append(event.event_id)

    def stop(self) -> None:
        """Let each caller end with the call that it is in."""
        self._stop = True

    async def more(self, count: int) -> None:
        """Return when ``count`` more events were acknowledged."""
        wanted = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= wanted, within_s=60)

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Callers call inside the block, and have ended after it."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.callers):
                group.create_task(self._call(number))
            try:
                yield
            finally:
                self.stop()


async def assert_whole(dsn: str, acknowledged: list[str]) -> None:
    """Everything acknowledged is there exactly once, indices and sequences are dense, the sums are right."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute(
            "SELECT index, event_id::text, session_id, sequence FROM countersign.events ORDER BY index"
        )
        rows = await found.fetchall()
        sums = await connection.execute("SELECT session_id, event_count, allowed_count FROM countersign.sessions")
        counted = {session: (events, allowed) for session, events, allowed in await sums.fetchall()}
        head = await (await connection.execute("SELECT next_index FROM countersign.head")).fetchone()
    assert [index for index, *_ in rows] == list(range(len(rows)))
    assert head == (len(rows),)
    assert set(acknowledged) <= {event_id for _, event_id, *_ in rows}
    lengths: Counter[object] = Counter()
    for _, _, session, sequence in rows:
        assert sequence == lengths[session]
        lengths[session] += 1
    assert counted == {session: (length, length) for session, length in lengths.items()}
