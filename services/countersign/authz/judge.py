"""The way of a call through authz: identify, read, decide, record, answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from countersign.authz.attempts import Attempts
from countersign.authz.deciding import Decided, Decider, Undecidable, together
from countersign.authz.envoy import Answer, Forward, Inquiry, Summary
from countersign.authz.outgoing import Outgoing, examine
from countersign.authz.pairing import paired_all
from countersign.authz.records import CallRecord, EventMaker, NotRecordable
from countersign.authz.sessions import SessionOfCall, session_of
from countersign.authz.values import with_both, with_values
from countersign.config import RequestMasks, Target
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.masking import NotMaskable
from countersign.mcp import (
    INVALID_PARAMS,
    Era,
    Failure,
    McpRefused,
    Message,
    MessageKind,
    Reply,
    Request,
    denied,
    denied_batch,
    failed,
    read_request,
    refused,
)
from countersign.model.call import Call, NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event
from countersign.model.handoff import HandedCall, HandedColumns, Handoff
from countersign.model.situation import Situation
from countersign.runtime.aside import Aside
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import Sealer, Unsealable
from countersign.runtime.slices import record_all
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import NotPutBack, Vault

# Headers of the caller that reach the target; whatever else it sends was not judged and is removed.
_FORWARDED = frozenset(
    {
        "accept",
        "content-length",
        "content-type",
        "host",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "transfer-encoding",
        "x-forwarded-proto",
    }
)
_FORWARDED_PREFIXES = (":", "mcp-param-")
_SESSION_HEADER = "mcp-session-id"
# Reading a larger body and masking it for the record would hold up the other calls of this process.
_ASIDE_FROM_BYTES = 32 * 1024
_ASIDE_AT_ONCE = 2


class Judge:
    """Judges requests for targets. Nothing passes but by ``_forward``, after its event is durable."""

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: TokenVerifier,
        sink: EventSink,
        sealer: Sealer,
        decider: Decider,
        vault: Vault,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._rulebook = rulebook
        self._vault = vault
        self._verifier = verifier
        self._sink = sink
        self._sealer = sealer
        self._decider = decider
        self._now_us = now_us
        self._new_id = new_id
        self._events = EventMaker(new_id)
        self._attempts = Attempts(sink, now_us, new_id)
        self._aside = Aside(from_bytes=_ASIDE_FROM_BYTES, at_once=_ASIDE_AT_ONCE)

    async def judge(self, inquiry: Inquiry) -> Forward | Answer:
        """Judge a request on an MCP route. Raises nothing but ``CancelledError``, when the caller went away."""
        arrived_us = self._now_us()
        in_force = self._rulebook.current
        target = in_force.config.targets.get(inquiry.target)
        if target is None or target.mcp_url != inquiry.upstream:
            # Envoy took up an edit before us or after us: the credential of one URL must not go to another.
            return Answer(failed(Failure.UNAVAILABLE, "this target is not in force yet"), Summary())
        try:
            principal = await self._verifier.verify(inquiry.authorization, target.resource)
            record = CallRecord("", self._new_id(), arrived_us, inquiry, principal)
            return await self._identified(in_force, target, record)
        except Unidentified as error:
            return await self.unidentified(inquiry, arrived_us, error, in_force, resource_path=f"/{target.name}/mcp")
        except (IdentityUnavailable, NotRecorded, Undecidable) as error:
            return unavailable(error)

    async def follow(self) -> None:
        """Keep the record of refused attempts up to date until cancelled."""
        await self._attempts.follow()

    async def close(self) -> None:
        """Record what is not yet recorded of refused attempts; call it before the recorder is let go of."""
        await self._attempts.close()

    async def unidentified(
        self, inquiry: Inquiry, arrived_us: int, error: Unidentified, in_force: InForce, *, resource_path: str
    ) -> Answer:
        """Record the attempt and answer 401, saying where a token can be had (RFC 9728 section 5.1)."""
        event = self._events.unidentified(
            inquiry, arrived_us, error.description, Failure.UNAUTHENTICATED.status, in_force.config.version
        )
        try:
            await self._attempts.record(event)
        except NotRecorded as unrecorded:
            return unavailable(unrecorded)
        metadata = f"{in_force.config.url}/.well-known/oauth-protected-resource{resource_path}"
        challenge = f'Bearer resource_metadata="{metadata}"'
        if error.presented:
            challenge += f', error="invalid_token", error_description="{error.description}"'
        reply = failed(Failure.UNAUTHENTICATED, error.description)
        reply = Reply(reply.status, reply.body, reply.content_type, (("www-authenticate", challenge),))
        return Answer(reply, Summary(event.session_id, event.call_id, Outcome.REFUSED.value))

    async def _identified(self, in_force: InForce, target: Target, record: CallRecord) -> Forward | Answer:
        inquiry, principal = record.inquiry, record.principal
        try:
            if "?" in inquiry.path:
                raise McpRefused(400, -32600, "the URL of an MCP endpoint takes no query")
            depth = in_force.config.limits.json_depth
            request = await self._aside.run(
                len(inquiry.http.body), lambda: read_request(target.name, inquiry.http, max_depth=depth)
            )
            session = session_of(request, principal, target.name, self._sealer, self._new_id)
        except McpRefused as error:
            return await self._refuse(in_force, record, error.message, refused(error))
        except Unsealable as error:
            return await self._refuse(in_force, record, str(error), failed(Failure.NO_SESSION, "no such session"))
        record = _in_session(record, session.session_id)
        if any(message.kind is MessageKind.RESPONSE for message in request.messages):
            reason = "answers to a server's requests are not passed on by this version"
            return await self._refuse(in_force, record, reason, failed(Failure.FORBIDDEN, reason))
        calls: Sequence[Call] = [_call(message) for message in request.messages]
        situation = Situation(record.arrived_us, inquiry.source_address)
        size_bytes = len(inquiry.http.body)
        decided = await self._decider.decide(in_force, target, principal, calls, situation, size_bytes)
        outgoing = Outgoing(inquiry.http.body)
        try:
            if decided.verdict.allowed and size_bytes and target.mask_request != RequestMasks():
                outgoing = await self._examined(in_force, target, inquiry)
                decided = _unless_refused(decided, outgoing)
            if decided.verdict.allowed and (outgoing.masked or decided.unmask) and not inquiry.changes_requests:
                raise Undecidable("what this target is sent is not masked yet")
            if decided.verdict.allowed and decided.unmask:
                calls, decided, outgoing = await self._with_values(
                    in_force, target, record, calls, decided, outgoing, situation
                )
            decisions, verdict = decided.decisions, decided.verdict
            reply = None if verdict.allowed else _denial(request, decided)
            status = reply.status if reply else 0
            events = await self._events_of(
                in_force, record, request.messages, decisions, status, outgoing if verdict.allowed else None
            )
        except (NotRecordable, NotMaskable) as error:
            reason = str(error)
            return await self._refuse(in_force, record, reason, refused(McpRefused(400, INVALID_PARAMS, reason)))
        await self._record_all(events)
        summary = Summary(record.session_id, record.call_id, verdict.outcome.value, ",".join(verdict.rules))
        if reply is not None:
            return Answer(reply, summary)
        columns = await self._paired(in_force, target, calls, outgoing)
        return self._forward(target, record, request, session, decided, events, summary, outgoing, columns)

    async def _with_values(
        self,
        in_force: InForce,
        target: Target,
        record: CallRecord,
        calls: Sequence[Call],
        decided: Decided,
        outgoing: Outgoing,
        situation: Situation,
    ) -> tuple[Sequence[Call], Decided, Outgoing]:
        """Return the calls with values for their tokens, what becomes of them, and what the target gets."""
        principal, depth = record.principal, in_force.config.limits.json_depth
        owner = TokenOwner(record.session_id, principal.issuer, principal.subject, target.name)
        try:
            found = await self._vault.put_back(owner, outgoing.body, max_depth=depth)
        except NotPutBack as error:
            return calls, decided.without(str(error)), outgoing
        if not found.tokens:
            decisions = tuple(replace(each, unmask=False) for each in decided.decisions)
            return calls, replace(decided, decisions=decisions), outgoing
        size_bytes = len(found.text)
        meant = await self._aside.run(size_bytes, lambda: with_values(calls, found.text, max_depth=depth))
        again = await self._decider.decide_again(in_force, target, principal, meant, situation, size_bytes)
        both = together(with_both(decided.decisions, again))
        if not both.unmask:
            return calls, both, outgoing
        return meant, both, replace(outgoing, body=found.text.encode(), put_back=True)

    async def _paired(
        self, in_force: InForce, target: Target, calls: Sequence[Call], outgoing: Outgoing
    ) -> list[HandedColumns | None]:
        def pair() -> list[HandedColumns | None]:
            return paired_all(target, in_force.config.masks, calls, as_sent=not outgoing.masked)

        return await self._aside.run(len(outgoing.body), pair)

    async def _examined(self, in_force: InForce, target: Target, inquiry: Inquiry) -> Outgoing:
        body = inquiry.http.body
        return await self._aside.run(len(body), lambda: examine(target.mask_request, in_force.masks, body))

    async def _events_of(
        self,
        in_force: InForce,
        record: CallRecord,
        messages: Sequence[Message],
        decisions: Sequence[Decision],
        status: int,
        sent: Outgoing | None,
    ) -> list[Event]:
        def make() -> list[Event]:
            masker = in_force.masks.for_records()
            return [
                self._events.judged(record, message, decision, masker, status, sent)
                for message, decision in zip(messages, decisions, strict=True)
            ]

        return await self._aside.run(len(record.inquiry.http.body), make)

    async def _record_all(self, events: Sequence[Event]) -> None:
        await record_all(self._sink.record, events)

    async def _refuse(self, in_force: InForce, record: CallRecord, reason: str, reply: Reply) -> Answer:
        if not record.session_id:
            record = _in_session(record, self._session_without_request(record))
        event = self._events.unreadable(record, reason, reply.status, in_force.config.version)
        await self._sink.record(event)
        return Answer(reply, Summary(record.session_id, record.call_id, Outcome.REFUSED.value))

    def _session_without_request(self, record: CallRecord) -> str:
        unread = Request(era=Era.LEGACY, messages=(), protocol_version="", session_id="", wants_stream=False)
        return session_of(unread, record.principal, record.inquiry.target, self._sealer, self._new_id).session_id

    def _forward(
        self,
        target: Target,
        record: CallRecord,
        request: Request,
        session: SessionOfCall,
        decided: Decided,
        events: Sequence[Event],
        summary: Summary,
        outgoing: Outgoing,
        columns: Sequence[HandedColumns | None],
    ) -> Forward:
        headers = {"accept-encoding": "identity"}
        if target.credential is not None:
            headers["authorization"] = f"Bearer {target.credential.reveal()}"
        if session.target_session:
            headers[_SESSION_HEADER] = session.target_session
        inquiry = record.inquiry
        if inquiry.source_address:
            # Envoy only appends to it, and targets believe its first entry, which the caller may have written.
            headers["x-forwarded-for"] = inquiry.source_address
        passed = set(_FORWARDED)
        if inquiry.http.verb == "GET" and session.target_session:
            # Ids of events are the target's own: without a session they could resume another caller's stream.
            passed.add("last-event-id")
        if inquiry.traceparent:
            passed.update(("traceparent", "tracestate"))
        removed = tuple(
            name
            for name in inquiry.http.headers
            if name not in passed and name not in headers and not name.startswith(_FORWARDED_PREFIXES)
        )
        handoff = Handoff(
            session_id=record.session_id,
            call_id=record.call_id,
            arrived_us=record.arrived_us,
            target=target.name,
            era=request.era.value,
            principal=record.principal,
            calls=tuple(map(_handed, request.messages, events, columns)),
            masks=tuple(sorted({mask for decision in decided.decisions for mask in decision.masks})),
            policy_version=decided.verdict.policy_version,
            traceparent=inquiry.traceparent,
            mask_request=outgoing.masked,
            unmask=outgoing.put_back,
            sent_mark=self._sealer.mark_request(outgoing.body) if outgoing.changed else "",
        )
        return Forward(headers, removed, summary, handoff)


def _unless_refused(decided: Decided, outgoing: Outgoing) -> Decided:
    """Deny all messages of a request in which something was found that its target must not get."""
    if not outgoing.refusal:
        return decided
    decisions = tuple(map(outgoing.denial, decided.decisions))
    return Decided(decisions, decisions[0])


def _in_session(record: CallRecord, session_id: str) -> CallRecord:
    return replace(record, session_id=session_id)


def _call(message: Message) -> Call:
    if message.call is None:
        raise TypeError("a response is no call")
    return message.call


def _handed(message: Message, event: Event, columns: HandedColumns | None) -> HandedCall:
    named = _call(message).name_kind is NameKind.TOOL
    return HandedCall(message.id_json, event.method, event.name if named else "", columns)


def _denial(request: Request, decided: Decided) -> Reply:
    verdict = decided.verdict
    if decided.retry_after_s:
        id_json = "" if request.is_batch else request.messages[0].id_json
        reply = failed(Failure.RATE_LIMITED, verdict.message, id_json)
        return replace(reply, headers=(("retry-after", str(decided.retry_after_s)),))
    if decided.undecidable:
        id_json = "" if request.is_batch else request.messages[0].id_json
        return failed(Failure.UNAVAILABLE, f"the call was not sent: {verdict.message}", id_json)
    text = f"{verdict.message} (rule: {', '.join(verdict.rules)})" if verdict.rules else verdict.message
    if request.is_batch:
        return denied_batch(request.messages, text)
    return denied(request.messages[0], text)


def unavailable(error: IdentityUnavailable | NotRecorded | Undecidable) -> Answer:
    """Answer 503: a part that must have its say cannot."""
    text = "not recorded" if isinstance(error, NotRecorded) else "the caller cannot be identified now"
    if isinstance(error, Undecidable):
        text = str(error)
    return Answer(
        failed(Failure.UNAVAILABLE, f"the gateway cannot take this call now ({text}); nothing was sent"), Summary()
    )
