"""What every store of handles promises: found where they were handed out, taken once, bounded, and they end."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from countersign.recorder.handles.ports import HASH_BYTES, HandleStore, HashedHandle
from tests.support.events import new_id

HOUR_US = 3600 * 1_000_000


def scope() -> bytes:
    return secrets.token_bytes(HASH_BYTES)


def handle(of: bytes, number: int = 1, what: str = "", lifetime_us: int = HOUR_US) -> HashedHandle:
    return HashedHandle(of, number.to_bytes(HASH_BYTES), what, lifetime_us)


async def test_what_is_kept_is_found_in_its_scope_and_in_no_other(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep([handle(mine, 1, "roots/list"), handle(mine, 2)])
    asked = [handle(mine, 2), handle(other, 1), handle(mine, 1), handle(mine, 3)]
    assert list(await store.find(asked)) == ["", None, "roots/list", None]


async def test_a_handle_is_taken_once_however_many_ask_at_the_same_time(store: HandleStore) -> None:
    mine = scope()
    await store.keep([handle(mine)])
    assert sum(await asyncio.gather(*(store.take([handle(mine)]) for _ in range(8)))) == 1
    assert list(await store.find([handle(mine)])) == [None]


async def test_of_several_all_are_taken_or_none(store: HandleStore) -> None:
    mine = scope()
    await store.keep([handle(mine, 1), handle(mine, 2)])
    assert not await store.take([handle(mine, 1), handle(mine, 3)])
    assert await store.take([handle(mine, 2), handle(mine, 1)])


async def test_a_handle_that_is_shown_again_can_be_taken_again(store: HandleStore) -> None:
    mine = scope()
    for what in ("ping", "roots/list"):
        await store.keep([handle(mine, 1, "x"), handle(mine, 1, what)][1:])
        assert list(await store.find([handle(mine)])) == [what]
        assert await store.take([handle(mine)])


async def test_nothing_is_found_or_taken_after_its_time(store: HandleStore) -> None:
    mine = scope()
    await store.keep([handle(mine, 1, lifetime_us=1), handle(mine, 2)])
    await asyncio.sleep(0.001)
    assert list(await store.find([handle(mine, 1), handle(mine, 2)])) == [None, ""]
    assert not await store.take([handle(mine, 1)])
    before = await store.held()
    assert await store.sweep(100) >= 1
    assert await store.held() < before
    assert list(await store.find([handle(mine, 2)])) == [""]


async def test_of_too_many_in_a_scope_those_go_that_would_end_first(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep([handle(other)])
    await store.keep([handle(mine, number, lifetime_us=number * HOUR_US) for number in (3, 1, 2)])
    await store.keep([handle(mine, 4, lifetime_us=1_000_000)])
    assert [what is not None for what in await store.find([handle(mine, number) for number in (1, 2, 3, 4)])] == [
        False,
        True,
        True,
        True,
    ]
    assert list(await store.find([handle(other)])) == [""]


async def test_of_a_scope_that_is_dropped_nothing_is_left(store: HandleStore) -> None:
    mine, other = scope(), scope()
    await store.keep([handle(mine, 1), handle(mine, 2), handle(other)])
    await store.drop(mine)
    assert list(await store.find([handle(mine, 1), handle(mine, 2), handle(other)])) == [None, None, ""]


async def test_a_call_of_which_nothing_is_recorded_has_not_ended(store: HandleStore) -> None:
    assert not await store.has_ended(new_id(), new_id())


@pytest.mark.parametrize("number", [1, 3])
async def test_those_who_keep_the_same_at_once_do_not_stop_one_another(store: HandleStore, number: int) -> None:
    mine = scope()
    some = [handle(mine, each) for each in range(number)]
    await asyncio.gather(*(store.keep(some if turn % 2 else some[::-1]) for turn in range(6)))
    assert list(await store.find(some)) == [""] * number
