"""The sender's side of recording: hand in an event, go on when it is durable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import grpc

from countersign.api.recorder.v1 import event_pb2, recorder_pb2, recorder_pb2_grpc
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal
from countersign.runtime import telemetry
from countersign.runtime.channels import channel_options
from countersign.runtime.continuing import Continuing
from countersign.runtime.trust import SERVICE_HEADER

log = logging.getLogger(__name__)

BATCH_EVENTS = 1_000
# With the largest single event on top a message stays below the server's 80 MiB.
BATCH_BYTES = 4 * 1024 * 1024
# What comes while these are under way waits for a commit anyway, and goes as one message instead of many.
BATCHES_UNDER_WAY = 2
MAX_EVENT_BYTES = 76 * 1024 * 1024
FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0

_CHANNEL_OPTIONS = channel_options(sends_mib=80)
_KINDS = MappingProxyType(
    {
        EventKind.REQUEST: event_pb2.EVENT_KIND_REQUEST,
        EventKind.RESPONSE: event_pb2.EVENT_KIND_RESPONSE,
        EventKind.STREAM_EVENT: event_pb2.EVENT_KIND_STREAM_EVENT,
        EventKind.STREAM_END: event_pb2.EVENT_KIND_STREAM_END,
        EventKind.REFUSED: event_pb2.EVENT_KIND_REFUSED,
        EventKind.AUDIT_READ: event_pb2.EVENT_KIND_AUDIT_READ,
        EventKind.TOOLS_CHANGED: event_pb2.EVENT_KIND_TOOLS_CHANGED,
        EventKind.TOOLS_ACCEPTED: event_pb2.EVENT_KIND_TOOLS_ACCEPTED,
        EventKind.TOOLS_FORGOTTEN: event_pb2.EVENT_KIND_TOOLS_FORGOTTEN,
        EventKind.APPROVAL: event_pb2.EVENT_KIND_APPROVAL,
        EventKind.SEAL: event_pb2.EVENT_KIND_SEAL,
        EventKind.ERASED: event_pb2.EVENT_KIND_ERASED,
        EventKind.HOLD: event_pb2.EVENT_KIND_HOLD,
        EventKind.REVIEWED: event_pb2.EVENT_KIND_REVIEWED,
        EventKind.REVOKED: event_pb2.EVENT_KIND_REVOKED,
    }
)
_OUTCOMES = MappingProxyType(
    {
        Outcome.ALLOW: event_pb2.OUTCOME_ALLOW,
        Outcome.DENY: event_pb2.OUTCOME_DENY,
        Outcome.REFUSED: event_pb2.OUTCOME_REFUSED,
        Outcome.APPROVE: event_pb2.OUTCOME_APPROVE,
    }
)

Stream = grpc.aio.StreamStreamCall[recorder_pb2.AppendRequest, recorder_pb2.AppendResponse]


class NotRecorded(Exception):
    """The event is not known to be durable, so what it records must not happen. The message is safe to show."""


class EventSink(Protocol):
    """Where events become durable: ``Recorder``, and what tests put in its place."""

    async def record(self, event: Event) -> None:
        """Return when the event is durable, or raise ``NotRecorded``."""


class Recorder:
    """One long-lived stream to the recorder.

    Promises: ``record`` returns only when the event is durable. What queued while the last message was being sent is
    the next message, so a lone event never waits. When the stream breaks, what was not acknowledged and is still waited
    for is sent again over the next one (the recorder knows events by their ids), and so is an event whose session was
    sealed, in the session that goes on from it. At most ``queue_events`` events and
    ``queue_bytes`` bytes are held, sent ones included; beyond that ``record`` fails at once.
    """

    def __init__(
        self,
        address: str,
        *,
        queue_events: int,
        queue_bytes: int,
        timeout_s: float,
        service_token: str = "",
        batches_under_way: int = BATCHES_UNDER_WAY,
    ) -> None:
        self._address = address
        self._metadata = ((SERVICE_HEADER, service_token),) if service_token else ()
        self._batches_under_way = batches_under_way
        self._queue_events = queue_events
        self._queue_bytes = queue_bytes
        self._timeout_s = timeout_s
        self._events = 0
        self._bytes = 0
        self._queue: deque[_Pending] = deque()
        self._under_way: dict[int, list[_Pending]] = {}
        self._last_batch = 0
        self._continuing = Continuing()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._connected = False

    @property
    def queue_depth(self) -> int:
        """Events held: waiting to be sent, or sent and not yet acknowledged."""
        return self._events

    @property
    def queue_size_bytes(self) -> int:
        """Bytes held by those events."""
        return self._bytes

    @property
    def connected(self) -> bool:
        """Whether there is a stream to the recorder now."""
        return self._connected

    async def start(self) -> None:
        """Begin to connect, in the background; events can be handed in at once."""
        self._task = asyncio.ensure_future(self._run())

    async def close(self) -> None:
        """Stop. Events that are not yet acknowledged fail with ``NotRecorded``."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for pending in (*self._queue, *(one for batch in self._under_way.values() for one in batch)):
            pending.settle("the gateway is stopping")

    async def record(self, event: Event) -> None:
        """Return when ``event`` is durable. Raises ``NotRecorded`` on refusal, timeout or a full queue.

        After a timeout or a cancellation the event may yet become durable.
        """
        began = time.perf_counter()
        message = self._continuing.continued(to_message(event))
        size = message.ByteSize()
        if self._closed:
            raise NotRecorded("the gateway is stopping")
        if size > MAX_EVENT_BYTES:
            raise NotRecorded(f"the event has {size} bytes; at most {MAX_EVENT_BYTES} can be recorded")
        if self._events and (self._events >= self._queue_events or self._bytes + size > self._queue_bytes):
            raise NotRecorded("too many events wait to be recorded")
        pending = _Pending(message, size, asyncio.get_running_loop().create_future())
        self._events += 1
        self._bytes += size
        self._queue.append(pending)
        self._changed.set()
        try:
            async with asyncio.timeout(self._timeout_s):
                refused = await pending.done
        except TimeoutError:
            self._drop_abandoned()
            raise NotRecorded(f"the recorder did not acknowledge within {self._timeout_s:g} s") from None
        if refused is not None:
            raise NotRecorded(refused)
        telemetry.record_seconds.record(time.perf_counter() - began)
        for finding in event.findings:
            telemetry.findings.add(finding.count, {"label": finding.label})

    async def _run(self) -> None:
        wait_s = FIRST_WAIT_S
        async with grpc.aio.insecure_channel(self._address, options=_CHANNEL_OPTIONS) as channel:
            stub = recorder_pb2_grpc.RecorderServiceStub(channel)
            while True:
                before = self._last_batch
                stream: Stream = stub.Append(wait_for_ready=True, metadata=self._metadata)
                try:
                    await self._converse(stream)
                except grpc.aio.AioRpcError as error:
                    log.warning("the stream to the recorder broke: %s", error.code().name)
                except (asyncio.InvalidStateError, grpc.aio.UsageError, _OutOfStep) as error:
                    log.warning("the stream to the recorder broke: %s", type(error).__name__)
                finally:
                    self._connected = False
                    stream.cancel()
                    self._take_back()
                # A stream that carried nothing failed to begin: wait longer each time.
                wait_s = FIRST_WAIT_S if self._last_batch > before else min(wait_s * 2, LONGEST_WAIT_S)
                await asyncio.sleep(wait_s)

    async def _converse(self, stream: Stream) -> None:
        """Send and receive until either fails or the recorder ends the stream; raises what failed first."""
        await stream.wait_for_connection()
        self._connected = True
        both = [asyncio.ensure_future(self._receive(stream)), asyncio.ensure_future(self._send(stream))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            results = await asyncio.gather(*both, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _send(self, stream: Stream) -> None:
        while True:
            batch = self._next_batch() if len(self._under_way) < self._batches_under_way else []
            if not batch:
                self._changed.clear()
                await self._changed.wait()
                continue
            self._last_batch += 1
            self._under_way[self._last_batch] = batch
            events = [pending.message for pending in batch]
            await stream.write(recorder_pb2.AppendRequest(batch_id=self._last_batch, events=events))

    async def _receive(self, stream: Stream) -> None:
        while isinstance(answer := await stream.read(), recorder_pb2.AppendResponse):
            batch = self._under_way.pop(answer.batch_id, None)
            if batch is None:
                raise _OutOfStep
            refused = {refusal.event_id: refusal for refusal in answer.refusals}
            if again := [one for one in batch if one.id in refused and self._goes_on(one, refused[one.id])]:
                batch = [pending for pending in batch if pending not in again]
                self._queue.extendleft(reversed(again))
            for pending in batch:
                refusal = refused.get(pending.id)
                pending.settle(None if refusal is None else refusal.message)
            self._release(batch)
            self._changed.set()

    def _goes_on(self, pending: _Pending, refusal: recorder_pb2.AppendRefusal) -> bool:
        """Whether the event is to be sent again, in the session that goes on from its own."""
        sealed = refusal.code == recorder_pb2.REFUSAL_CODE_SESSION_SEALED
        return sealed and self._continuing.go_on(pending.message, refusal.continue_as)

    def _next_batch(self) -> list[_Pending]:
        batch: list[_Pending] = []
        size = 0
        while self._queue and len(batch) < BATCH_EVENTS:
            pending = self._queue[0]
            if batch and size + pending.size_bytes > BATCH_BYTES:
                break
            self._queue.popleft()
            if pending.done.done():
                self._release([pending])
                continue
            batch.append(pending)
            size += pending.size_bytes
        return batch

    def _take_back(self) -> None:
        """Queue again, in order, what was sent and not acknowledged; let go of what nobody waits for."""
        sent = [pending for _, batch in sorted(self._under_way.items()) for pending in batch]
        self._under_way.clear()
        self._release([pending for pending in sent if pending.done.done()])
        self._queue.extendleft([pending for pending in reversed(sent) if not pending.done.done()])
        self._drop_abandoned()

    def _drop_abandoned(self) -> None:
        """All wait equally long, so those who gave up stand first; one who was cancelled goes when it gets there."""
        while self._queue and self._queue[0].done.done():
            self._release([self._queue.popleft()])

    def _release(self, settled: list[_Pending]) -> None:
        for pending in settled:
            self._events -= 1
            self._bytes -= pending.size_bytes


class _OutOfStep(Exception):
    """The recorder acknowledged what was not sent."""


@dataclass(frozen=True, slots=True)
class _Pending:
    """An event and who waits for it. ``done`` gives ``None`` once it is durable, else why it was refused."""

    message: event_pb2.Event
    size_bytes: int
    done: asyncio.Future[str | None]

    @property
    def id(self) -> str:
        """The event's id."""
        return self.message.event_id

    def settle(self, refused: str | None) -> None:
        """Tell the waiter, if it still waits."""
        if not self.done.done():
            self.done.set_result(refused)


def to_message(event: Event) -> event_pb2.Event:
    """Return the protobuf message of ``event``."""
    return event_pb2.Event(
        event_id=event.event_id,
        session_id=event.session_id,
        call_id=event.call_id,
        kind=_KINDS[event.kind],
        time_us=event.time_us,
        principal=None if event.principal is None else _principal(event.principal),
        source_address=event.source_address,
        target=event.target,
        method=event.method,
        name=event.name,
        decision=None if event.decision is None else _decision(event.decision),
        status=event.status,
        size_bytes=event.size_bytes,
        duration_us=event.duration_us,
        findings=[event_pb2.Finding(label=one.label, place=one.place, count=one.count) for one in event.findings],
        body=event.body,
        body_type=event.body_type,
        reason=event.reason,
        traceparent=event.traceparent,
        row_count=event.row_count,
        values_put_back=event.values_put_back,
        request_masked=event.request_masked,
        approval_id=event.approval_id,
        continues=event.continues,
        relations=event.relations,
        other_lines=event.other_lines,
    )


def _principal(principal: Principal) -> event_pb2.Principal:
    return event_pb2.Principal(
        issuer=principal.issuer,
        subject=principal.subject,
        groups=principal.groups,
        kind=principal.kind.value,
        token_id=principal.token_id,
        actors=principal.actors,
        token_subject=principal.token_subject,
        signed_in=principal.signed_in,
    )


def _decision(decision: Decision) -> event_pb2.Decision:
    return event_pb2.Decision(
        outcome=_OUTCOMES[decision.outcome],
        rules=decision.rules,
        masks=decision.masks,
        reason=decision.reason,
        policy_version=decision.policy_version,
        shadow=None if decision.shadow is None else _shadow(decision.shadow),
    )


def _shadow(decision: Decision) -> event_pb2.ShadowDecision:
    return event_pb2.ShadowDecision(
        outcome=_OUTCOMES[decision.outcome],
        rules=decision.rules,
        masks=decision.masks,
        reason=decision.reason,
        policy_version=decision.policy_version,
    )
