"""A caller with many events at once leaves room in the queue for the others."""

from __future__ import annotations

import asyncio

import pytest

from countersign.model.event import Event, EventKind
from countersign.runtime.moments import new_id
from countersign.runtime.recording import NotRecorded
from countersign.runtime.slices import SLICE_EVENTS, record_all


def events(count: int) -> list[Event]:
    return [
        Event(
            event_id=new_id(),
            session_id="s",
            call_id="c",
            kind=EventKind.STREAM_EVENT,
            time_us=1,
            target="t",
            method="m",
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, SLICE_EVENTS, SLICE_EVENTS + 1, 5 * SLICE_EVENTS])
async def test_all_are_recorded_in_order_and_few_at_once(count: int) -> None:
    held, most = 0, 0
    recorded: list[Event] = []

    async def record(event: Event) -> None:
        nonlocal held, most
        held += 1
        most = max(most, held)
        await asyncio.sleep(0)
        held -= 1
        recorded.append(event)

    given = events(count)
    await record_all(record, given)
    assert recorded == given
    assert most <= SLICE_EVENTS


async def test_after_a_failure_nothing_more_is_handed_in() -> None:
    handed: list[Event] = []

    async def record(event: Event) -> None:
        handed.append(event)
        raise NotRecorded("full")

    with pytest.raises(NotRecorded):
        await record_all(record, events(3 * SLICE_EVENTS))
    assert len(handed) <= SLICE_EVENTS
