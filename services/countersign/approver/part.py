"""Puts the approver's parts together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from countersign.api.approvals.v1 import approvals_pb2, approvals_pb2_grpc, broker_pb2, broker_pb2_grpc
from countersign.approver.acting import Acting
from countersign.approver.broker import BrokerServer
from countersign.approver.deciding import Deciding
from countersign.approver.ending import Ender
from countersign.approver.following import POLL_S, Following
from countersign.approver.listening import Listener
from countersign.approver.notify.deliveries import PostgresDeliveryStore
from countersign.approver.outbox import Outbox
from countersign.approver.people import PeopleServer
from countersign.approver.ports import ApprovalStore
from countersign.approver.store import PostgresApprovalStore
from countersign.approver.sweeping import Sweeper
from countersign.approver.watching import Watching
from countersign.model.principal import Principal
from countersign.runtime.live import Live
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.recording import Recorder
from countersign.runtime.revocations import Followed, Revocations
from countersign.runtime.sealing import Sealer

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Shared:
    """What other rooms of the approver's process (notifications, the page) get."""

    dsn: str
    clock_us: Callable[[], int]
    store: ApprovalStore
    deciding: Deciding
    revocations: Revocations


class Room(Protocol):
    """What else the approver does besides its gRPC services."""

    async def run(self) -> None:
        """Do it until cancelled. It begins once the database is migrated."""

    async def close(self) -> None:
        """Let go of everything; called once."""


class ApproverPart:
    """The approver in a process; see ``countersign.runtime.serving.Part``.

    ``rooms`` make what else it does (notifications, the page) of what they share with it; they run beside it.
    ``is_auditor`` and ``is_operator`` are asked on every call. Any number of replicas share one database.
    ``poll_s`` is how often those who wait look by themselves, should nothing have told them of a change.
    """

    def __init__(
        self,
        dsn: str,
        *,
        recorder: Recorder,
        sealer: Sealer,
        revocations: Followed,
        is_auditor: Callable[[Principal], bool],
        is_operator: Callable[[Principal], bool],
        rooms: Sequence[Callable[[Shared], Room]] = (),
        clock_us: Callable[[], int] = now_us,
        poll_s: float = POLL_S,
    ) -> None:
        self._recorder = recorder
        self._revocations = revocations
        self._store = store = PostgresApprovalStore(dsn)
        self._deliveries = PostgresDeliveryStore(dsn)
        self._following = Following(store, poll_s=poll_s)
        self._outbox = Outbox(store, recorder)
        self._sweeper = Sweeper(store, self._outbox, self._following, clock_us)
        self._listener = Listener(dsn, hint=self._following.hint, look=self._following.look)
        self._ender = Ender(store, self._outbox, self._following, revocations, clock_us)
        acting = Acting(
            store,
            self._outbox,
            recorder,
            self._following,
            is_auditor=is_auditor,
            is_operator=is_operator,
            clock_us=clock_us,
            new_id=new_id,
            decided=self._ender.decided,
        )
        watching = Watching(store, acting, self._following)
        self._broker = BrokerServer(store, self._outbox, self._following, self._ender, clock_us)
        self._people = PeopleServer(
            *(acting, watching, self._deliveries),
            live=Live(revocations, clock_us),
            open_principal=sealer.open_principal,
        )
        shared = Shared(dsn, clock_us, store, acting, revocations)
        self._rooms = tuple(make(shared) for make in rooms)
        self._migrated = False
        self._work: asyncio.Future[None] | None = None

    @property
    def available(self) -> bool:
        """Whether the database answers."""
        return self._migrated and self._sweeper.available

    @property
    def waiting(self) -> int:
        """How many wait in this process for approvals to change."""
        return self._following.waiting

    async def open(self) -> None:
        """Connect to the recorder and the database, and migrate. One that is away is waited for later, in ``run``.

        Raises ``MigrationRefused`` or ``DatabaseMisconfigured`` when waiting would not help.
        """
        await self._recorder.start()
        await self._revocations.start()
        await self._migrate()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the services to ``server``; return their full names."""
        broker_pb2_grpc.add_ApprovalBrokerServiceServicer_to_server(self._broker, server)
        approvals_pb2_grpc.add_ApprovalServiceServicer_to_server(self._people, server)
        return (
            broker_pb2.DESCRIPTOR.services_by_name["ApprovalBrokerService"].full_name,
            approvals_pb2.DESCRIPTOR.services_by_name["ApprovalService"].full_name,
        )

    async def run(self) -> None:
        """Relay, sweep, follow and do whatever the rooms do, until cancelled or closed."""
        work = self._work = asyncio.ensure_future(self._do())
        try:
            await asyncio.wait({work})
        finally:
            work.cancel()
        if not work.cancelled():
            work.result()

    def drain(self) -> None:
        """Have waits and watches end: call it before the server is stopped."""
        self._following.drain()

    async def close(self) -> None:
        """Let go of the rooms, the recorder and the database: what is not recorded yet is after the next start."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.wait({self._work})
        for room in self._rooms:
            await room.close()
        await self._recorder.close()
        await self._revocations.close()
        await self._deliveries.close()
        await self._store.close()

    async def _do(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not await self._migrate():
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        ours = (self._sweeper.run(), self._listener.run(), self._following.run(), self._outbox.run(), self._ender.run())
        work = [asyncio.ensure_future(one) for one in (*ours, *(room.run() for room in self._rooms))]
        try:
            await asyncio.gather(*work)
        finally:
            for one in work:
                one.cancel()
            await asyncio.gather(*work, return_exceptions=True)

    async def _migrate(self) -> bool:
        if not self._migrated:
            try:
                await self._store.open()
            except DatabaseUnavailable as error:
                log.warning("approvals wait for the database: %s", error)
            else:
                self._migrated = True
        return self._migrated
