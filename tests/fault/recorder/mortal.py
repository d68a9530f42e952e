"""``python -m tests.fault.recorder.mortal DSN STATE``: recorders that kill themselves at a given step.

A step is the moment before a statement (each waits for its answer, whatever is sent together otherwise), before a
rename or a flush of the log's state, or after an acknowledgement. Standard input has a line of JSON for each recorder,
one after another: at which step it dies, and the batches to record. It prints the id of each event that it
acknowledges, and at the end how it ended. Each is a fork of this process, which holds no thread and no connection: to
start anew would take a second each.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from countersign.api.recorder.v1 import event_pb2
from countersign.config.types import Recording
from countersign.recorder.committer import Committer
from countersign.recorder.entry import Verdict, accept
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.room import LogRoom
from countersign.recorder.store import PostgresAppendStore
from tests.support.log_keys import log_key


class Steps:
    """Counts steps, and dies at one of them: as by the power of somebody else, with nothing cleaned up."""

    def __init__(self, die_at: int) -> None:
        self._left = die_at

    def step(self) -> None:
        """Live, or die."""
        self._left -= 1
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)


def put_steps_into(steps: Steps) -> None:
    """Have every statement, rename and flush of this process be a step."""

    def around(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stepping(*arguments: Any, **options: Any) -> Any:
            steps.step()
            return await real(*arguments, **options)

        return stepping

    def around_call(real: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*arguments: Any, **options: Any) -> Any:
            steps.step()
            return real(*arguments, **options)

        return stepping

    @asynccontextmanager
    async def one_by_one(_: object) -> AsyncIterator[None]:
        yield

    psycopg.AsyncConnection.execute = around(psycopg.AsyncConnection.execute)  # type: ignore[assignment,method-assign]
    psycopg.AsyncConnection.pipeline = one_by_one  # type: ignore[assignment,method-assign]
    psycopg.AsyncCopy.write = around(psycopg.AsyncCopy.write)  # type: ignore[assignment,method-assign]
    for name in ("replace", "fsync"):
        setattr(os, name, around_call(getattr(os, name)))


async def live(dsn: str, state: Path, die_at: int, batches: list[list[str]]) -> None:
    """Record the batches one after the other, and end when the log shows them."""
    steps = Steps(die_at)
    log = LogRoom(dsn, LogIdentity((log_key(),), state), Recording)
    store = PostgresAppendStore(dsn)
    await store.open()
    put_steps_into(steps)
    committer = Committer(store, queue_events=100, queue_bytes=2**20, gate=log.gate)
    running = [asyncio.ensure_future(part.run()) for part in (log, committer)]
    async with asyncio.timeout(20):
        for batch in batches:
            events = [event_pb2.Event.FromString(base64.b64decode(text)) for text in batch]
            settled = await (await committer.put([accept(event) for event in events]))
            assert settled == [Verdict.RECORDED] * len(events), settled
            for event in events:
                os.write(1, f"{event.event_id}\n".encode())
                steps.step()
        while not (log.view.published_size and log.view.published_size == log.view.recorded_size):  # noqa: ASYNC110 - the log tells nobody when it is shown
            await asyncio.sleep(0.01)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await store.close()
    await log.close()


def main(dsn: str, state: str) -> None:
    """Fork a recorder for each line."""
    # Garbage is not looked for in what all of them share: to look at it copies it.
    gc.freeze()
    for line in sys.stdin:
        life = json.loads(line)
        child = os.fork()
        if not child:
            with suppress(KeyboardInterrupt):
                asyncio.run(live(dsn, Path(state), life["die_at"], life["batches"]))
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        os.write(1, f"ended {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
