"""A database that is not the one of which checkpoints were signed stops the log: nothing is signed or recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from countersign.recorder.log.store import Standing
from countersign.tlog import TILE_WIDTH
from tests.contract.log.rig import Rig, SomeWitness, assert_stopped, end_turns
from tests.support.recorded import add_events, tamper

Start = Callable[..., Rig]


CHANGES = {
    "the last event": ["UPDATE countersign.events SET record = '{}' WHERE index = 599"],
    "an old event": ["UPDATE countersign.events SET record = '{}' WHERE index = 7"],
    "two events for each other": [
        "UPDATE countersign.events SET index = -1 WHERE index = 3",
        "UPDATE countersign.events SET index = 3 WHERE index = 4",
        "UPDATE countersign.events SET index = 4 WHERE index = -1",
    ],
    "an old event taken away": ["DELETE FROM countersign.events WHERE index = 7"],
    "the last event taken away": ["DELETE FROM countersign.events WHERE index = 599"],
    "a tile": ["UPDATE countersign.tiles SET hashes = set_byte(hashes, 40, 1) WHERE level = 0 AND tile = 0"],
    "a tile above": ["UPDATE countersign.tiles SET hashes = set_byte(hashes, 4, 1) WHERE level = 1"],
    "a tile shortened": ["UPDATE countersign.tiles SET hashes = substr(hashes, 1, 64) WHERE level = 0 AND tile = 2"],
    "the size": ["UPDATE countersign.log SET integrated_size = 256"],
    "the head": ["DELETE FROM countersign.head"],
    "what is shown": ["UPDATE countersign.checkpoints SET note = replace(note, '600', '601'), size = 601"],
    "how much is shown": ["UPDATE countersign.checkpoints SET size = 9999"],
    "that nonsense is shown": ["INSERT INTO countersign.checkpoints VALUES ('log.test', 9999, 'x', now())"],
    "what was signed": ["UPDATE countersign.signed SET note = replace(note, '600', '599')"],
}


@pytest.mark.parametrize("what", list(CHANGES))
async def test_who_changes_the_database_behind_its_back_is_noticed(rig: Start, dsn: str, what: str) -> None:
    one = rig()
    await add_events(dsn, 2 * TILE_WIDTH + 88)
    await one.shown()
    await tamper(dsn, *CHANGES[what])
    async with asyncio.timeout(20):
        while not one.gate.stopped:
            await one.watch.look()
    if what != "the head":
        await assert_stopped(one)


async def test_what_another_publishes_while_one_looks_is_no_other_history(
    rig: Start, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = rig(), rig()
    await add_events(dsn, 5)
    await other.shown()
    asks = one.store.standing

    async def slowly(origin: str) -> Standing:
        standing = await asks(origin)
        await add_events(dsn, 5)
        await other.shown()
        return standing

    monkeypatch.setattr(one.store, "standing", slowly)
    await one.watch.look()
    assert not one.gate.stopped
    assert one.gate.trusted
    assert one.watch.standing.integrated_size == 5


async def test_it_is_noticed_at_the_start_as_well(rig: Start, dsn: str) -> None:
    await add_events(dsn, 20)
    await rig().shown()
    await tamper(
        dsn,
        "UPDATE countersign.events SET record = '{}' WHERE index = 3",
        "DELETE FROM countersign.tiles",
        "UPDATE countersign.log SET integrated_size = 0",
    )
    await assert_stopped(rig(), "older than the log")


async def test_a_state_file_that_was_lost_is_not_taken_for_a_fresh_start(rig: Start, dsn: str, tmp_path: Path) -> None:
    one = rig()
    await add_events(dsn, 20)
    await one.shown()
    (tmp_path / "log.state").unlink()
    await assert_stopped(one, "missing", "20 events", "empty file")
    again = rig()
    await assert_stopped(again, "missing", "empty file")
    (tmp_path / "log.state").touch()
    await add_events(dsn, 5)
    await end_turns(dsn)
    assert (await again.shown()).size == 25


async def test_without_its_state_nothing_is_signed(rig: Start, dsn: str, tmp_path: Path) -> None:
    one = rig()
    await add_events(dsn, 20)
    await one.shown()
    (tmp_path / "log.state").write_text("{}")
    await add_events(dsn, 5)
    shown = await one.published()
    assert shown is not None
    assert shown.size == 20
    assert "log.state is not what a recorder wrote" in one.watch.complaint
    again = rig()
    await again.caught_up()
    assert not again.gate.trusted


async def test_lag_makes_appends_wait_and_go_on_afterwards(rig: Start, dsn: str) -> None:
    witness = SomeWitness(awake=False)
    one = rig(witness=witness, most_unpublished=100)
    await add_events(dsn, 90)
    await one.published()
    await asyncio.wait_for(one.gate.passed(10), 5)
    waiting = asyncio.ensure_future(one.gate.passed(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    await add_events(dsn, 10)
    await one.published()
    assert not waiting.done()
    assert not one.gate.stopped
    witness.awake = True
    assert (await one.shown()).size == 100
    await asyncio.wait_for(waiting, 5)


async def test_a_lost_connection_closes_the_gate_until_it_was_looked_again(rig: Start, dsn: str) -> None:
    one = rig()
    await add_events(dsn, 5)
    await one.shown()
    one.gate.doubt()
    waiting = asyncio.ensure_future(one.gate.passed(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    await one.watch.look()
    await asyncio.wait_for(waiting, 5)


async def test_after_a_doubt_it_asks_over_connections_of_its_own_time(rig: Start, dsn: str) -> None:
    """Whoever was led to another server by a proxy or a name must not believe the one before."""

    def connected() -> set[int]:
        with psycopg.connect(dsn) as connection:
            found = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'countersign-log%'"
                " AND datname = current_database()"
            )
            return {pid for (pid,) in found.fetchall()}

    one = rig()
    await add_events(dsn, 5)
    await one.shown()
    before = connected()
    assert before
    one.gate.doubt()
    await one.watch.look()
    assert one.gate.trusted
    assert not before & connected()


async def test_a_database_that_is_away_is_no_reason_to_sign_or_to_stop(rig: Start, dsn: str) -> None:
    one = rig()
    await add_events(dsn, 5)
    await one.shown()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA countersign RENAME TO away")
    assert not await one.watch.look()
    assert one.watch.complaint
    assert not one.gate.stopped
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA away RENAME TO countersign")
    await add_events(dsn, 5)
    assert (await one.shown()).size == 10
    assert not one.watch.complaint
