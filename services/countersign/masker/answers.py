"""The two ways in which an answer comes: collected and masked whole, or event by event."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.config import Limits
from countersign.masker import envoy
from countersign.masker.body import Body
from countersign.masker.content import Content, ContentMasker, Shows
from countersign.masker.form import Form
from countersign.masker.handles import OfAnothersTask, ShownHandles, Unasked
from countersign.masker.lines import ALIVE, EventWriter, OtherLines, other_lines, written
from countersign.masker.records import EVENTS_TYPE, JSON_TYPE, EventMaker
from countersign.masker.tokens import ShownTokens
from countersign.masker.tools import Listed, ToolGate, Unobserved
from countersign.masker.withheld import SHOWN, Withheld
from countersign.masking import SseEvent, SseSplitter
from countersign.mcp import Handle
from countersign.model.event import Event, EventKind, Finding
from countersign.runtime.aside import Aside
from countersign.runtime.recording import EventSink
from countersign.runtime.slices import record_all

_ACCEPTED = 202
# As many as one piece of a stream may hold.
_MOST_LISTINGS = 100
_T = TypeVar("_T")
_LEFT = "the answer broke off: the target or the caller ended it early"
_UNKNOWN = "an event of a name that MCP does not have: withheld"
_UNANSWERED = "the target ended the stream before its answer"


class Masking:
    """Masks aside; a listing of tools is observed when its turn comes, and masked once it is known how they stand.

    The tokens in what it returns are kept. A listing of tasks is masked once it is known whose they are.
    """

    def __init__(self, aside: Aside, gate: ToolGate, tokens: ShownTokens | None, handles: ShownHandles) -> None:
        self._aside = aside
        self.handles = handles
        self._gate = gate
        self._tokens = tokens

    async def run(self, size_bytes: int, work: Callable[[], _T]) -> _T:
        """Return what ``work`` returns, which may be called several times.

        Raises what it raises, and ``Withheld`` when its listing is not observed, or its tokens are not kept.
        """
        if self._tokens is None:
            return await self._asked(size_bytes, work)
        return await self._tokens.keep(lambda: self._asked(size_bytes, work))

    async def _asked(self, size_bytes: int, work: Callable[[], _T]) -> _T:
        self.handles.begin()
        for _ in range(_MOST_LISTINGS):
            try:
                return await self._observed(size_bytes, work)
            except Unasked as unasked:
                ids = unasked.ids
            await self.handles.learn(ids)
        raise Withheld("the target lists tasks too often at once")

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


class Collected:
    """An answer that is masked whole: nothing of it, not even its head, is released before its event is durable."""

    def __init__(
        self,
        events: EventMaker,
        sink: EventSink,
        status: int,
        mask: Callable[[Body], Awaitable[Content]] | None,
        limits: Limits | None,
        form: Form,
        head: pb.ProcessingResponse | None,
        shows: Shows,
    ) -> None:
        self.events = events
        self.released_head = head is None
        self._sink = sink
        self._status = status
        self._mask = mask
        self._max_bytes = limits.response_bytes if limits else 0
        self._form = form
        self._head = head
        self._shows = shows
        self._pieces: list[bytes] = []
        self._size = 0

    @classmethod
    def empty(cls, events: EventMaker, sink: EventSink, status: int) -> Collected:
        """Return an answer that said it has no body and must keep its word."""
        return cls(events, sink, status, None, None, Form.EMPTY, None, lambda _: False)

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
            body = Body(self._pieces)
            self._pieces.clear()
            content = await self._mask(body)
            # Only what was made of it is needed while it is recorded.
            del body
            _check(content, self._shows)
            body_type = JSON_TYPE if self._form is Form.JSON else "text/plain"
        await self._sink.record(
            self.events.make(
                EventKind.RESPONSE, status=self._status, size_bytes=self._size, content=content, body_type=body_type
            )
        )
        return [self._head, envoy.body(content.released if content else b"", ends=True)]

    async def left(self) -> None:
        """Record that the target or the caller ended the answer early; of one without a body, the end is recorded."""
        if self._mask is not None:
            await self.cut(_LEFT)

    async def cut(self, reason: str, findings: tuple[Finding, ...] = ()) -> None:
        """Record that the answer never reached the caller."""
        event = self.events.make(EventKind.RESPONSE, status=0, size_bytes=self._size, reason=reason, findings=findings)
        await self._sink.record(event)


class Streamed:
    """An answer of server-sent events, each masked and durable before it is released."""

    released_head = True

    def __init__(
        self,
        events: EventMaker,
        sink: EventSink,
        status: int,
        masker: ContentMasker,
        masking: Masking,
        limits: Limits,
        shows: Shows,
    ) -> None:
        self.events = events
        self._shows = shows
        self._masking = masking
        self._sink = sink
        self._status = status
        self._masker = masker
        self._splitter = SseSplitter(limits.sse_event_bytes)
        self._writer = EventWriter()
        self._size = 0
        self._masked_size = 0
        self._shown: list[Handle] = []
        self._answered = False

    async def take(self, data: bytes, ends: bool) -> list[pb.ProcessingResponse]:
        """Mask and record the events that ``data`` completes; return them as one piece of body."""
        self._size += len(data)
        # Once, although the events may be masked twice.
        fed = cache(lambda: self._fed(data))
        masked = await self._masking.run(self._size - self._masked_size, lambda: self._masked(fed()))
        await self._masking.handles.keep(self._shown)
        await self._record([event for _, event in masked if event is not None])
        released = b"".join(written(raw for raw, _ in masked))
        self._answered = self._masker.answered is True
        if not ends:
            return [envoy.body(released, ends=False)] if released else []
        self._splitter.close()
        await self._sink.record(self._end(_UNANSWERED if self._masker.answered is False else ""))
        return [envoy.body(released, ends=True)]

    async def left(self) -> None:
        """Record that the target or the caller ended the stream early: most clients do, once they have their answer."""
        await self.cut("" if self._answered else _LEFT)

    async def cut(self, reason: str, findings: tuple[Finding, ...] = ()) -> None:
        """Record that the stream ended early."""
        await self._sink.record(self._end(reason, findings))

    def _fed(self, data: bytes) -> list[SseEvent]:
        events = self._splitter.feed(data)
        self._masked_size += sum(len(event.raw) for event in events)
        return events

    def _masked(self, events: Sequence[SseEvent]) -> list[tuple[bytes, Event | None]]:
        masked: list[tuple[bytes, Event | None]] = []
        self._shown = []
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
        """Return what is released of an event, and what is recorded of that: nothing for what says nothing."""
        self._masker.check_remarks(event)
        lines = other_lines(event)
        if not lines.known:
            # Its clients would not read it.
            return ALIVE, self._record_of(event, reason=_UNKNOWN) if event.data else None
        lines, found = self._fit(lines)
        if not event.data:
            raw = self._writer.write(lines, None if event.data is None else b"")
            said = lines.recorded()
            return (raw, self._record_of(event, lines, findings=found)) if said else (ALIVE, None)
        try:
            content = self._masker.event_data(event.data)
        except OfAnothersTask as error:
            return b"", self._record_of(event, reason=str(error))
        _check(content, self._shows)
        self._shown += content.shown
        content = replace(content, findings=content.findings + found) if found else content
        return self._writer.write(lines, content.released), self._record_of(event, lines, content)

    def _fit(self, lines: OtherLines) -> tuple[OtherLines, tuple[Finding, ...]]:
        """Take the id away in which anything is found: the caller cannot resume from there, and gets nothing by it."""
        if not lines.id:
            return lines, ()
        found = self._masker.findings_in_id(lines.id)
        return (lines.without_id() if found or self._shows(lines.id.encode()) else lines), found

    def _record_of(
        self,
        event: SseEvent,
        lines: OtherLines | None = None,
        content: Content | None = None,
        *,
        reason: str = "",
        findings: tuple[Finding, ...] = (),
    ) -> Event:
        return self.events.make(
            EventKind.STREAM_EVENT,
            status=self._status,
            size_bytes=len(event.raw),
            content=content,
            body_type="" if content is None else JSON_TYPE,
            reason=reason,
            findings=findings,
            other_lines="" if lines is None else lines.recorded(with_no_data=event.data == ""),
        )

    async def _record(self, events: list[Event]) -> None:
        await record_all(self._sink.record, events)

    def _end(self, reason: str, findings: tuple[Finding, ...] = ()) -> Event:
        return self.events.make(
            EventKind.STREAM_END,
            status=self._status,
            size_bytes=self._size,
            body_type=EVENTS_TYPE,
            reason=reason,
            findings=findings,
        )


def _check(content: Content, shows: Shows) -> None:
    if shows(content.released):
        raise Withheld(SHOWN)
