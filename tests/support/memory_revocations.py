"""Revocations in memory: as Postgres keeps them, for tests of what is around the store."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from countersign.model.revocation import RevocationKind
from countersign.recorder.revocations.ports import (
    MOST_IN_FORCE,
    PAGE_REVOCATIONS,
    Newest,
    News,
    NotInForce,
    Proposal,
    Put,
    Revoked,
    Telling,
    TooManyRevocations,
    Untold,
    room_for,
)
from countersign.runtime.postgres import DatabaseUnavailable


@dataclass(slots=True)
class _Row:
    revoked: Revoked
    version: int
    lifted: bool = False


class MemoryRevocationStore:
    """See ``RevocationStore``. ``away`` has every method fail, ``deaf`` loses notifications.

    ``readers`` is the copy that is read where news are asked for, if it is another.
    """

    def __init__(self, *, most: int = MOST_IN_FORCE) -> None:
        self._most = most
        self._rows: dict[str, _Row] = {}
        self._untold: dict[UUID, tuple[Untold, float]] = {}
        self._heard: set[Telling] = set()
        self._version = 0
        self._forgotten = 0
        self._changed = asyncio.Event()
        self.record: set[UUID] = set()
        self.away = False
        self.deaf = False
        self.readers: MemoryRevocationStore | None = None
        self.looked = 0

    def _begin(self) -> None:
        if self.away:
            raise DatabaseUnavailable("away")

    def _move(self) -> int:
        self._version += 1
        if not self.deaf:
            self._changed.set()
        return self._version

    def _in_force(self, now_us: int) -> list[Revoked]:
        found = [row.revoked for row in self._rows.values() if not row.lifted]
        return [one for one in found if not 0 < one.revocation.until_us <= now_us]

    async def put(self, proposals: Sequence[Proposal], now_us: int, telling: Telling | None = None) -> Put:
        """See ``RevocationStore.put``."""
        self._begin()
        if telling in self._heard:
            return Put(known=True)
        lifting = {untold.revocation_id for untold, _ in self._untold.values() if untold.lifts}
        known = [one for one in self._in_force(now_us) if one.revocation.revocation_id not in lifting]
        in_force: list[Revoked] = []
        made: list[Proposal] = []
        for proposal in proposals:
            new = proposal.revoked
            same = [one for one in known if _name(one) == _name(new)]
            covering = next((one for one in same if one.covers(new)), None)
            in_force.append(covering or new)
            if covering is None:
                made.append(proposal)
                known.append(new)
        replaced = [
            one.revocation.revocation_id
            for proposal in made
            for one in self._in_force(now_us)
            if _name(one) == _name(proposal.revoked)
            and proposal.revoked.source
            and (one.source, one.by_issuer) == (proposal.revoked.source, proposal.revoked.by_issuer)
            and proposal.revoked.covers(one)
        ]
        there = sum(not row.lifted for row in self._rows.values())
        if made and there + len(made) - len(set(replaced)) > room_for(self._most, telling):
            raise TooManyRevocations
        if telling is not None:
            self._heard.add(telling)
        for proposal in made:
            self._rows[proposal.revoked.revocation.revocation_id] = _Row(proposal.revoked, self._move())
            self._untold[proposal.untold.event_id] = (proposal.untold, time.monotonic())
        for id_ in replaced:
            self._rows[id_].lifted, self._rows[id_].version = True, self._move()
        return Put(tuple(in_force), tuple(one.untold for one in made))

    async def heard(self, telling: Telling) -> bool:
        """See ``RevocationStore.heard``."""
        self._begin()
        return telling in self._heard

    async def lifting(self, untold: Untold, now_us: int) -> Untold:
        """See ``RevocationStore.lifting``."""
        self._begin()
        if await self.get(untold.revocation_id, now_us) is None:
            raise NotInForce
        for earlier, _ in self._untold.values():
            if (earlier.revocation_id, earlier.lifts) == (untold.revocation_id, True):
                return earlier
        self._untold[untold.event_id] = (untold, time.monotonic())
        return untold

    async def told(self, untold: Untold) -> None:
        """See ``RevocationStore.told``."""
        self._begin()
        known = self._untold.pop(untold.event_id, None)
        row = self._rows.get(untold.revocation_id)
        if known is not None and untold.lifts and row is not None and not row.lifted:
            row.lifted, row.version = True, self._move()

    async def untold(self, revocation_ids: Sequence[str]) -> Sequence[Untold]:
        """See ``RevocationStore.untold``."""
        self._begin()
        return [untold for untold, _ in self._untold.values() if untold.revocation_id in revocation_ids]

    async def overdue(self, older_than_s: float, most: int) -> Sequence[Untold]:
        """See ``RevocationStore.overdue``."""
        self._begin()
        late = [untold for untold, made_s in self._untold.values() if time.monotonic() - made_s > older_than_s]
        return late[:most]

    async def recorded(self, event_id: UUID) -> bool:
        """See ``RevocationStore.recorded``."""
        self._begin()
        return event_id in self.record

    async def get(self, revocation_id: str, now_us: int) -> Revoked | None:
        """See ``RevocationStore.get``."""
        self._begin()
        found = self._in_force(now_us)
        return next((one for one in found if one.revocation.revocation_id == revocation_id), None)

    async def find(self, kind: RevocationKind, issuer: str, value: str) -> Sequence[Revoked]:
        """See ``RevocationStore.find``."""
        self._begin()
        return [one for one in self._in_force(0) if _name(one) == (kind, issuer, value)]

    async def page(
        self, issuer: str, value: str, *, before: tuple[int, UUID] | None, limit: int, now_us: int
    ) -> Sequence[Revoked]:
        """See ``RevocationStore.page``."""
        self._begin()
        found = sorted(self._in_force(now_us), key=_when, reverse=True)
        found = [one for one in found if issuer in ("", one.revocation.issuer) and value in ("", one.revocation.value)]
        return [one for one in found if before is None or _when(one) < before][:limit]

    async def news(self, after: int, begun: int) -> News:
        """See ``RevocationStore.news``."""
        self._begin()
        if self.readers is not None:
            return await self.readers.news(after, begun)
        if after >= 0 and not self._forgotten <= max(after, begun) <= self._version:
            return News((), (), after, self._version, gap=True)
        rows = sorted((row for row in self._rows.values() if row.version > after), key=lambda row: row.version)
        rows = [row for row in rows if after >= 0 or not row.lifted]
        page = rows[:PAGE_REVOCATIONS]
        return News(
            tuple(row.revoked for row in page if not row.lifted),
            tuple(row.revoked.revocation.revocation_id for row in page if row.lifted),
            self._version if len(rows) < PAGE_REVOCATIONS else page[-1].version,
            self._version,
        )

    async def sweep(self, most: int) -> int:
        """See ``RevocationStore.sweep``: of what lapsed more than a minute ago."""
        self._begin()
        lapsed_us = time.time_ns() // 1_000 - 60_000_000
        lapsed = [row for row in self._rows.values() if not row.lifted and row.revoked.revocation.until_us > 0]
        lapsed = [row for row in lapsed if row.revoked.revocation.until_us < lapsed_us][:most]
        for row in lapsed:
            row.lifted, row.version = True, self._move()
        return len(lapsed)

    @asynccontextmanager
    async def eye(self) -> AsyncIterator[MemoryRevocationStore]:
        """See ``RevocationStore.eye``."""
        self._begin()
        yield self

    async def newest(self) -> Newest:
        """See ``Eye.newest``."""
        self._begin()
        self.looked += 1
        self._changed.clear()
        return Newest(self._version, self._at(self._version))

    async def holds(self, newest: Newest) -> bool:
        """See ``Eye.holds``."""
        self._begin()
        return not newest.version or self._at(newest.version) == newest.revocation_id is not None

    def _at(self, version: int) -> str | None:
        return next((id_ for id_, row in self._rows.items() if row.version == version), None)

    def restore(self, older: MemoryRevocationStore) -> None:
        """Become a copy of another one."""
        self._rows, self._version = dict(older._rows), older._version
        self._untold, self._heard = dict(older._untold), set(older._heard)

    async def notified(self, within_s: float) -> None:
        """See ``Eye.notified``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._changed.wait()

    async def close(self) -> None:
        """Nothing to let go of."""


def _name(one: Revoked) -> tuple[RevocationKind, str, str]:
    return one.revocation.kind, one.revocation.issuer, one.revocation.value


def _when(one: Revoked) -> tuple[int, UUID]:
    return one.revocation.revoked_us, UUID(one.revocation.revocation_id)
