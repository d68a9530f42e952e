"""The way of a call through authz: identify, read, decide, record, answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from countersign.authz.approving.followups import FollowUps
from countersign.authz.approving.stage import ApprovalStage, Settled, StateAltered
from countersign.authz.attempts import Attempts
from countersign.authz.deciding import Undecidable
from countersign.authz.denials import denial, unavailable
from countersign.authz.envoy import Answer, Forward, Inquiry, Summary
from countersign.authz.forwarding import call_of, forward
from countersign.authz.outgoing import Outgoing
from countersign.authz.presenting import Presentation, Presenting
from countersign.authz.records import CallRecord, EventMaker, NotRecordable
from countersign.authz.relations import statements_in
from countersign.authz.reopening import Reopened, Reopener
from countersign.authz.returning import Returns, cancels_for_nobody
from countersign.authz.sessions import SessionOfCall, session_of
from countersign.authz.stated import Stated
from countersign.authz.underway import UnderWay
from countersign.authz.weighing import Weighed, Weigher
from countersign.config import Target
from countersign.credentials import CredentialUnavailable
from countersign.identity import IdentityUnavailable, TokenVerifier, Unidentified
from countersign.masking import NotMaskable
from countersign.mcp import (
    INVALID_PARAMS,
    Era,
    Failure,
    McpRefused,
    Message,
    Reply,
    Request,
    failed,
    read_request,
    refused,
)
from countersign.model.call import Call
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live
from countersign.runtime.outgoing import bared
from countersign.runtime.recording import EventSink, NotRecorded
from countersign.runtime.revocations import Ended
from countersign.runtime.rulebook import InForce, Rulebook
from countersign.runtime.sealing import Sealer, Unsealable
from countersign.runtime.slices import record_all

_FOR_NOBODY = "a cancellation without a session is no target's to act on: nothing was sent"
_APPROVAL_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Judge:
    """Judges requests for targets. Nothing passes but by ``forward``, after its event is durable.

    ``live`` ends the calls that wait for people once their caller is revoked. ``aside`` is where large bodies are read
    and masked for the record.
    """

    def __init__(
        self,
        rulebook: Rulebook,
        verifier: TokenVerifier,
        sink: EventSink,
        sealer: Sealer,
        weigher: Weigher,
        stage: ApprovalStage,
        follow_ups: FollowUps,
        live: Live,
        presenting: Presenting,
        returns: Returns,
        under_way: UnderWay,
        aside: Aside,
        now_us: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._rulebook = rulebook
        self._verifier = verifier
        self._sink = sink
        self._sealer = sealer
        self._weigher = weigher
        self._stage = stage
        self._follow_ups = follow_ups
        self._live = live
        self._presenting = presenting
        self._returns = returns
        self._reopener = Reopener(sealer, aside, now_us)
        self._under_way = under_way
        self._aside = aside
        self._now_us = now_us
        self._new_id = new_id
        self._events = EventMaker(new_id)
        self._attempts = Attempts(sink, now_us, new_id)

    async def judge(self, inquiry: Inquiry) -> Forward | Answer:
        """Judge a request on an MCP route. Raises nothing but ``CancelledError``, when the caller went away."""
        arrived_us = self._now_us()
        in_force = self._rulebook.current
        target = in_force.config.targets.get(inquiry.target)
        if target is None or target.mcp_url != inquiry.upstream or (inquiry.inner and not in_force.config.hub):
            # Envoy took up an edit before us or after us: the credential of one URL must not go to another.
            return Answer(failed(Failure.UNAVAILABLE, "this target is not in force yet"), Summary())
        try:
            principal = await self._verifier.verify(inquiry.authorization, _audience(in_force, target, inquiry))
            record = CallRecord("", self._new_id(), arrived_us, inquiry, principal)
            return await self._identified(in_force, target, record)
        except Unidentified as error:
            path = "/mcp" if inquiry.inner else f"/{target.name}/mcp"
            return await self.unidentified(inquiry, arrived_us, error, in_force, resource_path=path)
        except (IdentityUnavailable, NotRecorded, Undecidable, CredentialUnavailable) as error:
            return unavailable(error)

    async def status(self, inquiry: Inquiry) -> Answer:
        """Answer how an approval stands to who asked for it: where a 202 pointed to."""
        arrived_us = self._now_us()
        in_force = self._rulebook.current
        target = in_force.config.targets.get(inquiry.target)
        if target is None:
            return Answer(failed(Failure.UNAVAILABLE, "this target is not in force yet"), Summary())
        try:
            principal = await self._verifier.verify(inquiry.authorization, target.resource)
            record = CallRecord("", self._new_id(), arrived_us, inquiry, principal)
            record = _in_session(record, self._session_without_request(record))
            approval_id = inquiry.path.rpartition("/")[2]
            if inquiry.http.verb != "GET" or not _APPROVAL_ID.fullmatch(approval_id):
                refusal = McpRefused(404, INVALID_PARAMS, "there is no such approval of yours")
                return await self._refuse(in_force, record, refusal.message, refused(refusal))
            reply = await self._follow_ups.status(principal, target.name, approval_id)
            record = replace(record, approval_id=approval_id)
            reason = f"asked about its own approval {approval_id}"
            await self._sink.record(self._events.asked(record, reason, reply.status, in_force.config.version))
            return Answer(reply, Summary(record.session_id, record.call_id, Outcome.ALLOW.value))
        except Unidentified as error:
            return await self.unidentified(inquiry, arrived_us, error, in_force, resource_path=f"/{target.name}/mcp")
        except (IdentityUnavailable, NotRecorded, Undecidable) as error:
            return unavailable(error)

    async def refuse(self, inquiry: Inquiry, principal: Principal, error: McpRefused, in_force: InForce) -> Answer:
        """Record that what a known caller sent cannot be read, and answer so. Raises ``NotRecorded``."""
        record = CallRecord("", self._new_id(), self._now_us(), inquiry, principal)
        return await self._refuse(in_force, record, error.message, refused(error))

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
            inquiry, arrived_us, error.recorded, Failure.UNAUTHENTICATED.status, in_force.config.version
        )
        try:
            await self._attempts.record(event)
        except NotRecorded as unrecorded:
            return unavailable(unrecorded)
        metadata = f"{in_force.config.url}/.well-known/oauth-protected-resource{resource_path}"
        challenge = f'Bearer resource_metadata="{metadata}"'
        if error.presented:
            challenge += f', error="invalid_token", error_description="{error.description}"'
        failure = Failure.SESSION_REVOKED if error.of_session else Failure.UNAUTHENTICATED
        reply = failed(failure, error.description)
        reply = Reply(reply.status, reply.body, reply.content_type, (("www-authenticate", challenge),))
        return Answer(reply, Summary(event.session_id, event.call_id, Outcome.REFUSED.value))

    async def _identified(self, in_force: InForce, target: Target, record: CallRecord) -> Forward | Answer:
        inquiry, principal = record.inquiry, record.principal
        depth = in_force.config.limits.json_depth
        try:
            if "?" in inquiry.path:
                raise McpRefused(400, -32600, "the URL of an MCP endpoint takes no query")
            request = await self._aside.run(
                len(inquiry.http.body), lambda: read_request(target.name, inquiry.http, max_depth=depth)
            )
            session = session_of(request, principal, target.name, self._sealer, self._new_id)
        except McpRefused as error:
            return await self._refuse(in_force, record, error.message, refused(error))
        except Unsealable as error:
            return await self._refuse(in_force, record, str(error), failed(Failure.NO_SESSION, "no such session"))
        record = _in_session(record, session.session_id)
        self._verifier.still(principal, record.session_id)
        try:
            await self._under_way.begin(request, record)
        except McpRefused as error:
            return await self._refuse(in_force, record, error.message, refused(error))
        passed = False
        try:
            result = await self._read(in_force, target, record, request, session)
            passed = isinstance(result, Forward)
            return result
        finally:
            (self._under_way.sent if passed else self._under_way.end)(record.call_id)

    async def _read(
        self, in_force: InForce, target: Target, record: CallRecord, request: Request, session: SessionOfCall
    ) -> Forward | Answer:
        principal, depth = record.principal, in_force.config.limits.json_depth
        try:
            request = await self._returns.answered(request, record)
            opened = await self._reopener.reopened(target, record, request, max_depth=depth)
            request, record = opened.request, opened.record
            asked = await self._follow_ups.task(request, principal, target.name)
            if asked is not None:
                return await self._answered(in_force, record, request, *asked)
            masks = await self._returns.check(opened.handed, record, in_force.config.masks)
            if in_force.config.asks_for_approval:
                await self._follow_ups.withdraw(request, principal, record.session_id)
            settled = await self._settled(in_force, target, opened)
            return await self._recorded(in_force, target, opened, session, settled.masked_too(masks))
        except McpRefused as error:
            return await self._refuse(in_force, record, error.message, refused(error))
        except (NotRecordable, NotMaskable, StateAltered, Unsealable) as error:
            reason = str(error)
            refusal = McpRefused(400, INVALID_PARAMS, reason)
            refusal.id_json = request.id_json
            return await self._refuse(in_force, record, reason, refused(refusal))

    async def _settled(self, in_force: InForce, target: Target, opened: Reopened) -> Settled:
        """Decide about a request, and have people agree to it where rules want that."""
        request, record = opened.request, opened.record
        calls = [call_of(message) for message in request.messages]
        sent = Outgoing(record.inquiry.http.body, state=opened.nested)
        weighed = await self._weigher.weigh(in_force, target, record, calls, sent, record.arrived_us)
        if weighed.decided.verdict.outcome is not Outcome.APPROVE:
            return Settled(weighed)
        plain = await self._aside.run(len(sent.body), lambda: bared(sent.body))
        agreed = replace(sent, body=plain, bare=plain != sent.body)

        async def again() -> Weighed | None:
            # The token may have expired meanwhile, and the rules may be others.
            audience = _audience(in_force, target, record.inquiry)
            principal = await self._verifier.verify(record.inquiry.authorization, audience)
            self._verifier.still(principal, record.session_id)
            if principal != record.principal or self._rulebook.current is not in_force:
                return None
            # What its target cannot be shown must not use up what people agreed to.
            await self._presenting.present(target, principal, record.inquiry, calls)
            return await self._weigher.weigh(
                in_force, target, record, calls, agreed, self._now_us(), approved=weighed.said
            )

        try:
            with self._live.hold() as hold:
                hold.of(record.principal, record.session_id)
                return await self._stage.settle(in_force, target, opened, weighed, again)
        except Ended as ended:
            # Answered as one that comes only now.
            self._verifier.still(record.principal, record.session_id)
            raise IdentityUnavailable(str(ended)) from None
        except CredentialUnavailable as error:
            reason, status = f"{error}: nothing was sent", Failure.UNAVAILABLE.status
            await self._sink.record(self._events.unreadable(record, reason, status, in_force.config.version))
            raise

    async def _recorded(
        self, in_force: InForce, target: Target, opened: Reopened, session: SessionOfCall, settled: Settled
    ) -> Forward | Answer:
        """Record what becomes of a request, as its caller could read it; only then let it pass, or answer."""
        request, record = opened.request, opened.record
        decided, outgoing = settled.weighed.decided, settled.weighed.outgoing
        verdict = decided.verdict
        reply = settled.reply
        if reply is None and not verdict.allowed:
            reply = denial(request, decided)
        self._verifier.still(record.principal, record.session_id)
        for_nobody = reply is None and cancels_for_nobody(request, session)
        if for_nobody:
            reply = Reply(202, b"")
        events = await self._events_of(
            in_force,
            record if settled.approval_id == record.approval_id else replace(record, approval_id=settled.approval_id),
            opened.handed.messages,
            decided.decisions,
            0 if reply is None else reply.status,
            outgoing if verdict.allowed else None,
        )
        if for_nobody:
            events = [replace(event, reason=_FOR_NOBODY) for event in events]
        if reply is None:
            await self._returns.take(request, record)
        await self._record_all(events)
        summary = Summary(record.session_id, record.call_id, verdict.outcome.value, ",".join(verdict.rules))
        if reply is not None:
            return Answer(reply, summary)
        calls = settled.weighed.calls
        columns = await self._weigher.columns(in_force, target, calls, outgoing)
        presentation = await self._presented(target, record, calls)
        await self._still_to_be_sent(record)
        try:
            await self._returns.spend(request, record)
        except (McpRefused, Undecidable) as error:
            return await self._not_sent(record, error)
        return forward(
            *(target, record, request, session, decided, events, summary, outgoing, columns, presentation, self._sealer)
        )

    async def _presented(self, target: Target, record: CallRecord, calls: Sequence[Call]) -> Presentation:
        """Return what the target is shown; else record that the call was not sent that was recorded just now."""
        try:
            return await self._presenting.present(target, record.principal, record.inquiry, calls)
        except CredentialUnavailable as error:
            status = Failure.UNAVAILABLE.status
            await self._sink.record(self._events.not_sent(record, self._now_us(), str(error), status))
            raise

    async def _not_sent(self, record: CallRecord, error: McpRefused | Undecidable) -> Answer:
        """Record that the answer of a client was not sent that was recorded just now, and answer so."""
        reply = refused(error) if isinstance(error, McpRefused) else unavailable(error).reply
        await self._sink.record(self._events.not_sent(record, self._now_us(), str(error), reply.status))
        return Answer(reply, Summary(record.session_id, record.call_id, Outcome.REFUSED.value))

    async def _still_to_be_sent(self, record: CallRecord) -> None:
        """Return when the call is to be sent that was recorded just now; else record that it was not."""
        try:
            self._verifier.still(record.principal, record.session_id)
        except (Unidentified, IdentityUnavailable) as error:
            failure = Failure.UNAUTHENTICATED if isinstance(error, Unidentified) else Failure.UNAVAILABLE
            await self._sink.record(self._events.not_sent(record, self._now_us(), str(error), failure.status))
            raise

    async def _answered(
        self, in_force: InForce, record: CallRecord, request: Request, reply: Reply, approval_id: str
    ) -> Answer:
        """Record what a caller asked about its own approval, then answer it."""
        reason = f"asked about its own approval {approval_id}"
        decision = Decision(Outcome.ALLOW, (), (), reason, "", in_force.config.version)
        record = replace(record, approval_id=approval_id)
        await self._record_all(
            await self._events_of(in_force, record, request.messages, [decision], reply.status, None)
        )
        return Answer(reply, Summary(record.session_id, record.call_id, decision.outcome.value))

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
            target = in_force.config.targets[record.inquiry.target]

            def statements(message: Message) -> Stated:
                call = message.call
                return frozenset() if call is None else statements_in(in_force, target, record.principal, call)

            return [
                self._events.judged(record, message, decision, masker, status, sent, statements(message))
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


def _audience(in_force: InForce, target: Target, inquiry: Inquiry) -> str:
    """For which resource a caller's token must be: through the hub they come with one for the one door."""
    return in_force.config.hub_resource if inquiry.inner else target.resource


def _in_session(record: CallRecord, session_id: str) -> CallRecord:
    # Not replace(), which takes several times as long, on every call.
    return CallRecord(
        session_id, record.call_id, record.arrived_us, record.inquiry, record.principal, record.approval_id
    )
