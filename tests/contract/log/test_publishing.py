"""Nothing is signed that does not go on from what was signed; what is shown was remembered, and cosigned by enough."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest

from countersign.recorder.log.state import StateFile
from countersign.recorder.log.store import PostgresLogStore, Signing
from countersign.tlog import open_checkpoint, parse_note, plan_consistency, read_unverified, verify_consistency
from tests.contract.log.rig import Rig, SomeWitness, end_turns
from tests.support.log_keys import log_key
from tests.support.recorded import add_events

Start = Callable[..., Rig]


async def test_nothing_is_shown_of_an_empty_log(rig: Start) -> None:
    one = rig()
    assert await one.published() is None
    assert one.gate.trusted


async def test_each_checkpoint_shows_all_that_is_in_the_tree(rig: Start, dsn: str) -> None:
    one = rig()
    shown = []
    for added in (1, 300, 7):
        await add_events(dsn, added)
        shown.append(await one.shown())
    assert [checkpoint.size for checkpoint in shown] == [1, 301, 308]
    for old, new in pairwise(shown):
        plan = plan_consistency(old.size, new.size)
        proof = plan.make(await one.store.tiles(plan.tiles))
        verify_consistency(old.size, old.root, new.size, new.root, proof)


async def test_what_did_not_grow_is_not_signed_again(rig: Start, dsn: str) -> None:
    one = rig()
    await add_events(dsn, 3)
    first = await one.published()
    assert await one.published() == first
    assert not await one.publisher.publish()


async def test_it_is_remembered_on_disk_before_anything_else(
    rig: Start, dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = rig()
    await add_events(dsn, 3)
    remembered: list[int] = []

    async def keep(self: Signing, size: int, note: str) -> None:
        state = StateFile(tmp_path / "log.state").read().last("log.test")
        remembered.append(state.size if state is not None else -1)
        await keeps(self, size, note)

    keeps = Signing.keep
    monkeypatch.setattr(Signing, "keep", keep)
    await one.shown()
    assert remembered == [3]


class _Killed(BaseException):
    """What nothing may swallow: the process is no more."""


STEPS = [
    (StateFile, "remember_new", "before"),
    (StateFile, "remember_new", "after"),
    (Signing, "keep", "before"),
    (Signing, "keep", "after"),
    (PostgresLogStore, "publish", "before"),
    (PostgresLogStore, "publish", "after"),
]


@pytest.mark.parametrize(("where", "step", "when"), STEPS, ids=[f"{step} {when}" for _, step, when in STEPS])
async def test_who_dies_between_two_steps_leaves_what_the_next_completes(
    rig: Start, dsn: str, monkeypatch: pytest.MonkeyPatch, where: type, step: str, when: str
) -> None:
    first = rig()
    await add_events(dsn, 5)
    before = await first.shown()
    await add_events(dsn, 5)
    await first.caught_up()
    signed: list[str] = []

    def die(original: Callable[..., Any]) -> Callable[..., Any]:
        async def dying(*given: Any) -> None:
            signed.extend(one for one in given if isinstance(one, str) and "\n" in one)
            if when == "after":
                await original(*given)
            raise _Killed

        def dying_at_once(*given: Any) -> None:
            signed.extend(one for one in given if isinstance(one, str) and "\n" in one)
            if when == "after":
                original(*given)
            raise _Killed

        return dying if asyncio.iscoroutinefunction(original) else dying_at_once

    with monkeypatch.context() as patch:
        patch.setattr(where, step, die(getattr(where, step)))
        with pytest.raises(_Killed):
            await first.publisher.publish()
    await add_events(dsn, 5)
    await first.publisher._turn.end()
    after = await rig().shown()
    assert after.size == 15
    # What was signed and perhaps seen by somebody is part of the same history.
    for note in signed:
        seen = read_unverified(note)[0]
        for old, new in ((before, seen), (seen, after)):
            plan = plan_consistency(old.size, new.size)
            verify_consistency(old.size, old.root, new.size, new.root, plan.make(await first.store.tiles(plan.tiles)))


async def test_too_few_cosignatures_leave_it_pending_and_the_next_one_takes_its_place(rig: Start, dsn: str) -> None:
    witness = SomeWitness(awake=False)
    one = rig(witness=witness)
    await add_events(dsn, 5)
    assert await one.published() is None
    assert await one.published() is None
    await add_events(dsn, 5)
    assert await one.published() is None
    witness.awake = True
    shown = await one.published()
    assert shown is not None
    assert witness.seen == [5, 5, 10, 10]
    opened = open_checkpoint(shown.note, one.identity.verifiers, [witness.key.verifier])
    assert {signed.key for signed in opened.signed} == {log_key().verifier, witness.key.verifier}
    await add_events(dsn, 300)
    assert (await one.shown()).size == 310


async def test_keys_are_changed_by_adding_the_new_one_first(rig: Start, dsn: str) -> None:
    old, new = log_key(number=1), log_key(number=2)
    await add_events(dsn, 5)
    await rig(keys=[old]).shown()
    await add_events(dsn, 5)
    both = rig("of two", keys=[old, new])
    both.identity.state.touch()
    await end_turns(dsn)
    shown = await both.published()
    assert shown is not None
    assert (
        open_checkpoint(shown.note, [old.verifier]).checkpoint == open_checkpoint(shown.note, [new.verifier]).checkpoint
    )
    await add_events(dsn, 5)
    await end_turns(dsn)
    assert (await rig("of two", keys=[new]).shown()).size == 15


async def test_a_key_that_nobody_knew_before_stops_the_log(rig: Start, dsn: str) -> None:
    await add_events(dsn, 5)
    await rig(keys=[log_key(number=1)]).shown()
    await end_turns(dsn)
    other = rig(keys=[log_key(number=2)])
    await add_events(dsn, 5)
    assert (shown := await other.published()) is not None
    assert parse_note(shown.note).signatures[0].claims(log_key(number=1).verifier)
    assert "signed by none of the keys" in other.gate.stopped


async def test_of_several_recorders_one_publishes_and_another_takes_over(rig: Start, dsn: str) -> None:
    first, second = rig("first"), rig("second")
    second.identity.state.touch()
    await add_events(dsn, 5)
    await first.shown()
    await add_events(dsn, 5)
    assert not await second.publisher.publish()
    await second.caught_up()
    assert not await second.publisher.publish()
    await first.publisher._turn.end()
    assert (await second.shown()).size == 10


async def test_every_recorder_remembers_what_others_signed(rig: Start, dsn: str, tmp_path: Path) -> None:
    first, second = rig("first"), rig("second")
    (tmp_path / "second").touch()
    await add_events(dsn, 5)
    await first.shown()
    await second.caught_up()
    remembered = StateFile(tmp_path / "second").read().last("log.test")
    assert remembered is not None
    assert remembered.size == 5


async def test_of_old_checkpoints_the_last_of_each_hour_is_kept(rig: Start, dsn: str) -> None:
    one = rig()
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        for size, at in [(1, "2026-01-01 10:00"), (2, "2026-01-01 10:59"), (3, "2026-01-01 11:01"), (9, "now")]:
            values = ("log.test", size, "n", at)
            await connection.execute("INSERT INTO countersign.checkpoints VALUES (%s, %s, %s, %s)", values)
    await one.store.thin("log.test")
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        found = await connection.execute("SELECT size FROM countersign.checkpoints ORDER BY size")
        assert await found.fetchall() == [(2,), (3,), (9,)]
