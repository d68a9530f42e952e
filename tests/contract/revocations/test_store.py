"""What every store of revocations promises: what is put is in force at once, once, and told to the last one."""

from __future__ import annotations

import asyncio
import time
import uuid
from uuid import UUID

import psycopg
import pytest

from countersign.model.revocation import Revocation, RevocationKind
from countersign.recorder.revocations import news_store
from countersign.recorder.revocations.ports import (
    News,
    NotInForce,
    Proposal,
    RevocationStore,
    Revoked,
    Telling,
    TooManyRevocations,
    Untold,
)
from countersign.recorder.revocations.store import PostgresRevocationStore
from tests.contract.revocations.conftest import MOST

ISSUER = "https://idp.test"
NOW_US = time.time_ns() // 1_000
HOUR_US = 3_600_000_000
PAGE = 10
KINDS = (RevocationKind.PRINCIPAL, RevocationKind.TOKEN, RevocationKind.SIGN_IN, RevocationKind.SESSION)


def proposal(
    value: str = "mallory",
    *,
    kind: RevocationKind = RevocationKind.PRINCIPAL,
    issued_before_s: int | None = None,
    until_us: int = 0,
    source: str = "",
    at_us: int = NOW_US,
) -> Proposal:
    """By an operator, or told by an issuer where there is a ``source``."""
    issuer = "" if kind is RevocationKind.SESSION else ISSUER
    id_ = str(uuid.uuid4())
    what = Revocation(id_, kind, issuer, value, "case 17", at_us, issued_before_s, until_us)
    return Proposal(Revoked(what, ISSUER, "" if source else "olga", source), Untold(uuid.uuid4(), id_, False, b"event"))


async def put(store: RevocationStore, *proposals: Proposal) -> list[str]:
    """Put, and return the ids of what is in force of each."""
    done = await store.put(proposals, NOW_US)
    return [one.revocation.revocation_id for one in done.in_force]


async def lift(store: RevocationStore, revocation_id: str) -> None:
    await store.told(await store.lifting(Untold(uuid.uuid4(), revocation_id, True, b"lifted"), NOW_US))


async def all_news(store: RevocationStore, after: int = -1) -> tuple[set[str], set[str], int]:
    """Everything after a version: ids of those in force, those lifted, and the version behind them."""
    known: set[str] = set()
    lifted: set[str] = set()
    begun = after
    while True:
        news: News = await store.news(after, begun)
        assert not news.gap
        begun = news.newest if after < 0 else begun
        known |= {one.revocation.revocation_id for one in news.revoked}
        lifted |= set(news.lifted)
        known -= lifted
        after = news.position
        if after >= news.newest:
            return known, lifted, after


async def test_what_is_put_is_in_force_as_it_was_put(store: RevocationStore) -> None:
    wanted = [proposal(str(uuid.uuid4()), kind=kind) for kind in KINDS]
    wanted.append(proposal("", kind=RevocationKind.ISSUER, issued_before_s=5, until_us=NOW_US + HOUR_US))
    done = await store.put(wanted, NOW_US)
    assert list(done.in_force) == [one.revoked for one in wanted]
    assert list(done.untold) == [one.untold for one in wanted]
    news = await store.news(-1, -1)
    assert news.revoked == done.in_force
    assert await store.page("", "", before=None, limit=10, now_us=NOW_US) == sorted(
        done.in_force, key=lambda one: UUID(one.revocation.revocation_id), reverse=True
    )
    for one in done.in_force:
        assert await store.get(one.revocation.revocation_id, NOW_US) == one
        assert await store.find(one.revocation.kind, one.revocation.issuer, one.revocation.value) == [one]


@pytest.mark.parametrize(
    ("there", "wanted", "covered"),
    [
        (proposal(), proposal(), True),
        (proposal(), proposal(issued_before_s=5), True),
        (proposal(), proposal(until_us=NOW_US + 1), True),
        (proposal(issued_before_s=6), proposal(issued_before_s=5), True),
        (proposal(issued_before_s=5), proposal(issued_before_s=6), False),
        (proposal(issued_before_s=5), proposal(), False),
        (proposal(until_us=NOW_US + 2), proposal(until_us=NOW_US + 1), True),
        (proposal(until_us=NOW_US + 1), proposal(until_us=NOW_US + 2), False),
        (proposal(until_us=NOW_US + 1), proposal(), False),
        (proposal(until_us=NOW_US), proposal(until_us=NOW_US), False),
        (proposal("mallory"), proposal("Mallory"), False),
        (proposal(), proposal(kind=RevocationKind.TOKEN), False),
    ],
    ids=[
        *("same", "older tokens", "for less long", "less old", "older", "any age", "shorter", "longer", "for ever"),
        *("lapsed", "other letters", "other kind"),
    ],
)
async def test_only_what_is_not_covered_is_made(
    store: RevocationStore, there: Proposal, wanted: Proposal, covered: bool
) -> None:
    await put(store, there)
    done = await store.put([wanted], NOW_US)
    assert list(done.in_force) == [there.revoked if covered else wanted.revoked]
    assert list(done.untold) == ([] if covered else [wanted.untold])


async def test_what_issuers_tell_replaces_what_they_told_and_nothing_of_operators(store: RevocationStore) -> None:
    [mine] = await put(store, proposal(until_us=NOW_US + 1))
    [theirs] = await put(store, proposal(until_us=NOW_US + 2, source="logout"))
    [others] = await put(store, proposal(until_us=NOW_US + 3, source="signals"))
    _, _, told = await all_news(store)
    [newer] = await put(store, proposal(until_us=NOW_US + HOUR_US, source="logout"))
    known, lifted, _ = await all_news(store)
    assert known == {mine, others, newer}
    assert not lifted
    assert await all_news(store, told) == ({newer}, {theirs}, told + 2)


async def test_a_telling_is_taken_in_once(store: RevocationStore) -> None:
    telling, other = Telling("logout", b"1"), Telling("signals", b"1")
    assert not await store.heard(telling)
    first = proposal(source="logout")
    assert not (await store.put([first], NOW_US, telling)).known
    assert await store.heard(telling)
    again = await store.put([proposal("bob", source="logout")], NOW_US, telling)
    assert (again.known, again.in_force) == (True, ())
    assert not await store.heard(other)
    assert (await all_news(store))[0] == {first.revoked.revocation.revocation_id}


async def test_what_is_lifted_is_in_force_until_the_record_was_told(store: RevocationStore) -> None:
    [made] = await put(store, proposal())
    _, _, told = await all_news(store)
    first = await store.lifting(Untold(uuid.uuid4(), made, True, b"first"), NOW_US)
    assert await store.lifting(Untold(uuid.uuid4(), made, True, b"second"), NOW_US) == first
    assert await all_news(store, told) == (set(), set(), told)
    # And what is about to be lifted covers nothing that is revoked meanwhile.
    [again] = await put(store, proposal())
    assert again != made
    await store.told(first)
    assert (await all_news(store))[0] == {again}
    assert (await all_news(store, told))[1] == {made}
    with pytest.raises(NotInForce):
        await store.lifting(Untold(uuid.uuid4(), made, True, b"third"), NOW_US)


async def test_what_the_record_was_not_told_is_found_again(store: RevocationStore) -> None:
    wanted = proposal()
    await put(store, wanted)
    assert await store.untold([wanted.untold.revocation_id]) == [wanted.untold]
    assert await store.overdue(60, 10) == []
    await asyncio.sleep(0.01)
    assert await store.overdue(0, 10) == [wanted.untold]
    assert not await store.recorded(wanted.untold.event_id)
    await store.told(wanted.untold)
    assert await store.overdue(0, 10) == []


async def test_there_is_a_bound_and_lifting_makes_room(store: RevocationStore) -> None:
    made = await put(store, *[proposal(f"s-{number}") for number in range(MOST)])
    telling = Telling("logout", b"2")
    with pytest.raises(TooManyRevocations):
        await store.put([proposal("one more", source="logout")], NOW_US, telling)
    # It is not taken for heard, so that its sender tries again.
    assert not await store.heard(telling)
    assert await put(store, proposal("s-0")) == made[:1]
    await lift(store, made[0])
    await put(store, proposal("one more"))
    assert len((await all_news(store))[0]) == MOST


async def test_an_issuer_that_tells_without_end_leaves_room_for_operators(store: RevocationStore) -> None:
    for number in range(MOST):
        try:
            told = proposal(f"s-{number}", source="logout")
            await store.put([told], NOW_US, Telling("logout", str(number).encode()))
        except TooManyRevocations:
            break
    assert 0 < len((await all_news(store))[0]) < MOST
    await put(store, proposal("by an operator"))


async def test_what_lapsed_is_swept_and_told(store: RevocationStore) -> None:
    # Of the sweep's own clock: these tests may begin long after their module was read.
    now_us = time.time_ns() // 1_000
    long_over = proposal("long over", until_us=now_us - HOUR_US, at_us=now_us - 2 * HOUR_US)
    just_over = proposal("just over", until_us=now_us - 1, at_us=now_us - 2 * HOUR_US)
    stays = proposal("stays", until_us=now_us + HOUR_US)
    await store.put([long_over, just_over, stays], now_us - 2 * HOUR_US)
    assert await store.get(just_over.untold.revocation_id, now_us) is None
    assert await store.page("", "", before=None, limit=9, now_us=now_us) == [stays.revoked]
    _, _, told = await all_news(store)
    assert await store.sweep(10) == 1
    assert (await all_news(store, told))[1] == {long_over.untold.revocation_id}
    assert await store.sweep(10) == 0


async def test_pages_hold_each_once_and_filters_hold(store: RevocationStore) -> None:
    wanted = [proposal(f"s-{number}", at_us=NOW_US - number) for number in range(MOST)]
    await put(store, *wanted)
    seen: list[Revoked] = []
    before = None
    while page := await store.page("", "", before=before, limit=2, now_us=NOW_US):
        seen += page
        before = (page[-1].revocation.revoked_us, UUID(page[-1].revocation.revocation_id))
    assert seen == [one.revoked for one in wanted]
    assert await store.page(ISSUER, "s-1", before=None, limit=9, now_us=NOW_US) == [wanted[1].revoked]
    assert await store.page("https://other.test", "", before=None, limit=9, now_us=NOW_US) == []


async def test_many_are_told_in_pages_and_what_changes_meanwhile_after(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(news_store, "PAGE_REVOCATIONS", PAGE)
    store = PostgresRevocationStore(dsn)
    made = await put(store, *[proposal(f"s-{number}") for number in range(2 * PAGE + 5)])
    first = await store.news(-1, -1)
    assert len(first.revoked) == PAGE < first.newest
    await lift(store, made[0])
    rest, lifted, _ = await all_news(store, first.position)
    assert lifted == {made[0]}
    assert rest == set(made[PAGE:])
    await store.close()


async def test_two_writers_make_the_same_once(dsn: str) -> None:
    stores = [PostgresRevocationStore(dsn) for _ in range(2)]
    made = await asyncio.gather(*[put(stores[number % 2], proposal()) for number in range(8)])
    assert len({one for [one] in made}) == 1
    for store in stores:
        await store.close()


async def test_who_was_told_less_than_what_is_forgotten_begins_anew(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news_store, "PAGE_REVOCATIONS", PAGE)
    store = PostgresRevocationStore(dsn)
    made = await put(store, *[proposal(f"s-{number}") for number in range(PAGE + 2)])
    _, _, told = await all_news(store)
    await lift(store, made[-1])
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("UPDATE countersign.revocations SET lifted_at = lifted_at - interval '2 hours'")
    assert await store.sweep(10) == 1
    assert (await store.news(told, told)).gap
    assert (await store.news(told + 100, told + 100)).gap
    # Who begins now has missed nothing, however many pages it takes.
    assert (await all_news(store))[0] == set(made[:-1])
    await store.close()
