"""Recording many events of one caller without filling the queue that all callers share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from countersign.model.event import Event

SLICE_EVENTS = 256


async def record_all(record: Callable[[Event], Awaitable[None]], events: Sequence[Event]) -> None:
    """Return when all ``events`` are durable, handing in at most ``SLICE_EVENTS`` at once, in order.

    Raises what ``record`` raises: those of the same slice may have become durable, those after it were not handed in.
    """
    if len(events) == 1:
        await record(events[0])
        return
    for start in range(0, len(events), SLICE_EVENTS):
        await asyncio.gather(*(record(event) for event in events[start : start + SLICE_EVENTS]))
