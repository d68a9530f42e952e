"""Every store of pins that there is, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.tools.ports import PinStore
from countersign.recorder.tools.store import PostgresPinStore
from tests.support.pins import MemoryPinStore
from tests.support.postgres import postgres as postgres


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[tuple[PinStore, PinStore]]:
    """Two stores that hold the same pins, as two recorders have them; for the one in memory there is only one."""
    if request.param == "memory":
        memory = MemoryPinStore()
        yield memory, memory
        return
    dsn: str = request.getfixturevalue("postgres").database()
    record = PostgresAppendStore(dsn)
    await record.open()
    await record.close()
    one, other = PostgresPinStore(dsn), PostgresPinStore(dsn)
    try:
        yield one, other
    finally:
        await one.close()
        await other.close()
