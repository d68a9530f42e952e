"""What both Python servers say, so that one plan tries both."""

from __future__ import annotations

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage
from pydantic import BaseModel, Field

LETTER = "Grüße aus dem Archiv: 名前, שלום, 🗝️ and 🄰 more."
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c63600000000200"
    "01e221bc330000000049454e44ae426082"
)


class Row(BaseModel):
    """A row of a ledger."""

    number: int
    name: str
    open: bool
    amount: float | None


class Ledger(BaseModel):
    """What has an output schema that clients hold the answer against."""

    rows: list[Row]
    note: str


class Contact(BaseModel):
    """What a mask finds something in, and what its schema bounds narrowly."""

    mail: str = Field(pattern=r"^[^@]+@[^@]+$")
    name: str = Field(max_length=40)


class Asked(BaseModel):
    """What a person is asked for."""

    colour: str
    count: int


def ledger(count: int) -> Ledger:
    """The first ``count`` rows of a ledger."""
    rows = [
        Row(number=at, name=f"entry {at} — straße", open=at % 2 == 0, amount=None if at % 3 == 0 else at + 0.25)
        for at in range(count)
    ]
    return Ledger(rows=rows, note="")


def contact() -> Contact:
    """Somebody whose address is put together here, lest a scan of this file finds one."""
    return Contact(mail="ada.lovelace" + "@" + "example.com", name="Ada")


class Ended:
    """Which waiting calls were cancelled, by the tag that their caller gave them."""

    def __init__(self) -> None:
        self.tags: set[str] = set()


class Events(EventStore):
    """Events of all streams of a session, in memory, for clients that resume."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keep it; its place is its id."""
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        """Send what came after it in its stream."""
        if not last_event_id.isdigit() or not 0 < int(last_event_id) <= len(self._events):
            return None
        last = int(last_event_id)
        stream = self._events[last - 1][0]
        for at, (of, message) in enumerate(self._events[last:], start=last + 1):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, str(at)))
        return stream
