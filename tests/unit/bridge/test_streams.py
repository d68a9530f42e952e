"""Events come in order, once to each reader, and no memory is taken by what nobody reads."""

from __future__ import annotations

import asyncio

from countersign.bridge.streams import KEPT_EVENTS, UNREAD_BYTES, Event, Stream


async def taken(stream: Stream, after: int = 0) -> list[bytes]:
    return [event.data async for event in stream.read(after)]


async def test_what_was_put_before_and_after_the_reader_came_is_read_in_order() -> None:
    stream = Stream(1, patient=True)
    await stream.put(b"one")
    reading = asyncio.ensure_future(taken(stream))
    await asyncio.sleep(0)
    await stream.put(b"two")
    stream.finish(b"three", 404)
    assert await reading == [b"one", b"two", b"three"]
    assert [event async for event in stream.read(2)] == [Event(3, b"three", last=True, status=404)]


async def test_who_comes_back_is_told_what_came_after_what_they_saw() -> None:
    stream = Stream(1, patient=True)
    for number in range(5):
        await stream.put(b"%d" % number)
    stream.finish(b"end")
    await taken(stream)
    assert await taken(stream, 3) == [b"3", b"4", b"end"]


async def test_a_new_reader_takes_the_place_of_the_old_one() -> None:
    stream = Stream(1, patient=True)
    old = asyncio.ensure_future(taken(stream))
    await asyncio.sleep(0)
    new = asyncio.ensure_future(taken(stream))
    assert await old == []
    stream.finish(b"end")
    assert await new == [b"end"]
    assert not stream.has_reader


async def test_whoever_puts_waits_for_a_slow_reader() -> None:
    stream = Stream(1, patient=True)
    reader = stream.read()
    await stream.put(b"x" * UNREAD_BYTES)
    assert (await anext(reader)).number == 1
    putting = asyncio.ensure_future(stream.put(b"y" * UNREAD_BYTES))
    await asyncio.sleep(0)
    assert not putting.done()
    second = asyncio.ensure_future(anext(reader))
    await putting
    assert (await second).data[:1] == b"y"
    await reader.aclose()


async def test_what_nobody_reads_is_dropped_but_never_the_end() -> None:
    stream = Stream(1, patient=True)
    for _ in range(10):
        await stream.put(b"x" * (UNREAD_BYTES // 2))
    assert stream.dropped == 8
    assert stream.kept_bytes <= UNREAD_BYTES
    stream.finish(b"end")
    assert (await taken(stream))[-1] == b"end"


async def test_what_was_read_is_kept_only_so_far() -> None:
    stream = Stream(1, patient=True)
    reading = asyncio.ensure_future(taken(stream))
    for _ in range(2_000):
        await stream.put(b"x" * 10)
        await asyncio.sleep(0)
    stream.finish(b"end")
    assert len(await reading) == 2_001
    assert stream.kept_bytes <= (KEPT_EVENTS + 1) * 10


async def test_nothing_comes_after_the_end() -> None:
    stream = Stream(1, patient=True)
    stream.finish(b"end")
    await stream.put(b"more")
    stream.finish(b"more")
    assert await taken(stream) == [b"end"]
