"""What is due goes whole and never unrecorded; what is held stays; a crash between any two steps changes neither."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any, cast

import psycopg
import pytest

from countersign.model.event import Event, EventKind
from countersign.recorder.audit import NotAudited
from countersign.recorder.keeping.keeper import Keeper
from countersign.recorder.keeping.ports import HeldShelves, KeepingStore, NotThere, Retention
from countersign.recorder.stored_events import with_bodies
from countersign.runtime.postgres import DatabaseUnavailable
from tests.contract.keeping.conftest import FEBRUARY, IN_MARCH, Shelves, us

_WAITS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"


def canary() -> bytes:
    return f"canary-{uuid.uuid4().hex}".encode()


async def test_what_is_due_is_gone_from_every_table_and_the_rest_stays(shelves: Shelves) -> None:
    due, young = canary(), canary()
    gone, kept = shelves.put(due), shelves.put(young, month=FEBRUARY)
    other = shelves.put(b"other", target="")
    assert due.hex().encode() in shelves.dump()
    assert await shelves.tend() == 1
    assert (shelves.get(gone), shelves.get(kept), shelves.get(other)) == (None, young, b"other")
    dump = shelves.dump()
    assert due not in dump
    assert due.hex().encode() not in dump
    assert young.hex().encode() in dump
    # The leaf stays, and says where its body was.
    assert shelves.sql("SELECT count(*) FROM countersign.events WHERE index = %s AND shelf IS NOT NULL", gone) == 1
    assert await shelves.tend() == 0


async def test_the_record_tells_what_begins_and_how_it_ended(shelves: Shelves) -> None:
    shelves.put(b"four")
    shelves.put(b"sixsix")
    await shelves.tend()
    begun, ended = shelves.record.told.values()
    assert (begun.method, ended.method) == ("EraseBodies", "BodiesErased")
    assert {event.kind for event in (begun, ended)} == {EventKind.ERASED}
    assert {event.name for event in (begun, ended)} == {f"{shelves.target}/2024-01"}
    assert (begun.session_id, begun.call_id) == (ended.session_id, ended.call_id)
    assert "bodies are kept for 30 days" in begun.reason
    assert ended.reason.startswith("erased 2 bodies, kept 0 on hold")
    assert (ended.row_count, ended.size_bytes) == (2, 10)
    told = json.loads(ended.body)
    assert (told["target"], told["month"], told["kept_days"]) == (shelves.target, "2024-01", 30)
    assert (told["bodies"], told["size_bytes"], told["held"]) == (2, 10, 0)


async def test_what_cannot_be_recorded_is_not_erased(shelves: Shelves) -> None:
    index = shelves.put(b"still here")
    shelves.record.takes = 0
    for _ in range(2):
        with pytest.raises(NotAudited):
            await shelves.tend()
    assert shelves.get(index) == b"still here"
    shelves.record.takes = 2
    await shelves.tend()
    assert shelves.get(index) is None


class Crash(Exception):
    """The process ends here."""


class Crashing:
    """Does what a turn does for so many steps; then the process ends before the last of them, or right after it."""

    def __init__(self, turn: HeldShelves, step: list[int], *, after: bool) -> None:
        self._turn, self._step, self._after = turn, step, after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._turn, name)

        async def stepped(*arguments: object) -> object:
            if name in ("now_us", "kept", "under_way", "released"):
                return await method(*arguments)
            self._step[0] -= 1
            if self._step[0] == 0 and not self._after:
                raise Crash
            result = await method(*arguments)
            if self._step[0] == 0:
                raise Crash
            return result

        return stepped


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(1, 6))
async def test_a_crash_between_any_two_steps_leaves_nothing_unrecorded(
    shelves: Shelves, step: int, after: bool
) -> None:
    """The steps: begin, told that it begins, erased, told how it ended, remembered that it was told."""
    session = uuid.uuid4()
    gone, held = shelves.put(b"gone"), shelves.put(b"held", session=session)
    await shelves.hold(session=session)
    left = [step]

    class Store:
        @asynccontextmanager
        async def turn(self) -> AsyncIterator[Any]:
            async with shelves.store.turn() as turn:
                assert turn is not None
                yield Crashing(turn, left, after=after)

    async def record(event: Event) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Crash
        await shelves.record(event)
        if left[0] == 0:
            raise Crash

    store = cast(KeepingStore, Store())
    keeper = Keeper(store, record, lambda: shelves.retention, clock_us=lambda: us(shelves.now))
    with pytest.raises(Crash):
        await keeper.tend()
    if shelves.get(gone) is None:
        assert "EraseBodies" in shelves.record.methods
    # Later, and the other recorder's clock is a little behind.
    shelves.now -= timedelta(seconds=1)
    await shelves.tend()
    assert (shelves.get(gone), shelves.get(held)) == (None, b"held")
    assert shelves.record.methods == ["EraseBodies", "BodiesErased"]
    assert [*shelves.record.told.values()][1].reason.startswith("erased 1 bodies, kept 1 on hold")
    assert await shelves.tend() == 0


async def test_a_hold_that_comes_while_an_erasure_begins_is_heeded(shelves: Shelves) -> None:
    session = uuid.uuid4()
    index = shelves.put(b"just in time", session=session)

    async def record(event: Event) -> None:
        if event.method == "EraseBodies":
            await shelves.hold(session=session)
        await shelves.record(event)

    await Keeper(shelves.store, record, lambda: shelves.retention, clock_us=lambda: us(shelves.now)).tend()
    assert shelves.get(index) == b"just in time"
    assert "kept 1 on hold" in [*shelves.record.told.values()][1].reason


async def test_what_is_held_goes_when_the_last_hold_is_released(shelves: Shelves) -> None:
    session, subject, secret = uuid.uuid4(), f"alice-{uuid.uuid4()}", canary()
    both = shelves.put(secret, session=session, subject=subject)
    by_subject = shelves.put(b"hers", subject=subject)
    first = await shelves.hold(session=session)
    second = await shelves.hold(subject=subject)
    await shelves.tend()
    assert (shelves.get(both), shelves.get(by_subject)) == (secret, b"hers")
    await shelves.release(second)
    await shelves.tend()
    assert (shelves.get(both), shelves.get(by_subject)) == (secret, None)
    await shelves.release(first)
    await shelves.tend()
    assert shelves.get(both) is None
    assert secret.hex().encode() not in shelves.dump()
    released = [event for event in shelves.record.told.values() if event.name == "released"]
    assert [event.method for event in released] == ["EraseBodies", "BodiesErased"] * 2
    assert await shelves.tend() == 0


async def test_a_session_is_held_with_all_that_it_goes_on_from_and_that_go_on_from_it(shelves: Shelves) -> None:
    first, second, third = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    chain = [
        shelves.put(b"1", session=first),
        shelves.put(b"2", session=second, continues=first),
        shelves.put(b"3", session=third, continues=second),
    ]
    stranger = shelves.put(b"4")
    await shelves.hold(session=second)
    await shelves.tend()
    assert [shelves.get(index) for index in chain] == [b"1", b"2", b"3"]
    assert shelves.get(stranger) is None


async def test_only_what_there_is_can_be_held_or_released(shelves: Shelves) -> None:
    with pytest.raises(NotThere, match="no such session"):
        await shelves.hold(session=uuid.uuid4())
    hold = await shelves.hold(subject="nobody yet")
    await shelves.release(hold)
    with pytest.raises(NotThere, match="no such hold"):
        await shelves.release(hold)
    assert hold.hold_id not in {one.hold_id for one in await shelves.store.holds()}


async def test_a_hold_that_is_not_recorded_is_not_placed(shelves: Shelves) -> None:
    hold = await shelves.hold(subject="somebody")
    with pytest.raises(NotAudited):
        async with shelves.store.releasing(hold.hold_id, shelves.now):
            raise NotAudited
    assert hold.hold_id in {one.hold_id for one in await shelves.store.holds()}


async def test_one_keeper_works_at_a_time(shelves: Shelves) -> None:
    index = shelves.put(b"once")
    async with shelves.store.turn() as turn:
        assert turn is not None
        assert await shelves.tend() == 0
        assert shelves.get(index) == b"once"
    assert await shelves.tend() == 1
    assert len(shelves.record.told) == 2


async def test_an_edit_of_retention_takes_force(shelves: Shelves) -> None:
    index = shelves.put(b"edited")
    shelves.retention = Retention(None, {shelves.target: 60})
    assert await shelves.tend() == 0
    assert shelves.get(index) == b"edited"
    shelves.retention = Retention(None, {shelves.target: 30})
    assert await shelves.tend() == 1


async def test_a_target_that_is_not_in_the_file_any_more_is_kept_as_the_default_says(shelves: Shelves) -> None:
    removed = f"removed-{uuid.uuid4().hex}"
    named, other = shelves.put(b"named"), shelves.put(b"other", target=removed)
    shelves.retention = Retention(30, {shelves.target: None})
    await shelves.tend()
    assert (shelves.get(named), shelves.get(other)) == (b"named", None)
    assert f"{removed}/2024-01" in {event.name for event in shelves.record.told.values()}


async def test_an_edit_while_an_erasure_begins_calls_it_off(shelves: Shelves) -> None:
    index = shelves.put(b"spared")

    async def record(event: Event) -> None:
        shelves.retention = Retention()
        await shelves.record(event)

    await Keeper(shelves.store, record, lambda: shelves.retention, clock_us=lambda: us(shelves.now)).tend()
    assert shelves.get(index) == b"spared"
    assert shelves.record.methods == ["EraseBodies", "EraseCalledOff"]
    shelves.retention = Retention(None, {shelves.target: 30})
    await shelves.tend()
    assert shelves.get(index) is None


async def test_a_clock_that_runs_ahead_erases_nothing(shelves: Shelves) -> None:
    month = IN_MARCH.date().replace(day=1, year=IN_MARCH.year + 300)
    index = shelves.put(b"later", month=month)
    shelves.now += timedelta(days=366 * 400)
    assert await shelves.tend() == 0
    assert shelves.get(index) == b"later"


async def test_what_could_not_be_told_for_long_is_told_as_of_now(shelves: Shelves) -> None:
    """The record takes no event whose time is more than a day past."""
    shelves.put(b"x")
    shelves.record.takes = 1
    with pytest.raises(NotAudited):
        await shelves.tend()
    shelves.record.takes = 9
    shelves.now += timedelta(days=3)
    await shelves.tend()
    begun, ended = shelves.record.told.values()
    assert (begun.time_us, ended.time_us) == (us(IN_MARCH), us(shelves.now))


async def test_who_reads_bodies_is_not_kept_waiting_and_nothing_is_half_erased(shelves: Shelves) -> None:
    index = shelves.put(b"read me")
    with psycopg.connect(shelves.dsn) as reader:
        assert reader.execute("SELECT count(*) FROM countersign.bodies").fetchone()
        with pytest.raises(DatabaseUnavailable):
            await shelves.tend()
    assert shelves.get(index) == b"read me"
    await shelves.tend()
    assert shelves.get(index) is None


async def test_a_shelf_that_cannot_be_erased_keeps_no_other_from_it(shelves: Shelves) -> None:
    shelves.put(b"damaged")
    shelf = shelves.sql("SELECT max(shelf) FROM countersign.shelves")
    shelves.sql(f"ALTER TABLE countersign.words DETACH PARTITION countersign.words_{shelf}")
    shelves.sql(f"ALTER TABLE countersign.words_{shelf} RENAME TO elsewhere")
    fine = shelves.put(b"fine", month=FEBRUARY)
    shelves.retention = Retention(None, {shelves.target: 1})
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            await shelves.tend()
    assert shelves.get(fine) is None
    shelves.sql(f"ALTER TABLE countersign.elsewhere RENAME TO words_{shelf}")
    assert await shelves.tend() == 1


async def test_shelves_say_when_they_are_due_and_when_they_were_erased(shelves: Shelves) -> None:
    shelves.put(b"x")
    shelves.put(b"y", month=FEBRUARY)
    await shelves.tend()
    mine = [one for one in await shelves.store.shelves() if one.target == shelves.target]
    assert [one.month for one in mine] == [FEBRUARY, FEBRUARY.replace(month=1)]
    assert [one.erased_at for one in mine] == [None, IN_MARCH]
    assert mine[0].size_bytes > 0
    assert mine[1].size_bytes == 0


async def test_a_body_is_not_kept_by_the_planner(shelves: Shelves) -> None:
    """ANALYZE, which every restore ends with, keeps examples of what stands in columns."""
    session, young = uuid.uuid4(), uuid.uuid4().hex.encode()
    for number in range(20):
        shelves.put(young + bytes([number]))
        shelves.put(young + bytes([number]), session=session)
    hold = await shelves.hold(session=session)
    shelf = shelves.sql("SELECT shelf FROM countersign.shelves WHERE target = %s", shelves.target)
    block = "INSERT INTO countersign.words (block, shelf, bits) VALUES (%s, %s, %s)"
    for number in range(20):
        shelves.sql(block, number, shelf, young + bytes([number]))
    shelves.sql("ANALYZE countersign.bodies, countersign.words")
    await shelves.tend()
    shelves.sql("ANALYZE countersign.bodies")
    await shelves.release(hold)
    await shelves.tend()
    kept = shelves.sql(
        "SELECT string_agg(concat(most_common_vals, histogram_bounds), ' ') FROM pg_stats"
        " WHERE schemaname = 'countersign' AND tablename ~ '^(bodies|words)'"
    )
    assert young.hex() not in (kept or "")


async def test_new_shelves_are_made_while_an_old_one_is_being_erased(shelves: Shelves) -> None:
    """Else nothing could be recorded: erasing takes long, and begins when a month does."""
    shelves.put(b"much")
    table = f"countersign.bodies_{shelves.sql('SELECT max(shelf) FROM countersign.shelves')}"
    with psycopg.connect(shelves.dsn) as slow:
        slow.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())
        erasing = asyncio.ensure_future(shelves.tend())
        deadline = time.monotonic() + 10
        while not shelves.sql(_WAITS, table):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        shelves.sql("SET statement_timeout = '3s'")
        assert shelves.sql("SELECT countersign.shelf_for(%s, %s)", f"{shelves.target}-new", FEBRUARY) > 0
        slow.rollback()
    assert await erasing == 1


async def test_to_read_a_body_takes_no_more_locks_after_years_of_shelves(shelves: Shelves) -> None:
    """Where locks are is bounded for all who use a database: who records would be refused, too."""
    session = uuid.uuid4()
    indices = [shelves.put(b"here", session=session) for _ in range(3)]
    for year in range(2000, 2020):
        shelves.sql("SELECT countersign.shelf_for(%s, %s)", shelves.target, date(year, 1, 1))
    events = b"SELECT * FROM countersign.events WHERE index = ANY (%s)"
    read = with_bodies(events) + b" SELECT b.content FROM e JOIN b USING (index)"
    with psycopg.connect(shelves.dsn) as reader:
        assert [row[0][32:] for row in reader.execute(read, (indices,))] == [b"here"] * 3
        locked = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation::regclass::text ~ 'bodies'"
        (count,) = reader.execute(locked).fetchone() or (None,)
    # The table and its index, of the shelf and of what is held.
    assert count == 4


async def test_who_reads_is_not_kept_waiting_by_what_a_released_hold_leaves(shelves: Shelves) -> None:
    session = uuid.uuid4()
    shelves.put(b"held", session=session)
    hold = await shelves.hold(session=session)
    await shelves.tend()
    await shelves.release(hold)
    with psycopg.connect(shelves.dsn) as reader:
        assert reader.execute("SELECT count(*) FROM countersign.bodies_0").fetchone()
        with pytest.raises(DatabaseUnavailable):
            async with asyncio.timeout(10):
                await shelves.tend()
    assert await shelves.tend() == 1
