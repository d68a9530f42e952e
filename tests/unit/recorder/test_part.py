"""The recorder as a whole, without a database."""

from __future__ import annotations

import asyncio

import pytest

from countersign.recorder import RecorderPart
from countersign.recorder.log.room import LogRoom
from tests.support.log_keys import log_of
from tests.support.recorders import SEALER


class Broken(Exception):
    """Nobody thought of it."""


async def test_a_recorder_whose_log_fails_in_ways_nobody_thought_of_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would go on to record what nobody signs."""

    async def run(_: LogRoom) -> None:
        raise Broken

    monkeypatch.setattr(LogRoom, "run", run)
    dsn = "host=/nowhere dbname=none"
    part = RecorderPart(dsn, sealer=SEALER, log=log_of(dsn), is_auditor=lambda _: False)
    with pytest.raises(Broken):
        async with asyncio.timeout(10):
            await part.run()
    await part.close()
