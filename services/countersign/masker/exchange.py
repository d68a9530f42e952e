"""One response on its way from the target to the caller: frame, mask, record, release.

The only way out for a byte of a target is through ``Content``, after its event is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.config import Binary, NewTools, changes_requests
from countersign.masker import envoy
from countersign.masker.answers import Collected, Masking, Streamed
from countersign.masker.body import Body
from countersign.masker.budget import Budget
from countersign.masker.content import Content, ContentMasker, Shows
from countersign.masker.declared import Declared
from countersign.masker.ends import HUNG_UP, Ends
from countersign.masker.envoy import Head
from countersign.masker.form import SESSION_HEADER, Form, Treatment, change, treatment
from countersign.masker.handing import Seal
from countersign.masker.handles import ShownHandles
from countersign.masker.quiet import Quiet
from countersign.masker.records import EventMaker
from countersign.masker.tokens import HandedBack, ShownTokens
from countersign.masker.tools import Pins, ToolGate
from countersign.masker.withheld import Withheld
from countersign.masking import Blobs, NotMaskable
from countersign.mcp import Failure, failed
from countersign.model import telltale
from countersign.model.event import EventKind, Finding
from countersign.model.handoff import Handoff
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside
from countersign.runtime.handles import Handles
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.revocations import Ended
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import SealedSession, Sealer
from countersign.runtime.tokens import Vault
from countersign.screening import Screening

_FIRST_ERROR = 400


class Reset(Exception):
    """The response must be cut: its head is out already. ``str()`` is safe to log; ``findings`` are why, if any are."""

    def __init__(self, reason: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(reason)
        self.findings = findings


class Exchange:
    """The life of one response. Feed it Envoy's messages in order; send on what it returns.

    States: head awaited -> (passing | collecting | streaming) -> done. Raises ``Reset`` when the stream must be cut.
    ``aside`` and ``budget`` are shared by all exchanges of a process; ``close`` must be called at the end. Without a
    ``vault`` there are no tokens: what would have one is redacted. ``handed`` knows what the target was handed for
    tokens, once the request is on its way. ``handles`` keeps what callers are handed to come back with; without it,
    what would hand them such a thing is withheld. ``ends`` says whether its end is on the record already.
    ``whose`` is told of whom and of which session the answer is, and raises ``Ended`` when they may have none.
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
        whose: Callable[[Principal, str], None],
        vault: Vault | None = None,
        handed: HandedBack | None = None,
        handles: Handles | None = None,
        ends: Ends | None = None,
    ) -> None:
        self._rulebook = rulebook
        self._whose = whose
        self._vault = vault
        self._handed = handed
        self._handles = handles
        self._ends = ends or Ends()
        self._events: EventMaker | None = None
        self._sink = sink
        self._sealer = sealer
        self._pins = pins
        self._now_us = now_us
        self._new_id = new_id
        self._aside = aside
        self._budget = budget
        self._held_bytes = 0
        self._answer: Collected | Streamed | None = None
        self._ours = False
        self._done = False
        self._may_be_quiet: Quiet | None = None
        self.quiet: Quiet | None = None
        """How long it may be quiet, once it is a stream of which anything came: Envoy takes nothing of ours before."""

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
        """Give back what was held of the budget, and the call."""
        self._budget.give_back(self._held_bytes)
        self._held_bytes = 0
        if self._events is not None:
            self._ends.over(self._events.handoff.call_id)

    @property
    def begun(self) -> bool:
        """Whether it was asked about a response at all."""
        return self._ours or self._done or self._events is not None

    @property
    def done(self) -> bool:
        """Whether all that Envoy gets for this response was returned."""
        return self._done

    @property
    def unfinished(self) -> bool:
        """Whether an answer was begun whose end is not recorded."""
        return self._events is not None and not self._done

    async def abandoned(self) -> None:
        """Record that the answer broke off. Call when Envoy closed the stream, which does not say who left."""
        if self._answer is None:
            # It was still looked at: nothing of it was released.
            await self.cut(HUNG_UP)
        elif self.unfinished:
            await self._answer.left()

    async def end(self, reason: str) -> Sequence[pb.ProcessingResponse]:
        """Withhold an answer of which nothing is released; record why. Raises ``Reset`` when it must be cut."""
        answer = self._answer
        if self._done or answer is None or answer.released_head:
            raise Reset(reason)
        return (await self._refuse(answer.events, reason),)

    async def cut(self, reason: str, findings: tuple[Finding, ...] = ()) -> None:
        """Record that the answer was cut, if its end is not recorded."""
        if self._done or self._events is None:
            return
        if self._answer is not None:
            await self._answer.cut(reason, findings)
        else:
            await self._sink.record(self._events.make(EventKind.RESPONSE, status=0, reason=reason, findings=findings))
        self._done = True

    async def _head(self, head: Head) -> Sequence[pb.ProcessingResponse]:
        treat = treatment(head)
        if treat.form is Form.OURS:
            self._ours = True
            return (envoy.head(envoy.HeadChange()),)
        if head.handoff is None:
            self._done = True
            return (_withheld(Failure.BAD_GATEWAY, treat.reason, None),)
        if not self._ends.mine(head.handoff.call_id):
            # Envoy told of its caller's leaving first, and that is its end on the record.
            self._done = True
            return (_withheld(Failure.BAD_GATEWAY, "the caller is gone", head.handoff),)
        events = self._events = EventMaker(head.handoff, self._now_us, self._new_id)
        try:
            self._whose(head.handoff.principal, head.handoff.session_id)
            return await self._begin(head, head.handoff, treat, events)
        except (Withheld, Ended) as error:
            return (await self._refuse(events, str(error), _findings(error)),)
        except NotRecorded:
            return (self._unrecorded(head.handoff),)

    async def _begin(
        self, head: Head, handoff: Handoff, treat: Treatment, events: EventMaker
    ) -> Sequence[pb.ProcessingResponse]:
        if treat.form in (Form.LOST, Form.REFUSED):
            raise Withheld(treat.reason)
        handles = ShownHandles(self._handles, handoff)
        if handoff.calls[0].method == "DELETE" and head.status < _FIRST_ERROR:
            await handles.session_ended()
        released = envoy.head(change(head, treat.form, self._sealed_session(head, handoff)))
        if treat.form is Form.EMPTY:
            # Cancelled or not, this is the end on the record.
            self._done = True
            await self._sink.record(events.make(EventKind.RESPONSE, status=head.status))
            self._done = head.ends
            self._answer = None if head.ends else Collected.empty(events, self._sink, head.status)
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
        shows = self._shows(head, handoff)
        masker = ContentMasker(
            handoff,
            in_force.policy,
            in_force.masks,
            gate,
            blobs,
            declared,
            _screening(handoff.target, in_force),
            max_depth=depth,
            mint=mint,
            tasks=in_force.config.asks_for_approval,
            handles=handles,
            seal=self._seal(handoff, in_force),
            shows=shows,
        )
        if self._handed is not None and self._handed.values:
            masker.put_tokens_back(self._handed.values)
        masking = Masking(self._aside, gate, tokens, handles)
        if treat.form is Form.EVENTS:
            self._may_be_quiet = Quiet.of(handoff, limits)
            self._answer = Streamed(events, self._sink, head.status, masker, masking, limits, shows)
            return (released,)
        way = _way(masker, treat.form, head.status)

        async def mask(body: Body) -> Content:
            content = await masking.run(body.size_bytes, lambda: way(body))
            await handles.keep(content.shown)
            return content

        self._answer = Collected(events, self._sink, head.status, mask, limits, treat.form, released, shows)
        return ()

    def _seal(self, handoff: Handoff, in_force: InForce) -> Seal | None:
        """Return how its caller's states are sealed, where requests come by here that could bring one back."""
        target = in_force.config.targets.get(handoff.target)
        if target is None or not changes_requests(in_force.config, target):
            return None
        return lambda state: self._sealer.seal_state(handoff.principal, handoff.target, state)

    def _shows(self, head: Head, handoff: Handoff) -> Shows:
        """Return what tells whether an answer holds the credential that its target was shown. Raises ``Withheld``."""
        try:
            told = telltale.read(head.headers.get(telltale.HEADER, "[]"))
        except ValueError:
            raise Withheld("the target answered with a header of ours") from None
        shown, mark = (*handoff.shown, *told), self._sealer.mark_shown
        return lambda data: telltale.holds(data, shown, mark)

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
            self.quiet = None if ends else self._may_be_quiet
        except (Withheld, NotMaskable, NotRecorded) as error:
            if answer.released_head:
                raise Reset(_reason(error), _findings(error)) from error
            if isinstance(error, NotRecorded):
                return (self._unrecorded(answer.events.handoff),)
            return (await self._refuse(answer.events, _reason(error), _findings(error)),)
        # Before the replies are out: Envoy closes the stream as soon as it has the last one.
        self._done = ends
        return replies

    async def _end_by_trailers(self, message: pb.HttpTrailers) -> Sequence[pb.ProcessingResponse]:
        last = () if self._ours else await self._piece(b"", ends=True)
        return (*last, envoy.trailers(tuple(header.key for header in message.trailers.headers)))

    def _unrecorded(self, handoff: Handoff) -> pb.ProcessingResponse:
        self._done = True
        return _withheld(Failure.UNAVAILABLE, "the answer could not be recorded and is withheld", handoff)

    async def _refuse(
        self, events: EventMaker, reason: str, findings: tuple[Finding, ...] = ()
    ) -> pb.ProcessingResponse:
        """Withhold the answer: record why, then say so to the caller."""
        self._done = True
        try:
            await self._sink.record(events.make(EventKind.RESPONSE, status=502, reason=reason, findings=findings))
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


def _blobs(target: str, in_force: InForce) -> Blobs:
    known = in_force.config.targets.get(target)
    return Blobs(refuse_binary=known is None or known.binary is not Binary.LET_THROUGH)


def _screening(target: str, in_force: InForce) -> Screening:
    known = in_force.config.targets.get(target)
    return Screening() if known is None else known.screening


def _way(masker: ContentMasker, form: Form, status: int) -> Callable[[Body], Content]:
    if form is not Form.JSON:
        return lambda body: masker.text(body.data())
    way = masker.answer if status < _FIRST_ERROR else masker.error_body
    return lambda body: way(body.text())


def _reason(error: Withheld | NotMaskable | NotRecorded) -> str:
    return error.reason if isinstance(error, NotMaskable) else str(error)


def _findings(error: Exception) -> tuple[Finding, ...]:
    return error.findings if isinstance(error, Withheld) else ()


def _withheld(failure: Failure, reason: str, handoff: Handoff | None) -> pb.ProcessingResponse:
    id_json = handoff.calls[0].id_json if handoff is not None and len(handoff.calls) == 1 else ""
    reply = failed(failure, reason, id_json)
    return envoy.instead(reply.status, reply.body)
