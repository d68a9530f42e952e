"""A database in whose place an older copy was put stops the log, until the newest is back or the log renamed."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import psycopg
import pytest

from tests.contract.log.rig import Rig, assert_stopped, end_turns
from tests.support.log_keys import log_key
from tests.support.postgres import Postgres
from tests.support.recorded import add_events, copied, migrated, replaced

Start = Callable[..., Rig]


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    """A database of the test's own: it does not last."""
    return await migrated(postgres.database())


async def test_an_older_copy_is_known_by_all_until_the_newest_is_back(rig: Start, dsn: str) -> None:
    signing, following = rig("signing"), rig("following")
    following.identity.state.touch()
    await add_events(dsn, 300)
    await signing.shown()
    older = copied(dsn)
    await add_events(dsn, 10)
    await signing.shown()
    await following.caught_up()
    newest = copied(dsn)
    replaced(dsn, by=older)
    for one in (signing, following, rig("signing"), rig("following")):
        await assert_stopped(one, "older than the log", "310", "300", "new-key")
    replaced(dsn, by=newest)
    await add_events(dsn, 5)
    await end_turns(dsn)
    assert (await signing.shown()).size == 315
    assert signing.gate.trusted


async def test_an_older_copy_that_grew_holds_another_history_and_another_name_is_the_remedy(
    rig: Start, dsn: str
) -> None:
    one = rig()
    await add_events(dsn, 300)
    await one.shown()
    older = copied(dsn)
    await add_events(dsn, 10)
    await one.shown()
    replaced(dsn, by=older)
    # By whoever does not look, or remembers nothing.
    await add_events(dsn, 50, salt="other")
    await rig("elsewhere").store.integrate()
    await assert_stopped(one, "another history", "310", "new-key")
    await end_turns(dsn)
    assert (await rig(keys=[log_key("log2.test")]).shown()).size == 350
    await assert_stopped(rig(), "another history")


async def test_an_older_copy_that_lacks_only_what_no_checkpoint_shows_yet_is_known_too(rig: Start, dsn: str) -> None:
    one = rig()
    await add_events(dsn, 5)
    await one.shown()
    older = copied(dsn)
    await add_events(dsn, 1)
    one.recorded = (5, await event_at(dsn, 5))
    await one.caught_up()
    assert one.gate.trusted
    newest = copied(dsn)
    replaced(dsn, by=older)
    await assert_stopped(one, "event 5", "acknowledged", "newest")
    # Others go on over it meanwhile: as many events, and not the same.
    await add_events(dsn, 3)
    await assert_stopped(one, "event 5")
    replaced(dsn, by=newest)
    await end_turns(dsn)
    assert (await one.shown()).size == 6


async def event_at(dsn: str, index: int) -> UUID:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT event_id FROM countersign.events WHERE index = %s", (index,))
        row = await found.fetchone()
    assert row is not None
    event_id = row[0]
    assert isinstance(event_id, UUID)
    return event_id
