"""A recorder of which a test holds the lever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from countersign.model.event import Event
from countersign.runtime.recording import NotRecorded


class Sink:
    """Takes events: while ``open`` is set they become durable, but for those that ``refuse`` says never do."""

    def __init__(self) -> None:
        self.handed_in: list[Event] = []
        self.durable: list[Event] = []
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()
        self.refuse: Callable[[Event], bool] = lambda _: False

    async def record(self, event: Event) -> None:
        self.handed_in.append(event)
        self.asked.set()
        await self.open.wait()
        if self.refuse(event):
            raise NotRecorded("refused")
        self.durable.append(event)
