"""Several recorders and several who watch agree on what was used, also when one of them is killed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from countersign.model.event import Event
from countersign.runtime.moments import now_us
from countersign.runtime.recording import Recorder
from countersign.runtime.usage import UsageView
from tests.fault.recorder.test_faults import recorder_process
from tests.support.events import ALICE, new_id, request, response
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorders import running_recorder, running_sender, until

ROWS, SIZE_BYTES = 7, 100


@asynccontextmanager
async def viewing(address: str) -> AsyncIterator[UsageView]:
    view = UsageView(address)
    await view.start()
    try:
        yield view
    finally:
        await view.close()


def used(*views: UsageView) -> set[tuple[int, int, int]]:
    """What all of them say, for a day."""
    told = [view.of(ALICE, "orders", now_us()) for view in views]
    return {(one.calls_24h, one.rows_24h, one.bytes_24h) for one in told}


def exactly(calls: int) -> set[tuple[int, int, int]]:
    """What this many calls are, each of which was answered."""
    return {(calls, calls * ROWS, calls * SIZE_BYTES)}


async def call(sender: Recorder, session: str, view: UsageView | None = None) -> None:
    """Make a call, counted at once by a view as authz does, and answer it."""
    asked: Event = request(session, time_us=now_us())
    if view is not None:
        view.count_call(ALICE, "orders", asked.time_us)
    await sender.record(asked)
    await sender.record(response(session, time_us=now_us(), row_count=ROWS, size_bytes=SIZE_BYTES))


async def test_two_recorders_and_two_views_agree_soon(postgres: Postgres) -> None:
    dsn = postgres.database()
    async with AsyncExitStack() as stack:
        sides = []
        for _ in range(2):
            _, address = await stack.enter_async_context(running_recorder(dsn))
            sender = await stack.enter_async_context(running_sender(address))
            sides.append((sender, await stack.enter_async_context(viewing(address))))
        views = [view for _, view in sides]
        await until(lambda: all(view.fresh for view in views))
        for _ in range(2):
            await asyncio.gather(*[call(sender, new_id(), view) for sender, view in sides for _ in range(15)])
        # Each watches one recorder: what passed at the other one comes by the database.
        await until(lambda: used(*views) == exactly(60))


async def test_views_are_right_again_after_their_recorder_was_killed(postgres: Postgres) -> None:
    dsn = postgres.database()
    with tempfile.TemporaryDirectory(prefix="cs-use-") as folder:
        address = f"unix:{folder}/s"
        async with running_sender(address) as sender, viewing(address) as view:
            calls = 0
            for _ in range(3):
                with recorder_process(address, dsn):
                    await until(lambda: view.fresh)
                    await asyncio.gather(*[call(sender, new_id()) for _ in range(20)])
                    calls += 20
                # Killed before or while these were counted.
                Path(folder, "s").unlink(missing_ok=True)
            with recorder_process(address, dsn):
                await until(lambda: used(view) == exactly(calls))
                assert view.fresh
