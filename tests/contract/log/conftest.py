"""A database with the tables in it, empty for each test, and recorders' logs over it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.log.rig import Rig
from tests.support.postgres import Postgres
from tests.support.postgres import postgres as postgres
from tests.support.recorded import emptied, migrated


@pytest.fixture(scope="session")
def _made() -> list[str]:
    return []


@pytest.fixture
async def dsn(postgres: Postgres, _made: list[str]) -> str:
    """A database without a record: the same one, made empty again."""
    if not _made:
        _made.append(await migrated(postgres.database()))
    await emptied(_made[0])
    return _made[0]


@pytest.fixture
async def rig(dsn: str, tmp_path: Path) -> AsyncIterator[Callable[..., Rig]]:
    """Start a recorder's log over the database; by default the same recorder each time."""
    rigs: list[Rig] = []

    def start(state: str = "log.state", **how: Any) -> Rig:
        rigs.append(Rig(dsn, tmp_path / state, **how))
        return rigs[-1]

    yield start
    for one in rigs:
        await one.close()
