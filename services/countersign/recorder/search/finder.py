"""How a page of events is found: where may they be, are they there, and when is it enough."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from countersign.recorder.search.asked import Place
from countersign.recorder.search.facets import details_of
from countersign.recorder.search.ports import Found, SearchStore, Span, Wanted
from countersign.recorder.search.words import SEARCHED_BYTES

# What is not indexed yet is looked through, up to so much of it.
TAIL_EVENTS = 5_000
WALK_EVENTS = 1_000
# How far one statement looks for blocks: what is common is near, and a million events are one step for what is rare.
FIRST_WINDOW_EVENTS, WINDOW_EVENTS = 1 << 14, 1 << 20
WIDEN = 8
SPANS = 32
# A page is told when it took so long to fill, however full it is: the recorder has other things to do.
BUDGET_S = 0.25
_AT_ONCE = 128


@dataclass(frozen=True, slots=True)
class Page:
    """What was found, the newest first, and where to go on; ``None`` when there is nothing more."""

    events: list[Found]
    following: Place | None
    complete: bool


class Finder:
    """Finds events. ``clock_s`` is a monotonic clock."""

    def __init__(self, store: SearchStore, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock_s = clock_s

    async def page(self, wanted: Wanted, place: Place | None, limit: int, *, budget_s: float = BUDGET_S) -> Page:
        """Return the newest events below ``place``, at most ``limit``. Raises ``DatabaseUnavailable``."""
        ends_s = self._clock_s() + budget_s
        extent = await self._store.extent()
        span = await self._store.span(wanted)
        if place is None:
            complete = extent.head - extent.indexed <= TAIL_EVENTS
            place = Place(extent.head if complete else extent.indexed, complete)
        position = min(place.before, extent.head, span.stop)
        found: list[Found] = []
        first, window = True, FIRST_WINDOW_EVENTS
        # At least one step, so that pages end some time however slow the database is.
        while position > span.start and len(found) < limit and (first or self._clock_s() < ends_s):
            first = False
            if position > extent.indexed:
                reached = max(position - WALK_EVENTS, extent.indexed, span.start)
                spans: Sequence[Span] = [Span(reached, position)]
            else:
                low = max(position - window, span.start)
                window = min(WIDEN * window, WINDOW_EVENTS)
                candidates = await self._store.candidates(wanted, low=low, high=position, at_most=SPANS)
                spans, reached = candidates.spans, candidates.reached
            position = await self._look(wanted, spans, reached, limit, found, ends_s)
        following = Place(position, place.complete) if position > span.start else None
        return Page(found, following, place.complete)

    async def _look(
        self, wanted: Wanted, spans: Sequence[Span], reached: int, limit: int, found: list[Found], ends_s: float
    ) -> int:
        """Add to ``found`` what the spans hold; return the index below which nothing was looked at."""
        # Most often the first few hold a page; where they do not, larger steps cost less.
        step = 4
        while spans and len(found) < limit:
            some, spans = spans[:step], spans[step:]
            step *= 2
            at_most = limit - len(found) if exact(wanted) else sum(one.stop - one.start for one in some)
            rows = await self._store.events(wanted, some, newest_first=True, at_most=at_most)
            for number in range(0, len(rows), _AT_ONCE):
                for one in await matching(self._store, wanted, rows[number : number + _AT_ONCE]):
                    found.append(one)
                    if len(found) == limit:
                        return one.index
            if exact(wanted) and len(rows) == at_most and rows:
                return rows[-1].index
            if spans and self._clock_s() >= ends_s:
                return some[-1].start
        return reached


def exact(wanted: Wanted) -> bool:
    """Whether columns tell all that is wanted."""
    return not (_in_record(wanted) or wanted.text)


async def matching(store: SearchStore, wanted: Wanted, rows: Sequence[Found]) -> list[Found]:
    """Return those that are wanted by their records and bodies, too. Raises ``DatabaseUnavailable``."""
    if exact(wanted):
        return list(rows)
    await asyncio.sleep(0)
    kept = [one for one in rows if _by_record(wanted, one.record)]
    if wanted.text is None or not kept:
        return kept
    bodies = await store.bodies(kept, first_bytes=SEARCHED_BYTES)
    told = []
    for one in kept:
        body = bodies.by_index.get(one.index)
        if body is not None and wanted.text.matches(body):
            told.append(one)
        # A long body takes a millisecond, and the recorder records meanwhile.
        await asyncio.sleep(0)
    return told


def _in_record(wanted: Wanted) -> bool:
    return bool(wanted.rule or wanted.label or wanted.relation or wanted.approval_id)


def _by_record(wanted: Wanted, record: str) -> bool:
    if not _in_record(wanted):
        return True
    details = details_of(record)
    return (
        wanted.approval_id in ("", details.approval_id)
        and (not wanted.rule or wanted.rule in details.rules)
        and (not wanted.label or wanted.label in details.labels)
        and (not wanted.relation or wanted.relation in details.relations)
    )
