"""What is written of one full block of events: worked out in small steps, since the recorder records meanwhile."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from countersign.recorder.search.facets import Marked, mark, marks_of
from countersign.recorder.search.signature import EVERYTHING, MAX_KEYS, key_of, signature, word_key
from countersign.recorder.search.words import words_within

BLOCK_BITS = 8
BLOCK_EVENTS = 1 << BLOCK_BITS
# Beyond this, which hostile bodies may hold, a block's words are not told apart.
MAX_TEXT_BYTES = 1 << 22
_STEP_EVENTS = 8
_STEP_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Body:
    """The beginning of a masked body, and the shelf that it lies on."""

    shelf: int
    beginning: bytes


@dataclass(frozen=True, slots=True)
class IndexedBlock:
    """The rows of one block: its marks, its words by shelf, and the facets of the sessions that its events are of."""

    block: int
    min_time_us: int
    max_time_us: int
    bits: bytes
    words: dict[int, bytes]
    of_sessions: set[tuple[int, int]]


@dataclass(slots=True)
class _Words:
    found: set[bytes] = field(default_factory=set)
    size_bytes: int = 0

    def add(self, beginning: bytes) -> None:
        self.size_bytes += len(beginning)
        if self.size_bytes <= MAX_TEXT_BYTES and len(self.found) <= MAX_KEYS:
            self.found |= words_within(beginning)

    @property
    def bits(self) -> bytes:
        if self.size_bytes > MAX_TEXT_BYTES or len(self.found) > MAX_KEYS:
            return EVERYTHING
        return signature(set(map(word_key, self.found)))


async def indexed(block: int, events: Iterable[tuple[Marked, Body | None]]) -> IndexedBlock:
    """Work out what is written of the events of ``block``, at least one."""
    marks: set[int] = set()
    times: list[int] = []
    words: defaultdict[int, _Words] = defaultdict(_Words)
    of_sessions: set[tuple[int, int]] = set()
    since_pause = 0
    for number, (event, body) in enumerate(events, 1):
        times.append(event.time_us)
        found = marks_of(event)
        marks |= found.of_block
        of_sessions |= {(facet_bits(key), event.first_index) for key in found.of_session}
        if body is not None:
            words[body.shelf].add(body.beginning)
            since_pause += len(body.beginning)
        if number % _STEP_EVENTS == 0 or since_pause > _STEP_BYTES:
            since_pause = 0
            await asyncio.sleep(0)
    by_shelf = {shelf: one.bits for shelf, one in words.items()}
    return IndexedBlock(block, min(times), max(times), signature(marks), by_shelf, of_sessions)


def facet_bits(key: int) -> int:
    """Return a key as the signed number that a column holds."""
    return key - (1 << 63)


def facet_of(one: str, value: str) -> int:
    """Return what stands for a facet in a session's marks."""
    return facet_bits(key_of(mark(one, value)))
