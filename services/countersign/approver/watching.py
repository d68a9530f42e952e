"""Telling one who watches of all open approvals that concern them, and of each that changes."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass

from countersign.approver.acting import Acting, Wanted
from countersign.approver.following import OPEN, Following, Watch
from countersign.approver.ports import ApprovalStore, NoSuchApproval
from countersign.model.approval import Approval, Person
from countersign.model.principal import Principal

BEAT_S = 10.0
LONGEST_S = 15 * 60.0
_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class News:
    """Approvals that one who watches did not see yet as they are; ``whole`` when there were no more of them."""

    approvals: Sequence[Approval]
    whole: bool


class Watching:
    """Makes the streams. Each says something every ``beat_s`` at least, and ends after ``longest_s``.

    By then who watches was identified long ago: they begin again, and show that they still are who they were.
    """

    def __init__(
        self,
        store: ApprovalStore,
        acting: Acting,
        following: Following,
        *,
        beat_s: float = BEAT_S,
        longest_s: float = LONGEST_S,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._acting = acting
        self._following = following
        self._beat_s = beat_s
        self._longest_s = longest_s
        self._monotonic_s = monotonic_s

    async def news(self, who: Principal, *, to_decide: bool, mine: bool) -> AsyncGenerator[News, None]:
        """Tell of what is open, the newest first, then of changes, also when something ends that was told of.

        Raises ``NoRoom``, ``DatabaseUnavailable``.
        """
        ends_s = self._monotonic_s() + self._longest_s
        with self._following.watching(Person(who.issuer, who.subject)) as watch:
            view = _View(self._acting, who, Wanted(OPEN, to_decide, mine), watch)
            async for some, whole in self._open():
                yield News(view.look(some), whole)
            told_s = self._monotonic_s()
            while not (self._following.draining or watch.lost or self._monotonic_s() >= ends_s):
                left_s = told_s + self._beat_s - self._monotonic_s()
                news = view.look(await self._read(await watch.changed(max(0.0, left_s)), watch))
                if news or self._monotonic_s() >= told_s + self._beat_s:
                    yield News(news, whole=True)
                    told_s = self._monotonic_s()

    async def _open(self) -> AsyncIterator[tuple[Sequence[Approval], bool]]:
        after: tuple[int, str] | None = None
        while True:
            some = await self._store.page(states=OPEN, after=after, limit=_AT_ONCE)
            whole = len(some) < _AT_ONCE
            yield some, whole
            if whole:
                return
            after = (some[-1].asked_at_us, some[-1].id)

    async def _read(self, ids: Collection[str], watch: Watch) -> Sequence[Approval]:
        found = []
        for approval_id in sorted(ids):
            try:
                found.append(await self._store.get(approval_id))
            except NoSuchApproval:
                watch.known.pop(approval_id, None)
        return found


class _View:
    """What one who watches was told."""

    def __init__(self, acting: Acting, who: Principal, wanted: Wanted, watch: Watch) -> None:
        self._acting = acting
        self._who = who
        self._wanted = wanted
        self._watch = watch
        self._told: set[str] = set()

    def look(self, approvals: Sequence[Approval]) -> Sequence[Approval]:
        """Return what of these is to be told, and remember all that may still change."""
        return [approval for approval in approvals if self._is_news(approval)]

    def _is_news(self, approval: Approval) -> bool:
        known = self._watch.known
        if known.get(approval.id) == approval.version:
            return False
        is_theirs = approval.id in self._told or self._acting.wants(self._who, self._wanted, approval)
        if approval.state.is_open:
            known[approval.id] = approval.version
            if is_theirs:
                self._told.add(approval.id)
        else:
            known.pop(approval.id, None)
            self._told.discard(approval.id)
        return is_theirs
