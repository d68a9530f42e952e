"""Finds sessions that are over, and has their seals appended as events are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from countersign.config.types import Recording
from countersign.recorder.entry import Entry, Settled, Verdict, sealing
from countersign.recorder.seals.ports import Due, SealStore, Stretch, Struck
from countersign.tlog import Frontier, split_hashes

# One round's bounds: appends go on beside it.
MOST_SEALED = 200
MOST_EVENTS = 20_000
LOOKED_AT = 2_000
PAGE_LEAVES = 4_096
ENDED_GRACE_S = 10.0
"""How long a session that its client ended waits for what is still under way in it."""

REVOKED_GRACE_S = 2.0
"""How long a session whose principal was revoked waits for what is cut in it to be recorded."""
GIVEN_UP_AFTER_S = 600.0
"""After this, sessions of the revoked that could not be sealed are left until they are idle."""

Append = Callable[[Sequence[Entry]], Awaitable[Sequence[Settled]]]
"""Returns when the entries are durable, or settled otherwise. Raises ``Closed``."""


class SessionSealer:
    """Seals what is due, a bounded part a round. ``clock_s`` gives seconds since the epoch.

    A session that changed meanwhile is left alone (``Verdict.STALE``), and found again when it is due again.
    """

    def __init__(
        self, store: SealStore, append: Append, recording: Callable[[], Recording], clock_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._append = append
        self._recording = recording
        self._clock_s = clock_s
        self._after = -1

    async def round(self) -> tuple[int, bool]:
        """Seal some; return how many, and whether there may be more to do. Raises ``DatabaseError``, ``Closed``."""
        now = datetime.fromtimestamp(self._clock_s(), UTC)
        after_s = self._recording().seal_after_s
        grace = timedelta(seconds=min(ENDED_GRACE_S, after_s))
        struck = await self._struck()
        due = list(struck.due)
        known = {one.session_id for one in due}
        if room := MOST_SEALED - len(due):
            due += [one for one in await self._store.ended(now - grace, most=room) if one.session_id not in known]
        room = MOST_SEALED - len(due)
        if room:
            found = await self._store.idle(
                now - timedelta(seconds=after_s), after=self._after, looked_at=LOOKED_AT, most=room
            )
            # Before they are sealed: one that cannot be shall not keep the others from it.
            self._after = -1 if found.after is None else found.after
            known = {one.session_id for one in due}
            due += [one for one in found.due if one.session_id not in known]
        # Should the longest be too much for the database, the others are sealed before it is tried.
        due.sort(key=lambda one: one.event_count)
        sealed = 0
        for group in _groups(due):
            sealed += await self._seal(group)
        return sealed, bool(struck.looked_at) or len(due) >= MOST_SEALED or self._after >= 0

    async def _struck(self) -> Struck:
        """Find sessions of the revoked; settle revocations of which there are none, or none that can be sealed."""
        now_us = int(self._clock_s() * 1_000_000)
        struck = await self._store.revoked(now_us - int(REVOKED_GRACE_S * 1_000_000), most=MOST_SEALED)
        given_up_us = now_us - int(GIVEN_UP_AFTER_S * 1_000_000)
        settled = [one for one, revoked_us in struck.looked_at.items() if not struck.due or revoked_us < given_up_us]
        if settled:
            await self._store.settled(settled)
        return struck

    async def _seal(self, due: Sequence[Due]) -> int:
        roots = await self._roots(due)
        unanswered = await self._store.unanswered([one.session_id for one in due])
        at_us = int(self._clock_s() * 1_000_000)
        entries = [
            sealing(
                one.session_id,
                target=one.target,
                event_count=one.event_count,
                root=roots[one.session_id],
                unanswered_count=unanswered.get(one.session_id, 0),
                reason=one.reason,
                at_us=at_us,
            )
            for one in due
            if one.session_id in roots
        ]
        verdicts = await self._append(entries) if entries else ()
        return sum([verdict is Verdict.RECORDED for verdict in verdicts])

    async def _roots(self, due: Sequence[Due]) -> dict[UUID, bytes]:
        """Return the root over the leaves of each session that has as many as it says; a page at a time."""
        frontiers = {one.session_id: Frontier() for one in due}
        for parts in _pages(due):
            leaves = await self._store.leaves(parts)
            for part in parts:
                for leaf in split_hashes(leaves.get(part, b"")):
                    frontiers[part.session_id].append(leaf)
        return {
            one.session_id: frontiers[one.session_id].root()
            for one in due
            if frontiers[one.session_id].size == one.event_count
        }


def _groups(due: Sequence[Due]) -> Iterator[list[Due]]:
    """Split what is due so that a group has few events; a session with many is a group by itself."""
    group: list[Due] = []
    events = 0
    for one in due:
        if group and events + one.event_count > MOST_EVENTS:
            yield group
            group, events = [], 0
        group.append(one)
        events += one.event_count
    if group:
        yield group


def _pages(due: Sequence[Due]) -> Iterator[list[Stretch]]:
    """Split sessions into parts, of which each page has at most ``PAGE_LEAVES`` leaves, in order."""
    page: list[Stretch] = []
    room = PAGE_LEAVES
    for one in due:
        start = 0
        while start < one.event_count:
            stop = min(one.event_count, start + room)
            page.append(Stretch(one.session_id, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield page
                page, room = [], PAGE_LEAVES
    if page:
        yield page
