"""Who waits in this process for approvals to change, and how they hear of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from countersign.approver.ports import ApprovalStore
from countersign.model.approval import Approval, ApprovalState, Person
from countersign.runtime.postgres import DatabaseUnavailable

log = logging.getLogger(__name__)

POLL_S = 2.0
MOST_WAITS = 20_000
MOST_WATCHES = 200
MOST_WATCHES_EACH = 10
"""Of one person: nobody watches so often that others cannot."""
OPEN = (ApprovalState.PENDING, ApprovalState.APPROVED)
# New ones that no hint told of are found among the newest; whoever watches looks at everything now and then.
_NEWEST = 50
_VERSIONS_AT_ONCE = 2_000
_MOST_CHANGED = 5_000


class NoRoom(Exception):
    """Too many wait already, or the process is stopping: elsewhere, or in a moment, there may be room."""


class Watch:
    """What one who watches has looked at (``known``: versions by id, changed by them only), and what changed since.

    ``lost`` says that they read so slowly that not all of it is told: they must begin again.
    """

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.lost = False
        self._changed: set[str] = set()
        self._called = asyncio.Event()

    def tell(self, approval_id: str) -> None:
        """Say that an approval changed."""
        if len(self._changed) >= _MOST_CHANGED:
            self.lost = True
        else:
            self._changed.add(approval_id)
        self._called.set()

    async def changed(self, timeout_s: float) -> frozenset[str]:
        """Return what changed, as soon as something did; nothing after ``timeout_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._called.wait()
        self._called.clear()
        changed, self._changed = frozenset(self._changed), set()
        return changed

    def wake(self) -> None:
        """Have ``changed`` return."""
        self._called.set()


class Following:
    """Wakes who waits when somebody, in whatever process, changed what they wait for.

    A hint of the database wakes at once; whatever a hint was lost for is found by a poll. Both only say where to look:
    what is told is what the store says.
    """

    def __init__(
        self,
        store: ApprovalStore,
        *,
        poll_s: float = POLL_S,
        most_waits: int = MOST_WAITS,
        most_watches: int = MOST_WATCHES,
        most_watches_each: int = MOST_WATCHES_EACH,
    ) -> None:
        self._store = store
        self._poll_s = poll_s
        self._most_waits = most_waits
        self._most_watches = most_watches
        self._most_watches_each = most_watches_each
        # By approval: who waits, and since which version.
        self._waits: dict[str, dict[asyncio.Event, int]] = {}
        self._waiting = 0
        self._watches: dict[Watch, Person] = {}
        self._look = asyncio.Event()
        self.draining = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        return self._waiting

    async def wait(self, approval_id: str, version: int, up_to_s: float) -> Approval:
        """Return how it stands once that is another version, or after ``up_to_s``.

        Raises ``NoSuchApproval``, ``NoRoom``, ``DatabaseUnavailable``.
        """
        loop = asyncio.get_running_loop()
        until_s = loop.time() + up_to_s
        with self._joined(approval_id, version) as changed:
            while True:
                changed.clear()
                approval = await self._store.get(approval_id)
                left_s = until_s - loop.time()
                if approval.version != version or left_s <= 0:
                    return approval
                with suppress(TimeoutError):
                    async with asyncio.timeout(left_s):
                        await changed.wait()
                if self.draining:
                    raise NoRoom

    @contextmanager
    def watching(self, who: Person) -> Iterator[Watch]:
        """Tell a watch of changes while the block runs. Raises ``NoRoom``, also for too many of ``who`` alone."""
        theirs = sum(other == who for other in self._watches.values())
        if self.draining or len(self._watches) >= self._most_watches or theirs >= self._most_watches_each:
            raise NoRoom
        watch = Watch()
        self._watches[watch] = who
        try:
            yield watch
        finally:
            del self._watches[watch]

    def hint(self, approval_id: str, _version: int = 0) -> None:
        """Wake who waits for this approval, and who watches."""
        for changed in self._waits.get(approval_id, ()):
            changed.set()
        for watch in self._watches:
            watch.tell(approval_id)

    def look(self) -> None:
        """Look at everything that somebody waits for, at once: hints may have been lost."""
        self._look.set()

    def drain(self) -> None:
        """End all waits and watches."""
        self.draining = True
        for waiters in self._waits.values():
            for changed in waiters:
                changed.set()
        for watch in self._watches:
            watch.wake()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            try:
                await self._poll()
            except DatabaseUnavailable as error:
                log.warning("whether approvals changed cannot be told: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._look.wait()
            self._look.clear()

    async def _poll(self) -> None:
        ids = {*self._waits, *(one for watch in self._watches for one in watch.known)}
        versions: dict[str, int] = {}
        for some in _slices(sorted(ids)):
            versions.update(await self._store.versions(some))
        # New ones, which nobody knows to ask for.
        newest = await self._store.page(states=OPEN, after=None, limit=_NEWEST) if self._watches else ()
        for approval_id, waiters in self._waits.items():
            if approval_id not in ids:
                continue
            for changed, version in waiters.items():
                # One that is there no more, too: its waiter finds that out.
                if versions.get(approval_id) != version:
                    changed.set()
        for watch in self._watches:
            fresh = {one.id for one in newest if watch.known.get(one.id) != one.version}
            for approval_id in fresh.union(
                one for one, version in watch.known.items() if one in ids and versions.get(one) != version
            ):
                watch.tell(approval_id)

    @contextmanager
    def _joined(self, approval_id: str, version: int) -> Iterator[asyncio.Event]:
        if self.draining or self._waiting >= self._most_waits:
            raise NoRoom
        changed = asyncio.Event()
        self._waiting += 1
        self._waits.setdefault(approval_id, {})[changed] = version
        try:
            yield changed
        finally:
            self._waiting -= 1
            waiters = self._waits[approval_id]
            del waiters[changed]
            if not waiters:
                del self._waits[approval_id]


def _slices(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + _VERSIONS_AT_ONCE] for start in range(0, len(ids), _VERSIONS_AT_ONCE))
