"""Hears from the database that approvals changed, in whatever process. Hints only: the rows are the truth."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

import psycopg

from countersign.approver.changing import CHANNEL
from countersign.runtime.postgres import DatabaseError, connect_writer, safe_reason

log = logging.getLogger(__name__)

PROBE_S = 10.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Listener:
    """One connection of its own that listens, made again whenever it breaks.

    ``hint`` is called with the id and version of what changed; ``look`` each time that listening begins (again), since
    whatever was told before that was not heard. Neither may block.
    """

    def __init__(
        self, dsn: str, *, hint: Callable[[str, int], None], look: Callable[[], None], probe_s: float = PROBE_S
    ) -> None:
        self._dsn = dsn
        self._hint = hint
        self._look = look
        self._probe_s = probe_s
        self._pause_s = FIRST_PAUSE_S
        self.listening = False

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except psycopg.Error as error:
                log.warning("changes of approvals are not heard of now (%s)", safe_reason(error))
            except DatabaseError as error:
                log.warning("changes of approvals are not heard of now: %s", error)
            finally:
                self.listening = False
            await asyncio.sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _listen(self) -> None:
        connection = await connect_writer(self._dsn, application_name="countersign-approvals-listener")
        try:
            await connection.execute(b"LISTEN " + CHANNEL.encode())
            self.listening = True
            self._pause_s = FIRST_PAUSE_S
            # Only now: a change before this was not announced to us, one after it will be.
            self._look()
            while True:
                async with aclosing(connection.notifies(timeout=self._probe_s)) as notices:
                    async for notice in notices:
                        self._tell(notice.payload)
                # A connection whose other end is gone says nothing, for ever, until it is asked something.
                await connection.execute(b"SELECT 1")
        finally:
            await connection.close()

    def _tell(self, payload: str) -> None:
        approval_id, _, version = payload.partition(" ")
        if approval_id and version.isascii() and version.isdecimal():
            self._hint(approval_id, int(version[:18]))
