"""One response on its way from the target to the caller: frame, mask, record, release.

The only way out for a byte of a target is through ``Content``, after its event is durable.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from typing import TypeVar

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.config import Binary, Limits, NewTools
from countersign.masker import envoy
from countersign.masker.budget import Budget
from countersign.masker.content import Content, ContentMasker
from countersign.masker.declared import Declared
from countersign.masker.envoy import Head
from countersign.masker.form import SESSION_HEADER, Form, Treatment, change, treatment
from countersign.masker.lines import without_remarks
from countersign.masker.records import EVENTS_TYPE, JSON_TYPE, EventMaker
from countersign.masker.tokens import HandedBack, ShownTokens
from countersign.masker.tools import Listed, Pins, ToolGate, Unobserved
from countersign.masker.withheld import Withheld
from countersign.masking import Blobs, NotMaskable, SseEvent, SseSplitter
from countersign.mcp import Failure, failed
from countersign.model.event import Event, EventKind
from countersign.model.handoff import Handoff
from countersign.runtime.aside import Aside
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import SealedSession, Sealer
from countersign.runtime.slices import record_all
from countersign.runtime.tokens import Vault

_ACCEPTED, _FIRST_ERROR = 202, 400
_T = TypeVar("_T")


class Reset(Exception):
    """The response must be cut: its head is out already. ``str()`` is safe to log."""


class Exchange:
    """The life of one response. Feed it Envoy's messages in order; send on what it returns.

    States: head awaited -> (passing | collecting | streaming) -> done. Raises ``Reset`` when the stream must be cut.
    ``aside`` and ``budget`` are shared by all exchanges of a process; ``close`` must be called at the end. Without a
    ``vault`` there are no tokens: what would have one is redacted. ``handed`` knows what the target was handed for
    tokens, once the request is on its way.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        sink: EventSink,
        sealer: Sealer,
        pins: Pins,
        aside: Aside,
        budget: Budget,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
        vault: Vault | None = None,
        handed: HandedBack | None = None,
    ) -> None:
        self._rulebook = rulebook
        self._vault = vault
        self._handed = handed
        self._sink = sink
        self._sealer = sealer
        self._pins = pins
        self._now_us = now_us
        self._new_id = new_id
        self._aside = aside
        self._budget = budget
        self._held_bytes = 0
        self._answer: _Collected | _Streamed | None = None
        self._ours = False
        self._done = False

    async def step(self, message: pb.ProcessingRequest) -> Sequence[pb.ProcessingResponse]:
        """Take one message; return what goes back to Envoy, all of it recorded."""
        what = message.WhichOneof("request")
        if what == "response_headers":
            return await self._head(envoy.read_head(message))
        if what == "response_body":
            piece = message.response_body
            return await self._piece(piece.body, piece.end_of_stream)
        if what == "response_trailers":
            return await self._end_by_trailers(message.response_trailers)
        raise Reset(f"unexpected message {what}")

    def close(self) -> None:
        """Give back what was held of the budget."""
        self._budget.give_back(self._held_bytes)
        self._held_bytes = 0

    @property
    def unfinished(self) -> bool:
        """Whether an answer was begun whose end is not recorded."""
        return self._answer is not None and not self._done

    async def abandoned(self) -> None:
        """Record that the answer broke off. Call when Envoy closed the stream, which does not say who left."""
        if self._answer is not None and self.unfinished:
            await self._answer.cut("the answer broke off: the target or the caller ended it early")

    async def cut(self, reason: str) -> None:
        """Record that the answer was cut by us after its head was released."""
        if self._answer is not None and self.unfinished:
            await self._answer.cut(reason)
        self._done = True

    async def _head(self, head: Head) -> Sequence[pb.ProcessingResponse]:
        treat = treatment(head)
        if treat.form is Form.OURS:
            self._ours = True
            return (envoy.head(envoy.HeadChange()),)
        if head.handoff is None:
            self._done = True
            return (_withheld(Failure.BAD_GATEWAY, treat.reason, None),)
        events = EventMaker(head.handoff, self._now_us, self._new_id)
        try:
            return await self._begin(head, head.handoff, treat, events)
        except Withheld as error:
            return (await self._refuse(events, str(error)),)
        except NotRecorded:
            return (self._unrecorded(head.handoff),)

    async def _begin(
        self, head: Head, handoff: Handoff, treat: Treatment, events: EventMaker
    ) -> Sequence[pb.ProcessingResponse]:
        if treat.form in (Form.LOST, Form.REFUSED):
            raise Withheld(treat.reason)
        released = envoy.head(change(head, treat.form, self._sealed_session(head, handoff)))
        if treat.form is Form.EMPTY:
            await self._sink.record(events.make(EventKind.RESPONSE, status=head.status))
            self._done = head.ends
            self._answer = None if head.ends else _Collected.empty(events, self._sink, head.status)
            return (released,)
        in_force = self._rulebook.find(handoff.policy_version)
        if in_force is None:
            raise Withheld("the policy that judged the call is not known here")
        limits = in_force.config.limits
        gate = self._gate(handoff.target, in_force)
        blobs = _blobs(handoff.target, in_force)
        tokens = ShownTokens.of(self._vault, in_force.masks, handoff)
        mint = None if tokens is None else tokens.mint
        depth = limits.json_depth
        declared = await Declared.of(handoff, self._pins, max_depth=depth)
        masker = ContentMasker(
            handoff, in_force.policy, in_force.masks, gate, blobs, declared, max_depth=depth, mint=mint
        )
        if self._handed is not None and self._handed.values:
            masker.put_tokens_back(self._handed.values)
        masking = _Masking(self._aside, gate, tokens)
        if treat.form is Form.EVENTS:
            self._answer = _Streamed(events, self._sink, head.status, masker, masking, limits)
            return (released,)
        way = _way(masker, treat.form, head.status)

        async def mask(data: bytes) -> Content:
            return await masking.run(len(data), lambda: way(data))

        self._answer = _Collected(events, self._sink, head.status, mask, limits, treat.form, released)
        return ()

    async def _piece(self, data: bytes, ends: bool) -> Sequence[pb.ProcessingResponse]:
        if self._done:
            return ()
        if self._ours:
            return (envoy.body(data, ends=ends),)
        if self._answer is None:
            raise Reset("a body without a head")
        answer = self._answer
        try:
            if not answer.released_head:
                self._budget.take(len(data))
                self._held_bytes += len(data)
            replies = await answer.take(data, ends)
        except (Withheld, NotMaskable, NotRecorded) as error:
            if answer.released_head:
                raise Reset(_reason(error)) from error
            if isinstance(error, NotRecorded):
                return (self._unrecorded(answer.events.handoff),)
            return (await self._refuse(answer.events, _reason(error)),)
        # Before the replies are out: Envoy closes the stream as soon as it has the last one.
        self._done = ends
        return replies

    async def _end_by_trailers(self, message: pb.HttpTrailers) -> Sequence[pb.ProcessingResponse]:
        last = () if self._ours else await self._piece(b"", ends=True)
        return (*last, envoy.trailers(tuple(header.key for header in message.trailers.headers)))

    def _unrecorded(self, handoff: Handoff) -> pb.ProcessingResponse:
        self._done = True
        return _withheld(Failure.UNAVAILABLE, "the answer could not be recorded and is withheld", handoff)

    async def _refuse(self, events: EventMaker, reason: str) -> pb.ProcessingResponse:
        """Withhold the answer: record why, then say so to the caller."""
        self._done = True
        try:
            await self._sink.record(events.make(EventKind.RESPONSE, status=502, reason=reason))
        except NotRecorded:
            return self._unrecorded(events.handoff)
        return _withheld(Failure.BAD_GATEWAY, reason, events.handoff)

    def _gate(self, target: str, in_force: InForce) -> ToolGate:
        known = in_force.config.targets.get(target)
        allow_new = known is not None and known.new_tools is NewTools.ALLOW
        return ToolGate(self._pins, target, in_force.masks.for_records(), self._aside, allow_new=allow_new)

    def _sealed_session(self, head: Head, handoff: Handoff) -> str | None:
        given = head.headers.get(SESSION_HEADER)
        if given is None:
            return None
        return self._sealer.seal_session(handoff.principal, handoff.target, SealedSession(given, handoff.session_id))


class _Masking:
    """Masks aside; a listing of tools is observed when its turn comes, and masked once it is known how they stand.

    The tokens in what it returns are kept.
    """

    def __init__(self, aside: Aside, gate: ToolGate, tokens: ShownTokens | None) -> None:
        self._aside = aside
        self._gate = gate
        self._tokens = tokens

    async def run(self, size_bytes: int, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns, which may be called several times.

        Raises what it raises, and ``Withheld`` when its listing is not observed, or its tokens are not kept.
        """
        if self._tokens is None:
            return await self._observed(size_bytes, work)
        return await self._tokens.keep(lambda: self._observed(size_bytes, work))

    async def _observed(self, size_bytes: int, work: Callable[[], _T]) -> _T:
        try:
            return await self._aside.run(size_bytes, work)
        except Unobserved as unobserved:
            pages = unobserved.pages
        await self._gate.observe(pages)
        try:
            return await self._aside.run(size_bytes, work)
        except Unobserved:
            # What was observed stays known, so this is a mistake of ours; it must not become an endless one.
            raise Withheld("the target's tools could not be observed") from None


class _Collected:
    """An answer that is masked whole: nothing of it, not even its head, is released before its event is durable."""

    def __init__(
        self,
        events: EventMaker,
        sink: EventSink,
        status: int,
        mask: Callable[[bytes], Awaitable[Content]] | None,
        limits: Limits | None,
        form: Form,
        head: pb.ProcessingResponse | None,
    ) -> None:
        self.events = events
        self.released_head = head is None
        self._sink = sink
        self._status = status
        self._mask = mask
        self._max_bytes = limits.response_bytes if limits else 0
        self._form = form
        self._head = head
        self._pieces: list[bytes] = []
        self._size = 0

    @classmethod
    def empty(cls, events: EventMaker, sink: EventSink, status: int) -> _Collected:
        """Return an answer that said it has no body and must keep its word."""
        return cls(events, sink, status, None, None, Form.EMPTY, None)

    async def take(self, data: bytes, ends: bool) -> list[pb.ProcessingResponse]:
        """Collect; at the end mask, record, and return head and body."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise Withheld(f"the answer is larger than {self._max_bytes} bytes")
        if data:
            self._pieces.append(data)
        if not ends:
            return []
        if self._mask is None or self._head is None:
            return [envoy.body(b"", ends=True)]
        content, body_type = None, ""
        if self._size or self._status != _ACCEPTED:
            content = await self._mask(b"".join(self._pieces))
            body_type = JSON_TYPE if self._form is Form.JSON else "text/plain"
        self._pieces.clear()
        await self._sink.record(
            self.events.make(
                EventKind.RESPONSE, status=self._status, size_bytes=self._size, content=content, body_type=body_type
            )
        )
        return [self._head, envoy.body(content.released if content else b"", ends=True)]

    async def cut(self, reason: str) -> None:
        """Record that the answer never reached the caller."""
        await self._sink.record(self.events.make(EventKind.RESPONSE, status=0, size_bytes=self._size, reason=reason))


class _Streamed:
    """An answer of server-sent events, each masked and durable before it is released."""

    released_head = True

    def __init__(
        self,
        events: EventMaker,
        sink: EventSink,
        status: int,
        masker: ContentMasker,
        masking: _Masking,
        limits: Limits,
    ) -> None:
        self.events = events
        self._masking = masking
        self._sink = sink
        self._status = status
        self._masker = masker
        self._splitter = SseSplitter(limits.sse_event_bytes)
        self._size = 0
        self._masked_size = 0

    async def take(self, data: bytes, ends: bool) -> list[pb.ProcessingResponse]:
        """Mask and record the events that ``data`` completes; return them as one piece of body."""
        self._size += len(data)
        # Once, although the events may be masked twice.
        fed = cache(lambda: self._fed(data))
        masked = await self._masking.run(self._size - self._masked_size, lambda: self._masked(fed()))
        await self._record([event for _, event in masked if event is not None])
        released = b"".join(raw for raw, _ in masked)
        if not ends:
            return [envoy.body(released, ends=False)] if released else []
        self._splitter.close()
        await self._sink.record(self._end(""))
        return [envoy.body(released, ends=True)]

    async def cut(self, reason: str) -> None:
        """Record that the stream ended early."""
        await self._sink.record(self._end(reason))

    def _fed(self, data: bytes) -> list[SseEvent]:
        events = self._splitter.feed(data)
        self._masked_size += sum(len(event.raw) for event in events)
        return events

    def _masked(self, events: Sequence[SseEvent]) -> list[tuple[bytes, Event | None]]:
        masked: list[tuple[bytes, Event | None]] = []
        unobserved: list[Listed] = []
        for event in events:
            try:
                masked.append(self._mask(event))
            except Unobserved as error:
                unobserved += error.pages
        if unobserved:
            raise Unobserved(unobserved)
        return masked

    def _mask(self, event: SseEvent) -> tuple[bytes, Event | None]:
        self._masker.check_other_lines(event)
        size = len(event.raw)
        event = without_remarks(event)
        if not event.data:
            return event.raw, None
        content = self._masker.event_data(event.data)
        text = content.released.decode()
        raw = event.raw if text == event.data else event.with_data(text)
        record = self.events.make(
            EventKind.STREAM_EVENT,
            status=self._status,
            size_bytes=size,
            content=content,
            body_type=JSON_TYPE,
        )
        return raw, record

    async def _record(self, events: list[Event]) -> None:
        await record_all(self._sink.record, events)

    def _end(self, reason: str) -> Event:
        return self.events.make(
            EventKind.STREAM_END, status=self._status, size_bytes=self._size, body_type=EVENTS_TYPE, reason=reason
        )


def _blobs(target: str, in_force: InForce) -> Blobs:
    known = in_force.config.targets.get(target)
    return Blobs(refuse_binary=known is None or known.binary is not Binary.LET_THROUGH)


def _way(masker: ContentMasker, form: Form, status: int) -> Callable[[bytes], Content]:
    if form is not Form.JSON:
        return masker.text
    return masker.answer if status < _FIRST_ERROR else masker.error_body


def _reason(error: Withheld | NotMaskable | NotRecorded) -> str:
    return error.reason if isinstance(error, NotMaskable) else str(error)


def _withheld(failure: Failure, reason: str, handoff: Handoff | None) -> pb.ProcessingResponse:
    id_json = handoff.calls[0].id_json if handoff is not None and len(handoff.calls) == 1 else ""
    reply = failed(failure, reason, id_json)
    return envoy.instead(reply.status, reply.body)
