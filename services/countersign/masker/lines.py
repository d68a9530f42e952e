"""The lines of a server-sent event besides its data: only what a client acts on is released, and all of it recorded.

An event is written anew from what is recorded of it. What is left to its target is the look of the whole stream: how
lines end, and whether events are named. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from countersign.masker.withheld import Withheld
from countersign.masking import SseEvent
from countersign.mcp import MAX_EVENT_ID_LENGTH

ALIVE = b":\n\n"
"""What is released in place of what holds nothing for the caller: its connection is alive."""

_LINE = re.compile(rb"([^\r\n]*)(\r\n|\n|\r|\Z)")
_BOM = b"\xef\xbb\xbf"
# All that MCP names events, and what events without a name are called (WHATWG HTML, section 9.2.6).
_NAMES = frozenset((b"", b"message"))
_ID = re.compile(rb"[!-~]{0,%d}" % MAX_EVENT_ID_LENGTH)
_RETRY = re.compile(rb"[0-9]{0,9}")
_READ = frozenset((b"event", b"id", b"retry"))


@dataclass(frozen=True, slots=True)
class OtherLines:
    """What an event says besides its data. ``None`` stands for what it does not say, or cannot be let pass.

    ``known`` is false for an event of a name that MCP does not have: its clients read no data of such a one.
    """

    id: str | None
    retry_ms: int | None
    named: bool
    known: bool
    ending: bytes

    def without_id(self) -> OtherLines:
        """Return the same without its id: a client cannot resume from there."""
        return replace(self, id=None)

    def recorded(self, *, with_no_data: bool = False) -> str:
        """Return the lines as they are released and recorded; ``with_no_data`` also that of data that is empty."""
        lines = [] if self.id is None else [f"id: {self.id}"]
        lines += [] if self.retry_ms is None else [f"retry: {self.retry_ms}"]
        return "\n".join([*lines, "data:"] if with_no_data else lines)


class EventWriter:
    """Writes the events of one stream, all of them as its first ones were written."""

    def __init__(self) -> None:
        self._ending: bytes | None = None
        self._named: bool | None = None

    def write(self, lines: OtherLines, data: bytes | None) -> bytes:
        """Return an event; without data one that is there for its lines. Raises ``Withheld``."""
        if self._ending is None:
            self._ending = lines.ending
        if data is not None and b"\r" in data:
            raise Withheld("the data of an event cannot be written")
        if data and self._named is None:
            self._named = lines.named
        ending = self._ending
        said = lines.recorded().encode().split(b"\n") if lines.recorded() else []
        if data and self._named:
            said.append(b"event: message")
        if data is not None:
            said.append(b"data: " + data.replace(b"\n", ending + b"data: "))
        return ending.join((*said, b"", b"")) if said else b""


def written(events: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what is released of one piece of a stream. How often a target says nothing must not say something."""
    for event, same in groupby(events):
        yield from (ALIVE,) if event == ALIVE else same


def other_lines(event: SseEvent) -> OtherLines:
    """Read what an event says besides its data. An id that is long, or not visible ASCII, is as none.

    Raises ``Withheld`` when a line that clients act on stands there twice, or its retry is no number.
    """
    said: dict[bytes, bytes] = {}
    ending = b""
    for line, end in _LINE.findall(event.raw):
        ending = ending or end
        name, _, value = line.removeprefix(_BOM).partition(b":")
        if name not in _READ:
            continue
        # Clients read the last one. In the others, of which there may be thousands, anything could leave.
        if name in said:
            raise Withheld("the name, id or retry of an event stands there twice")
        said[name] = value.removeprefix(b" ")
    given, retry = said.get(b"id"), said.get(b"retry", b"")
    if not _RETRY.fullmatch(retry):
        raise Withheld("the retry of an event is no number")
    return OtherLines(
        given.decode() if given is not None and _ID.fullmatch(given) else None,
        int(retry) if retry else None,
        b"event" in said,
        said.get(b"event", b"") in _NAMES,
        ending or b"\n",
    )
