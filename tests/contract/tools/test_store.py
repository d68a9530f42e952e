"""What every store of pins promises."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from countersign.recorder.tools import ports
from countersign.recorder.tools.plan import Offer, Page, Tool, ToolState, accept, forget, observe
from countersign.recorder.tools.ports import PinStore
from tests.support.pins import offer

Stores = tuple[PinStore, PinStore]
START_US = 1_790_000_000_000_000
GOOD, EVIL = offer(), offer(description="Runs a query, and more.")


async def see(store: PinStore, target: str, *offers: Offer, ends: bool = True) -> int | None:
    """Observe a page as the recorder does; return the revision, if it was news."""
    async with store.held(target) as held:
        known = await held.tools([one.name for one in offers])
        seen = observe(held.listed, known, Page(target, offers, ends, allow_new=False), START_US)
        if not seen.is_news:
            return None
        return await held.save(seen.target, [change.after for change in seen.changes])


async def drop(store: PinStore, target: str, *offers: Offer) -> int | None:
    """Have tools forgotten as the recorder does; return the revision, if there were any."""
    async with store.held(target) as held:
        known = await held.tools([one.name for one in offers])
        done = forget(held.listed, known, [(one.name, one.digest) for one in offers])
        if not done.tools or done.target is None:
            return None
        return await held.save(done.target, (), [tool.seen.name for tool in done.tools])


async def all_tools(store: PinStore, target: str = "", *, pending: bool = False) -> Sequence[Tool]:
    return await store.page(target, pending=pending, after=("", ""), limit=100)


async def test_what_was_saved_reads_back_as_it_was(stores: Stores) -> None:
    one, other = stores
    odd = offer("h\u00e9 \U0001f600", "Say \u200b \x00 'quoted' \\ text", extra={"a": [1, None, True]})
    await see(one, "shop", odd, GOOD)
    await see(one, "shop", EVIL)
    (first, changed) = await all_tools(other)
    assert first.seen == odd
    assert first.state is ToolState.NEW
    assert changed.seen == EVIL
    assert changed.accepted is not None
    assert (changed.accepted.digest, changed.accepted.definition) == (GOOD.digest, GOOD.definition)
    async with other.held("shop") as held:
        assert held.listed is not None
        assert (held.listed.tool_count, held.listed.open_until_us) == (2, 0)
        assert await held.tools(["query", "none"]) == {"query": changed}


async def test_who_accepted_is_kept(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop")
    await see(one, "shop", GOOD)
    async with one.held("shop") as held:
        assert held.listed is not None
        known = await held.tools(["query"])
        done = accept(known, [("query", GOOD.digest)], issuer="idp", subject="olga\x00", now_us=START_US + 1)
        await held.save(held.listed, [change.after for change in done.changes])
    (tool,) = await all_tools(other)
    assert tool.accepted is not None
    assert (tool.accepted.issuer, tool.accepted.time_us, tool.state) == ("idp", START_US + 1, ToolState.ACCEPTED)
    assert tool.accepted.subject.startswith("olga")


async def test_nothing_happened_when_the_block_raised(stores: Stores) -> None:
    one, other = stores

    async def fail() -> None:
        async with one.held("shop") as held:
            seen = observe(None, {}, Page("shop", (GOOD,), True, False), START_US)
            await held.save(seen.target, [change.after for change in seen.changes])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await all_tools(other) == []
    assert (await other.news(0)) is None
    assert await see(one, "shop", GOOD) is not None


async def test_nothing_happened_when_the_block_was_cancelled(stores: Stores) -> None:
    one, other = stores
    inside = asyncio.Event()

    async def hang() -> None:
        async with one.held("shop") as held:
            seen = observe(None, {}, Page("shop", (GOOD,), True, False), START_US)
            await held.save(seen.target, [change.after for change in seen.changes])
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(hang())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        assert await see(other, "shop", EVIL) is not None
    (tool,) = await all_tools(one)
    assert tool.seen == EVIL


async def test_a_change_is_seen_once_however_many_see_it_at_once(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop", GOOD)
    revisions = await asyncio.gather(*(see(store, "shop", EVIL) for store in (one, other) * 8))
    assert len([revision for revision in revisions if revision is not None]) == 1


async def test_the_first_sight_is_one_for_all(stores: Stores) -> None:
    one, other = stores
    await asyncio.gather(see(one, "shop", offer("a")), see(other, "shop", offer("b")))
    states = sorted(tool.state for tool in await all_tools(one))
    assert states == [ToolState.ACCEPTED, ToolState.NEW]


async def test_news_are_told_in_order_and_none_is_missed(stores: Stores) -> None:
    one, other = stores
    begin = await other.news(-1)
    assert begin is not None
    assert (begin.revision, list(begin.targets), list(begin.tools)) == (0, [], [])
    told: dict[tuple[str, str], bytes] = {}
    after = 0

    async def follow() -> None:
        nonlocal after
        while len(told) < 60:
            news = await other.news(after)
            if news is None:
                await asyncio.sleep(0)
                continue
            assert news.revision > after
            after = news.revision
            told.update({(tool.target, tool.name): tool.seen_digest for tool in news.tools})

    async def write(target: str) -> None:
        for number in range(20):
            await see(one, target, offer(f"t{number}"), ends=False)

    async with asyncio.timeout(30):
        await asyncio.gather(follow(), *(write(target) for target in ("a", "b", "c")))
    assert set(told) == {(target, f"t{number}") for target in "abc" for number in range(20)}


async def test_what_is_forgotten_is_gone_and_told_to_who_followed(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop", GOOD, offer("list"), ends=False)
    await see(one, "other", GOOD)
    before = await see(one, "shop", EVIL, ends=False)
    assert before is not None
    revision = await drop(other, "shop", EVIL)
    assert revision is not None
    assert [(tool.target, tool.seen.name) for tool in await all_tools(one)] == [("other", "query"), ("shop", "list")]
    news = await one.news(before)
    assert news is not None
    assert (news.revision, list(news.tools), list(news.forgotten)) == (revision, [], [("shop", "query")])
    assert [(target.target, target.tool_count, target.open_until_us) for target in news.targets] == [("shop", 1, 0)]
    # Who begins has nothing to forget, and who was told is not told again.
    beginning = await one.news(-1)
    assert beginning is not None
    assert (len(beginning.tools), list(beginning.forgotten)) == (2, [])
    assert await one.news(revision) is None


async def test_what_comes_again_after_it_was_forgotten_is_told_in_that_order(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop", GOOD)
    before = await see(one, "shop", EVIL)
    assert before is not None
    for _ in range(2):
        gone = await drop(other, "shop", EVIL)
        await see(one, "shop", EVIL)
        assert gone is not None
        (tool,) = await all_tools(other)
        assert (tool.state, tool.accepted) == (ToolState.NEW, None)
        late, early = await other.news(before), await other.news(gone)
        assert late is not None
        assert early is not None
        assert (list(late.forgotten), [one.state for one in late.tools]) == ([("shop", "query")], [ToolState.NEW])
        assert (list(early.forgotten), [one.state for one in early.tools]) == ([], [ToolState.NEW])


async def test_nothing_is_forgotten_when_the_block_raised(stores: Stores) -> None:
    one, other = stores
    before = await see(one, "shop", GOOD)
    assert before is not None

    async def fail() -> None:
        async with one.held("shop") as held:
            assert held.listed is not None
            await held.save(held.listed, (), ["query"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert [tool.seen for tool in await all_tools(other)] == [GOOD]
    assert await other.news(before) is None


async def test_who_forgets_and_who_sees_a_change_take_turns(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop", GOOD)
    for number in range(10):
        latest = offer(description=f"version {number}")
        await asyncio.gather(see(one, "shop", latest), drop(other, "shop", GOOD), drop(one, "shop", latest))
        await see(other, "shop", latest)
        (tool,) = await all_tools(other)
        assert tool.seen == latest
        assert tool.state is not ToolState.ACCEPTED
        async with one.held("shop") as held:
            assert held.listed is not None
            assert held.listed.tool_count == 1


async def test_a_page_ends_where_it_should(stores: Stores) -> None:
    one, _ = stores
    await see(one, "a", *(offer(f"t{number}") for number in range(5)))
    await see(one, "b", offer("x"))
    await see(one, "b", offer("y"))
    names: list[tuple[str, str]] = []
    while page := await one.page("", pending=False, after=names[-1] if names else ("", ""), limit=2):
        assert len(page) <= 2
        names += [(tool.target, tool.seen.name) for tool in page]
    assert names == [*(("a", f"t{number}") for number in range(5)), ("b", "x"), ("b", "y")]
    assert [tool.seen.name for tool in await all_tools(one, "b")] == ["x", "y"]
    assert [tool.seen.name for tool in await all_tools(one, pending=True)] == ["y"]
    assert [tool.seen.name for tool in await all_tools(one, "a", pending=True)] == []


async def test_a_page_is_bounded_by_bytes_and_never_empty(stores: Stores) -> None:
    one, _ = stores
    large = "x" * 200_000
    await see(one, "a", *(offer(f"t{number:02}", large) for number in range(30)))
    page = await all_tools(one)
    assert 1 <= len(page) < 30
    assert sum(len(tool.seen.definition) for tool in page) <= ports.PAGE_BYTES


async def test_ten_thousand_tools_are_kept(stores: Stores) -> None:
    one, other = stores
    await see(one, "shop", *(offer(f"t{number}") for number in range(10_000)))
    news = await other.news(0)
    assert news is not None
    assert len(news.tools) == 10_000
    assert sum(tool.state is ToolState.ACCEPTED for tool in news.tools) == 2_000
