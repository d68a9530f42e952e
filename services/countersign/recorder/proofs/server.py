"""``LogService``: what proves the record, for auditors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, Protocol
from uuid import UUID

import grpc

from countersign.api.recorder.v1 import log_pb2, log_pb2_grpc
from countersign.config.types import Recording
from countersign.model.principal import Principal
from countersign.recorder.asked import BadQuestion, session_id
from countersign.recorder.audit import NotAudited
from countersign.recorder.door import Context, Door, abort
from countersign.recorder.log.ports import LogView, Published, TreeReader, WitnessView
from countersign.recorder.proofs.dumping import files, total_bytes
from countersign.recorder.proofs.errors import Incomplete, NotProved, NotPublished, NotThere, NotYetPublished
from countersign.recorder.proofs.exporting import PIECE_BYTES, SessionExport
from countersign.recorder.proofs.ports import Leaf, LeafStore, SessionStore
from countersign.recorder.proofs.proving import Prover
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.tlog import TILE_WIDTH

log = logging.getLogger(__name__)

MAX_STREAMS = 4
"""Exports and dumps at a time: each may hold some bodies of 64 MiB, or costs much of a processor."""

_NEXT_CHECKPOINT_S = 10.0
"""How long an export waits for a checkpoint that shows what is recorded already: one a second, later on a busy host."""
_LOOK_AGAIN_S = 0.2

_ERRORS = (BadQuestion, NotAudited, DatabaseUnavailable, NotProved)
_NOTHING_YET = "no checkpoint is published yet: the first one follows in a second or so"


class Log(TreeReader, Protocol):
    """The log as it stands; see ``LogRoom``."""

    @property
    def view(self) -> LogView:
        """How it stands."""

    @property
    def witnesses(self) -> Sequence[WitnessView]:
        """What is known of each witness."""


class LogServer(log_pb2_grpc.LogServiceServicer):
    """Every method: who asks, may they, is the question well formed, record the reading, read.

    Nothing is told of what no checkpoint shows, but how much there is.
    """

    def __init__(
        self,
        door: Door,
        log: Log,
        leaves: LeafStore,
        sessions: SessionStore,
        recording: Callable[[], Recording],
    ) -> None:
        self._door = door
        self._log = log
        self._leaves = leaves
        self._sessions = sessions
        self._recording = recording
        self._streams = 0

    async def GetLogStatus(
        self, request: log_pb2.GetLogStatusRequest, context: Context
    ) -> log_pb2.GetLogStatusResponse:
        """See log.proto."""
        principal = await self._door.admit(request, "", context)
        try:
            if self._log.view.stopped:
                raise NotAudited
            await self._door.audited(principal, request, "", context)
        except NotAudited:
            # It tells nothing of the record, and is needed most when nothing can be recorded.
            log.warning("an auditor was told how the log stands, and that could not be recorded")
        view, recording = self._log.view, self._recording()
        keys = {one.name: one.key for one in recording.witnesses}
        return log_pb2.GetLogStatusResponse(
            origin=view.origin,
            recorded_size=view.recorded_size,
            integrated_size=view.integrated_size,
            published_size=view.published_size,
            published_time_us=view.published_us,
            stopped=view.stopped,
            witnesses=[
                log_pb2.WitnessStatus(
                    name=one.name, cosigned_size=one.cosigned_size, problem=one.problem, key=keys.get(one.name, "")
                )
                for one in self._log.witnesses
            ],
            witnesses_needed=recording.witnesses_needed,
            keys=view.keys,
        )

    async def GetCheckpoint(
        self, request: log_pb2.GetCheckpointRequest, context: Context
    ) -> log_pb2.GetCheckpointResponse:
        """See log.proto."""
        principal = await self._door.admit(request, "", context)
        try:
            await self._door.audited(principal, request, "", context)
            published = await self._published()
        except _ERRORS as error:
            await _abort(context, error)
        return log_pb2.GetCheckpointResponse(checkpoint=published.note)

    async def GetInclusionProof(
        self, request: log_pb2.GetInclusionProofRequest, context: Context
    ) -> log_pb2.GetInclusionProofResponse:
        """See log.proto."""
        principal = await self._door.admit(request, request.event_id, context)
        try:
            if request.WhichOneof("event") is None:
                raise BadQuestion("event: give an index, or an event_id")
            wanted = _event_id(request.event_id) if request.HasField("event_id") else None
            await self._door.audited(principal, request, request.event_id, context)
            prover = Prover(self._log, await self._published())
            leaf = await self._leaf(request.index, wanted, prover.published.size)
            (hashes,) = await prover.inclusion([leaf.index])
        except _ERRORS as error:
            await _abort(context, error)
        return log_pb2.GetInclusionProofResponse(
            index=leaf.index, leaf=leaf.record, hashes=hashes, checkpoint=prover.published.note
        )

    async def GetConsistencyProof(
        self, request: log_pb2.GetConsistencyProofRequest, context: Context
    ) -> log_pb2.GetConsistencyProofResponse:
        """See log.proto."""
        principal = await self._door.admit(request, "", context)
        try:
            await self._door.audited(principal, request, "", context)
            prover = Prover(self._log, await self._published())
            size = prover.published.size
            old, new = request.from_size, request.to_size or size
            if max(old, new) > size:
                raise NotPublished(f"the latest checkpoint shows {size} events")
            if old > new:
                raise BadQuestion("from_size: above to_size")
            hashes = await prover.consistency(old, new)
        except _ERRORS as error:
            await _abort(context, error)
        return log_pb2.GetConsistencyProofResponse(hashes=hashes, checkpoint=prover.published.note)

    async def ExportSession(
        self, request: log_pb2.ExportSessionRequest, context: Context
    ) -> AsyncIterator[log_pb2.ExportSessionResponse]:
        """See log.proto."""
        principal = await self._door.admit(request, request.session_id, context)
        await self._refuse_too_many(context)
        with self._streaming():
            try:
                wanted = session_id(request.session_id)
                await self._door.audited(principal, request, request.session_id, context)
                export = await self._export(wanted, unsealed=request.unsealed)
                async for piece in export.pieces(self._sessions, bodies=not request.without_bodies):
                    await self._still(principal, context)
                    yield log_pb2.ExportSessionResponse(content=piece)
            except _ERRORS as error:
                await _abort(context, error)

    async def DumpLog(
        self, request: log_pb2.DumpLogRequest, context: Context
    ) -> AsyncIterator[log_pb2.DumpLogResponse]:
        """See log.proto. The checkpoint is the last file."""
        principal = await self._door.admit(request, "", context)
        await self._refuse_too_many(context)
        with self._streaming():
            try:
                if request.from_size % TILE_WIDTH:
                    raise BadQuestion(f"from_size: not a multiple of {TILE_WIDTH}")
                await self._door.audited(principal, request, "", context)
                published = await self._published()
                if request.from_size > published.size:
                    raise NotPublished(f"the latest checkpoint shows {published.size} events")
                total = await total_bytes(published, self._leaves)
                async for path, content in files(published, self._log, self._leaves, from_size=request.from_size):
                    await self._still(principal, context)
                    for start in range(0, len(content), PIECE_BYTES):
                        piece = content[start : start + PIECE_BYTES]
                        yield log_pb2.DumpLogResponse(path=path, content=piece, total_bytes=total)
            except _ERRORS as error:
                await _abort(context, error)

    async def _published(self) -> Published:
        view = self._log.view
        published = await self._log.published(view.origin)
        if published is None:
            raise NotPublished(f"the log is stopped: {view.stopped}" if view.stopped else _NOTHING_YET)
        return published

    async def _leaf(self, index: int, event_id: UUID | None, size: int) -> Leaf:
        if event_id is not None:
            leaf = await self._leaves.leaf_of(event_id)
            if leaf is None or leaf.index >= size:
                raise NotThere("event_id: there is no such event, or no checkpoint shows it yet")
            return leaf
        if index >= size:
            raise NotPublished(f"the latest checkpoint shows {size} events")
        leaf = await self._leaves.leaf(index)
        if leaf is None:
            raise Incomplete(f"event {index} is missing")
        return leaf

    async def _export(self, wanted: UUID, *, unsealed: bool) -> SessionExport:
        """Wait for the next checkpoint if only that is missing, unless something is known to keep it back."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _NEXT_CHECKPOINT_S
        while True:
            try:
                return await self._export_now(wanted, unsealed=unsealed)
            except NotYetPublished:
                view = self._log.view
                if view.stopped or view.problem or loop.time() > deadline:
                    raise
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _export_now(self, wanted: UUID, *, unsealed: bool) -> SessionExport:
        # First the checkpoint: a seal that it shows is in the row that is read after it.
        prover = Prover(self._log, await self._published())
        row = await self._sessions.session(wanted)
        if row is None:
            raise NotThere("session_id: no such session")
        return SessionExport(row, prover, unsealed=unsealed, seal_after_s=self._recording().seal_after_s)

    async def _still(self, principal: Principal, context: Context) -> None:
        if not self._door.still(principal):
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "only auditors may read the record")

    async def _refuse_too_many(self, context: Context) -> None:
        if self._streams >= MAX_STREAMS:
            told = f"{MAX_STREAMS} exports and dumps run already: try later"
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, told)

    @contextmanager
    def _streaming(self) -> Iterator[None]:
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1


def _event_id(text: str) -> UUID:
    try:
        return session_id(text)
    except BadQuestion:
        raise BadQuestion("event_id: not a UUID") from None


async def _abort(context: Context, error: Exception) -> NoReturn:
    match error:
        case NotPublished():
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        case NotThere():
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error))
        case NotProved():
            await context.abort(grpc.StatusCode.DATA_LOSS, f"the record is not whole: {error}")
        case _:
            await abort(context, error)
