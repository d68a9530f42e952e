"""What every store of handles promises: found where they were handed out, taken once, bounded, and they end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace

import pytest

from countersign.recorder.handles.ports import HASH_BYTES, HandleStore, HashedHandle, HashedOwner, KnownHandle
from countersign.recorder.handles.shares import Bounds, Share
from tests.support.events import new_id

HOUR_US = 3600 * 1_000_000


YES, NO = bytes(HASH_BYTES), bytes([1] * HASH_BYTES)
OWNER = HashedOwner(bytes([2] * HASH_BYTES), bytes([3] * HASH_BYTES))


def scope() -> bytes:
    return secrets.token_bytes(HASH_BYTES)


def handle(of: bytes, number: int = 1, what: str = "", lifetime_us: int = HOUR_US, answer: bytes = YES) -> HashedHandle:
    return HashedHandle(of, number.to_bytes(HASH_BYTES), what, lifetime_us, answer)


def whats(found: Sequence[KnownHandle | None]) -> list[str | None]:
    return [None if one is None else one.what for one in found]


async def test_what_is_kept_is_found_in_its_scope_and_in_no_other(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep(OWNER, [handle(mine, 1, "roots/list"), handle(mine, 2)])
    asked = [handle(mine, 2), handle(other, 1), handle(mine, 1), handle(mine, 3)]
    assert whats(await store.find(asked)) == ["", None, "roots/list", None]


async def test_a_handle_is_spent_once_however_many_ask_at_the_same_time(store: HandleStore) -> None:
    mine = scope()
    await store.keep(OWNER, [handle(mine)])
    assert all(await asyncio.gather(*(store.take([handle(mine)]) for _ in range(8))))
    assert sum(await asyncio.gather(*(store.spend([handle(mine)]) for _ in range(8)))) == 1
    assert whats(await store.find([handle(mine)])) == [None]
    assert not await store.take([handle(mine)])


async def test_of_different_answers_that_race_one_takes_a_handle_and_that_one_alone_again(store: HandleStore) -> None:
    mine = scope()
    await store.keep(OWNER, [handle(mine)])
    answers = [handle(mine, answer=bytes([number] * HASH_BYTES)) for number in range(6)]
    taken = await asyncio.gather(*(store.take([each]) for each in answers))
    assert sum(taken) == 1
    assert await asyncio.gather(*(store.take([each]) for each in answers)) == taken
    assert await asyncio.gather(*(store.spend([each]) for each in answers)) == taken


async def test_of_several_all_are_taken_and_spent_or_none(store: HandleStore) -> None:
    mine = scope()
    await store.keep(OWNER, [handle(mine, 1), handle(mine, 2)])
    assert not await store.take([handle(mine, 1), handle(mine, 3)])
    assert not await store.spend([handle(mine, 2), handle(mine, 1)]), "nobody took them"
    assert await store.take([handle(mine, 1, answer=NO)])
    assert not await store.take([handle(mine, 2), handle(mine, 1)]), "one is taken for another answer"
    assert await store.take([handle(mine, 2), handle(mine, 1, answer=NO)])
    assert not await store.spend([handle(mine, 2), handle(mine, 1)])
    assert await store.spend([handle(mine, 2), handle(mine, 1, answer=NO)])


async def test_a_handle_that_is_shown_again_can_be_taken_again(store: HandleStore) -> None:
    mine = scope()
    for what, answer in (("ping", YES), ("roots/list", NO), ("x", YES)):
        await store.keep(OWNER, [handle(mine, 1, what)])
        assert whats(await store.find([handle(mine)])) == [what]
        assert await store.take([handle(mine, answer=answer)])
    assert await store.spend([handle(mine)])
    await store.keep(OWNER, [handle(mine)])
    assert await store.take([handle(mine, answer=NO)])


async def test_a_handle_keeps_the_masks_of_all_who_showed_it(store: HandleStore) -> None:
    mine = scope()
    for masks in (("b", "a", "b"), (), ("c",)):
        await store.keep(replace(OWNER, masks=masks), [handle(mine, 1, "x")])
    assert list(await store.find([handle(mine), handle(mine, 2)])) == [KnownHandle("x", ("a", "b", "c")), None]


async def test_crowded_are_those_who_hold_much_and_nobody_else(store: HandleStore) -> None:
    target, alice, bob = scope(), scope(), scope()
    for principal, count in ((alice, 3), (bob, 2)):
        for _ in range(count):
            await store.keep(HashedOwner(target, principal), [handle(scope())])
    await store.keep(HashedOwner(scope(), alice), [handle(scope())])
    least = Bounds(target=5, principal=3, both=3)
    found = {
        share: held for share, held in (await store.crowded(least)).items() if {*_parts(share)} & {target, alice, bob}
    }
    assert found == {Share(target, b""): 5, Share(b"", alice): 4, Share(target, alice): 3}


def _parts(share: Share) -> tuple[bytes, bytes]:
    return share.target, share.principal


async def test_nothing_is_found_or_taken_after_its_time(store: HandleStore) -> None:
    mine = scope()
    await store.keep(OWNER, [handle(mine, 1, lifetime_us=1), handle(mine, 2)])
    await asyncio.sleep(0.001)
    assert whats(await store.find([handle(mine, 1), handle(mine, 2)])) == [None, ""]
    assert not await store.take([handle(mine, 1)])
    before = await store.held()
    assert await store.sweep(100) >= 1
    assert await store.held() < before
    assert whats(await store.find([handle(mine, 2)])) == [""]


async def test_of_too_many_in_a_scope_those_go_that_would_end_first(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep(OWNER, [handle(other)])
    await store.keep(OWNER, [handle(mine, number, lifetime_us=number * HOUR_US) for number in (3, 1, 2)])
    await store.keep(OWNER, [handle(mine, 4, lifetime_us=1_000_000)])
    assert [what is not None for what in await store.find([handle(mine, number) for number in (1, 2, 3, 4)])] == [
        False,
        True,
        True,
        True,
    ]
    assert whats(await store.find([handle(other)])) == [""]


async def test_of_a_scope_that_is_dropped_nothing_is_left(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep(OWNER, [handle(mine, 1), handle(mine, 2), handle(other)])
    await store.drop(mine)
    assert whats(await store.find([handle(mine, 1), handle(mine, 2), handle(other)])) == [None, None, ""]


async def test_a_call_of_which_nothing_is_recorded_has_not_ended(store: HandleStore) -> None:
    assert not await store.has_ended(new_id(), new_id())


@pytest.mark.parametrize("number", [1, 3])
async def test_those_who_keep_the_same_at_once_do_not_stop_one_another(store: HandleStore, number: int) -> None:
    mine = scope()
    some = [handle(mine, each) for each in range(number)]
    await asyncio.gather(*(store.keep(OWNER, some if turn % 2 else some[::-1]) for turn in range(6)))
    assert whats(await store.find(some)) == [""] * number
