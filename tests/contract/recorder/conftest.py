"""Every store that there is, behind the same tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from countersign.recorder.ports import AppendStore, ReadStore
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.store import PostgresAppendStore
from tests.support.memory_store import MemoryStore
from tests.support.postgres import postgres as postgres


@dataclass(frozen=True)
class Stores:
    """Both sides of one store."""

    writer: AppendStore
    reader: ReadStore


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest) -> AsyncIterator[Stores]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Stores(memory, memory)
        return
    dsn = request.getfixturevalue("postgres").database()
    both = Stores(PostgresAppendStore(dsn), PostgresReadStore(dsn))
    yield both
    await both.writer.close()
    await both.reader.close()
