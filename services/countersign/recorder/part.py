"""Puts the recorder's parts together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import grpc

from countersign.api.access.v1 import tools_pb2, tools_pb2_grpc
from countersign.api.recorder.v1 import recorder_pb2, recorder_pb2_grpc, session_pb2, session_pb2_grpc
from countersign.config.types import Recording
from countersign.config.types_identity import Revoking
from countersign.model.principal import Principal
from countersign.recorder.audit import AuditTrail
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.body_cipher import cipher_of
from countersign.recorder.committer import Committer
from countersign.recorder.door import Door
from countersign.recorder.feed import FeedRoom
from countersign.recorder.handles import HandleRoom
from countersign.recorder.keeping import KeepingRoom
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.ports import Cosigner, LogView
from countersign.recorder.log.room import LogRoom
from countersign.recorder.proofs import ProofRoom
from countersign.recorder.reading import PostgresReadStore
from countersign.recorder.review import ReviewRoom
from countersign.recorder.revocations import RevocationRoom
from countersign.recorder.room import Room
from countersign.recorder.seals import SealRoom
from countersign.recorder.search import SearchRoom
from countersign.recorder.server import RecorderServer
from countersign.recorder.sessions import SessionServer
from countersign.recorder.store import PostgresAppendStore
from countersign.recorder.tokens import TokenRoom
from countersign.recorder.tools.review import ToolReviewServer
from countersign.recorder.tools.server import ToolPinServer
from countersign.recorder.tools.store import PostgresPinStore
from countersign.recorder.tools.watchers import Watchers
from countersign.recorder.usage import UsageRoom
from countersign.runtime.live import Live
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.revocations import KnownRevocations
from countersign.runtime.sealing import Sealer

QUEUE_EVENTS = 10_000
QUEUE_BYTES = 128 * 1024 * 1024
# While more wait to be durable, what can wait waits longer.
BUSY_EVENTS = 100
CLOSE_GRACE_S = 5.0


class RecorderPart:
    """The recorder in a process: ``open``, ``register``, ``run`` in the background; ``drain``, ``close`` at the end.

    ``log`` is who the log is that proves the record, ``recording`` and ``revoking`` what gateway.yaml says now of the
    record and of revocation, ``issuers`` whose tokens are taken, ``portal`` is its own, and ``cosigner`` asks the
    witnesses that it names.
    """

    def __init__(
        self,
        dsn: str,
        *,
        sealer: Sealer,
        log: LogIdentity,
        is_auditor: Callable[[Principal], bool],
        is_operator: Callable[[Principal], bool] = lambda _: False,
        is_configured: Callable[[str], bool] = lambda _: True,
        recording: Callable[[], Recording] = Recording,
        revoking: Callable[[], Revoking] = Revoking,
        issuers: Callable[[], Iterable[str]] = tuple,
        portal: Callable[[], str] = str,
        cosigner: Cosigner | None = None,
        queue_events: int = QUEUE_EVENTS,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        bodies = BodyKeeper(cipher_of(lambda: recording().body_keys))
        self._store = PostgresAppendStore(dsn, keeper=bodies, is_configured=is_configured)
        self._log = LogRoom(dsn, log, recording, cosigner, recorded=lambda: self._store.last)
        self._committer = Committer(
            self._store, queue_events=queue_events, queue_bytes=queue_bytes, gate=self._log.gate
        )
        self._recorder = RecorderServer(self._committer)
        self._read_store = PostgresReadStore(dsn, bodies)
        trail = AuditTrail(self._committer)
        self._pin_store = PostgresPinStore(dsn)
        self._watchers = Watchers()
        self._pins = ToolPinServer(self._pin_store, trail, self._watchers)
        self._review = ToolReviewServer(
            self._pin_store,
            trail,
            self._watchers,
            open_principal=sealer.open_principal,
            is_operator=is_operator,
            is_configured=is_configured,
        )
        revoked = self._revoked = KnownRevocations(revoking=revoking)
        door = Door(
            trail,
            live=Live(revoked, now_us),
            open_principal=sealer.open_principal,
            is_auditor=is_auditor,
            is_operator=is_operator,
        )
        self._sessions = SessionServer(self._read_store, door)
        seals = SealRoom(dsn, self._committer, self._log.turn("seal"), recording)
        feed = FeedRoom(dsn, trail, self._log.published_size, bodies)
        proofs = ProofRoom(dsn, door, self._log, self._read_store, recording)
        keeping = KeepingRoom(dsn, door, recording)
        search = SearchRoom(
            dsn,
            door,
            keeper=bodies,
            is_encrypted=lambda: bool(recording().body_keys),
            busy=lambda: self._committer.queue_depth > BUSY_EVENTS,
        )
        self._rooms: tuple[Room, ...] = (
            *(seals, self._log, feed, proofs, keeping),
            *(search, UsageRoom(dsn), TokenRoom.of(dsn), HandleRoom.of(dsn)),
            ReviewRoom(dsn, door, bodies),
            RevocationRoom(dsn, door, revoked, changed=seals.nudge, issuers=issuers, own=portal),
        )

    @property
    def available(self) -> bool:
        """Whether the database answers, and holds the log as it was signed."""
        return self._committer.available and self._log.gate.trusted

    @property
    def knows_revoked(self) -> bool:
        """Whether it is known here what was revoked: else nobody is let in."""
        return self._revoked.fresh

    @property
    def log(self) -> LogView:
        """How the log stands."""
        return self._log.view

    @property
    def queue_depth(self) -> int:
        """Events that are held and not yet durable."""
        return self._committer.queue_depth

    async def open(self) -> None:
        """Connect and migrate. A database that is away is waited for later, in ``run``.

        Raises ``MigrationRefused`` or ``DatabaseMisconfigured`` when waiting would not help.
        """
        with suppress(DatabaseUnavailable):
            await self._store.open()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the services to ``server``; return their full names."""
        recorder_pb2_grpc.add_RecorderServiceServicer_to_server(self._recorder, server)
        session_pb2_grpc.add_SessionServiceServicer_to_server(self._sessions, server)
        tools_pb2_grpc.add_ToolPinServiceServicer_to_server(self._pins, server)
        tools_pb2_grpc.add_ToolReviewServiceServicer_to_server(self._review, server)
        return (
            recorder_pb2.DESCRIPTOR.services_by_name["RecorderService"].full_name,
            session_pb2.DESCRIPTOR.services_by_name["SessionService"].full_name,
            *(service.full_name for service in tools_pb2.DESCRIPTOR.services_by_name.values()),
            *[name for room in self._rooms for name in room.register(server)],
        )

    async def run(self) -> None:
        """Commit, and do what the rooms do beside it, until ``close``.

        Raises what a room raises: rooms bear what they can, and what one of them no longer does nobody would notice.
        """
        committing = asyncio.ensure_future(self._committer.run())
        rooms = [asyncio.ensure_future(room.run()) for room in self._rooms]
        beside = asyncio.gather(*rooms)
        try:
            either: set[asyncio.Future[Any]] = {committing, beside}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if beside.done():
                beside.result()
            await committing
        finally:
            for task in (committing, *rooms):
                task.cancel()
            await asyncio.gather(committing, *rooms, beside, return_exceptions=True)

    def drain(self) -> None:
        """Let the senders' streams end by themselves: call it before the server is stopped."""
        self._recorder.drain()
        self._watchers.drain()
        self._sessions.drain()
        for room in self._rooms:
            room.drain()

    async def close(self) -> None:
        """Make durable what is queued, for at most five seconds; then let go of the database."""
        await self._committer.close(grace_s=CLOSE_GRACE_S)
        await self._store.close()
        await self._read_store.close()
        await self._pin_store.close()
        for room in self._rooms:
            await room.close()
