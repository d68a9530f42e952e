"""``RecorderService``: the gateway's own services append here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import grpc

from countersign.api.recorder.v1 import event_pb2, recorder_pb2, recorder_pb2_grpc
from countersign.recorder.committer import Closed, Committer, Stopped
from countersign.recorder.entry import BadEvent, Entry, Sealed, Settled, Verdict, accept, refusal
from countersign.runtime import telemetry

log = logging.getLogger(__name__)

MAX_BATCH_EVENTS = 1_000
# Batches of one stream that are read and not yet answered.
MAX_BATCHES_UNDER_WAY = 256

Requests = AsyncIterator[recorder_pb2.AppendRequest]


class _BadBatch(Exception):
    """The sender broke the protocol; the stream ends."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """A batch on its way: which of its events were refused at once, and the future of the others.

    ``traced`` are the trace contexts of its events, ``taken_ns`` when it was taken, since the epoch.
    """

    batch_id: int
    refusals: list[recorder_pb2.AppendRefusal]
    entries: list[Entry]
    done: asyncio.Future[list[Settled]] | None
    traced: tuple[str, ...]
    taken_ns: int

    async def message(self) -> recorder_pb2.AppendResponse:
        """Wait until the batch is durable. Raises ``Closed``."""
        refusals = self.refusals
        if self.done is not None:
            verdicts = await self.done
            durable_ns = time.time_ns()
            for traceparent in self.traced:
                telemetry.span_of_past("recorder.append", traceparent, self.taken_ns, durable_ns)
            refusals += [
                _late_refusal(entry, verdict)
                for entry, verdict in zip(self.entries, verdicts, strict=True)
                if verdict is not Verdict.RECORDED
            ]
        return recorder_pb2.AppendResponse(batch_id=self.batch_id, refusals=refusals)


class RecorderServer(recorder_pb2_grpc.RecorderServiceServicer):
    """Feeds the committer from many streams; a stream is not read while the committer's queue is full."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._readers: set[asyncio.Task[None]] = set()
        self._draining = False

    def drain(self) -> None:
        """Stop reading from all streams; each ends, with status OK, once what it sent was answered."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    async def Append(
        self, request_iterator: Requests, context: grpc.aio.ServicerContext[object, object]
    ) -> AsyncIterator[recorder_pb2.AppendResponse]:
        """See recorder.proto."""
        answers: asyncio.Queue[_Answer | None] = asyncio.Queue()
        room = asyncio.Semaphore(MAX_BATCHES_UNDER_WAY)
        reader = asyncio.ensure_future(self._read(request_iterator, answers, room))
        self._readers.add(reader)
        # Not in the reader itself: one that is cancelled before it began runs nothing, and nobody would be told.
        reader.add_done_callback(lambda _: answers.put_nowait(None))
        reader.add_done_callback(_seen)
        if self._draining:
            reader.cancel()
        try:
            while (answer := await answers.get()) is not None:
                yield await answer.message()
                room.release()
            if not reader.cancelled():
                reader.result()
        except Stopped:
            # Not why: that is for operators, who find it in the log and in the status.
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "the log is not whole: nothing is recorded")
        except Closed:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the recorder is stopping")
        except _BadBatch as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        finally:
            self._readers.discard(reader)
            reader.cancel()

    async def _read(self, requests: Requests, answers: asyncio.Queue[_Answer | None], room: asyncio.Semaphore) -> None:
        await room.acquire()
        async for request in requests:
            answers.put_nowait(await self._take(request))
            await room.acquire()

    async def _take(self, request: recorder_pb2.AppendRequest) -> _Answer:
        if len(request.events) > MAX_BATCH_EVENTS:
            raise _BadBatch(f"batch {request.batch_id} holds more than {MAX_BATCH_EVENTS} events")
        entries: list[Entry] = []
        refusals: list[recorder_pb2.AppendRefusal] = []
        for event in request.events:
            try:
                entries.append(accept(event))
            except BadEvent as error:
                refusals.append(_refused(event, error))
        done = await self._committer.put(entries) if entries else None
        traced = tuple(event.traceparent for event in request.events if event.traceparent)
        return _Answer(request.batch_id, refusals, entries, done, traced, time.time_ns())


def _seen(reader: asyncio.Task[None]) -> None:
    """Take the error of a reader whose stream ended before anyone asked for it."""
    if not reader.cancelled():
        reader.exception()


def _refused(event: event_pb2.Event, error: BadEvent) -> recorder_pb2.AppendRefusal:
    log.warning("event refused: %s", error)
    return refusal(event.event_id, error.code, str(error))


def _late_refusal(entry: Entry, settled: Settled) -> recorder_pb2.AppendRefusal:
    event_id = str(entry.event_id)
    match settled:
        case Sealed(continue_as):
            code, message = recorder_pb2.REFUSAL_CODE_SESSION_SEALED, "the session is sealed"
            return refusal(event_id, code, message, str(continue_as))
        case Verdict.CONFLICT:
            telemetry.conflicts.add(1)
            log.critical(
                "another event with this id is already recorded: a sender is broken, or lies",
                extra={"event_id": event_id},
            )
            message = "another event with this id is already recorded"
            return refusal(event_id, recorder_pb2.REFUSAL_CODE_CONFLICT, message)
        case Verdict.WRONG_SESSION:
            log.error("event refused: its session is of another principal or target", extra={"event_id": event_id})
            message = "the session is of another principal or target, or goes on from none that is sealed"
            return refusal(event_id, recorder_pb2.REFUSAL_CODE_WRONG_SESSION, message)
        case _:
            return refusal(event_id, recorder_pb2.REFUSAL_CODE_INVALID, "the event cannot be stored")
