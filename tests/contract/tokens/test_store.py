"""What every store of tokens promises: one value a token, one session, a bounded number, and an end."""

from __future__ import annotations

import asyncio
import hashlib

import pytest

from countersign.recorder.tokens.ports import HEAD_BYTES, MARK_BYTES, SealedToken, TokensFull
from tests.contract.tokens.conftest import MakeStore
from tests.support.events import new_id


def mark(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:MARK_BYTES]


def token(text: str, value: str = "", *, head: str = "head") -> SealedToken:
    value = value or f"value of {text}"
    sealed = f"sealed {text} {value}".encode()
    return SealedToken(mark(text), mark(value), hashlib.sha256(head.encode()).digest()[:HEAD_BYTES], sealed)


HEAD = token("any").head


async def test_what_is_kept_is_found_in_its_session_and_in_no_other(make_store: MakeStore) -> None:
    store, session, other = make_store(), new_id(), new_id()
    kept = await store.keep(session, [token("a"), token("b", head="another")])
    assert (kept.taken, kept.echoes) == (frozenset(), frozenset())
    assert list(await store.find(session, [HEAD])) == [token("a").sealed]
    assert await store.find(other, [HEAD]) == []
    assert await store.find(session, [bytes(HEAD_BYTES)]) == []


async def test_the_same_token_of_the_same_value_is_kept_once(make_store: MakeStore) -> None:
    store, session = make_store(), new_id()
    for _ in range(2):
        assert not (await store.keep(session, [token("a")])).taken
    assert list(await store.find(session, [HEAD])) == [token("a").sealed]


async def test_a_token_that_another_value_has_is_taken_and_the_others_are_kept(make_store: MakeStore) -> None:
    store, session = make_store(), new_id()
    await store.keep(session, [token("a", "one")])
    kept = await store.keep(session, [token("a", "two"), token("b")])
    assert kept.taken == {mark("a")}
    assert set(await store.find(session, [HEAD])) == {token("a", "one").sealed, token("b").sealed}
    assert not (await store.keep(new_id(), [token("a", "two")])).taken


async def test_a_value_that_is_a_token_of_the_session_is_told_and_not_kept(make_store: MakeStore) -> None:
    store, session = make_store(), new_id()
    await store.keep(session, [token("a")])
    kept = await store.keep(session, [token("b", "a"), token("c")])
    assert kept.echoes == {mark("a")}
    assert set(await store.find(session, [HEAD])) == {token("a").sealed, token("c").sealed}
    assert not (await store.keep(new_id(), [token("b", "a")])).echoes


async def test_a_session_holds_a_bounded_number_and_nothing_of_what_would_exceed_it(make_store: MakeStore) -> None:
    store, session = make_store(most_in_session=3), new_id()
    await store.keep(session, [token("a"), token("b")])
    with pytest.raises(TokensFull):
        await store.keep(session, [token("c"), token("d")])
    assert len(await store.find(session, [HEAD])) == 2
    await store.keep(session, [token("c")])
    await store.keep(session, [token("a"), token("b"), token("c")])
    with pytest.raises(TokensFull):
        await store.keep(session, [token("d")])
    await store.keep(new_id(), [token("d")])


async def test_an_expired_token_is_not_found_and_is_swept_so_that_there_is_room_again(make_store: MakeStore) -> None:
    soon, later, session = make_store(lifetime_us=0), make_store(), new_id()
    await soon.keep(session, [token("a"), token("b"), token("c")])
    assert await soon.find(session, [HEAD]) == []
    while await soon.sweep(1):
        pass
    assert await soon.sweep(1) == 0
    assert not (await later.keep(session, [token("a", "another")])).taken
    held = await later.held()
    await later.keep(session, [token("b")])
    assert await later.held() == held + 1


async def test_two_who_keep_at_once_agree_whose_token_it_is(make_store: MakeStore) -> None:
    store, session = make_store(most_in_session=100), new_id()
    results = await asyncio.gather(*(store.keep(session, [token("a", f"value {one}")]) for one in range(10)))
    assert sorted(len(kept.taken) for kept in results) == [0] + [1] * 9
    assert len(await store.find(session, [HEAD])) == 1
