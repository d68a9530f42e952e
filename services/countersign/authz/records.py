"""The events that authz records: of each judged call, and of each attempt by nobody known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from countersign.authz.envoy import Inquiry
from countersign.authz.outgoing import Outgoing
from countersign.authz.relations import relations_of
from countersign.authz.sessions import session_of_strangers
from countersign.authz.stated import Stated
from countersign.jsontext import JsonRefused
from countersign.masking import Masker, NotMaskable
from countersign.masking.sse import is_harmless
from countersign.masking.tokens import ByForm
from countersign.mcp import Message, MessageKind
from countersign.model.call import NameKind
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.methods import KNOWN_METHODS
from countersign.model.principal import Principal

_DAY_US = 24 * 3600 * 1_000_000
_ANSWERS = "answers what the target asked"
_WITHHELD = "[not recorded: it could not be masked]"


class NotRecordable(ValueError):
    """What the caller sent cannot be masked for the record, so the call must not be made. Safe to show."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What all events of one request share. ``approval_id`` is what it waits for, or by which it may pass."""

    session_id: str
    call_id: str
    arrived_us: int
    inquiry: Inquiry
    principal: Principal
    approval_id: str = ""


@dataclass(frozen=True, slots=True)
class EventMaker:
    """Makes events; ``new_id`` gives a fresh UUID."""

    new_id: Callable[[], str]

    def judged(
        self,
        record: CallRecord,
        message: Message,
        decision: Decision,
        masker: Masker,
        status: int,
        sent: Outgoing | None,
        statements: Stated = frozenset(),
    ) -> Event:
        """Return the request event of one judged message; arguments and names are masked with ``masker``.

        ``sent`` is what the target gets: nothing when the request is refused. ``statements`` are those of its
        arguments that are statements.
        Raises ``NotRecordable`` for an allowed message that cannot be masked: whoever could have a call made that the
        record does not show would need no permission. A denied one is recorded without what cannot be masked.
        """
        call = message.call
        params = call.params_json.encode() if call is not None else b""
        masker = _with_tokens(masker)
        try:
            body, findings = _masked_json(masker, params)
            method, unknown = _masked_method(masker, message)
            # The name stands in the arguments: where nothing is found in them, nothing is in it.
            name, found = _masked_name(masker, message) if findings or call is None else (call.name, ())
            relations = relations_of(statements, call.params_json, body, masker) if call is not None else ()
            last_event = _last_event(masker, record.inquiry)
        except (NotMaskable, JsonRefused) as error:
            if decision.allowed:
                reason = "the call cannot be masked for the record; its arguments may hold a text of ambiguous JSON"
                raise NotRecordable(reason) from error
            body, findings, name, found = json.dumps(_WITHHELD).encode(), (), _WITHHELD, ()
            method, unknown = _method(message) if _method(message) in KNOWN_METHODS else _WITHHELD, ()
            relations, last_event = (), ""
        if last_event is None:
            # Whoever was shown an event was shown no such id.
            if decision.allowed:
                raise NotRecordable("the id of the last event is none that a caller is shown")
            last_event = ""
        return Event(
            event_id=self.new_id(),
            session_id=record.session_id,
            call_id=record.call_id,
            kind=EventKind.REQUEST,
            time_us=record.arrived_us,
            target=record.inquiry.target,
            method=method,
            name=name,
            principal=record.principal,
            source_address=record.inquiry.source_address,
            decision=_without_message(decision),
            status=status,
            size_bytes=len(record.inquiry.http.body),
            findings=findings + found + unknown,
            body=body,
            body_type="application/json" if body else "",
            traceparent=record.inquiry.traceparent,
            values_put_back=sent is not None and sent.put_back,
            request_masked=sent is not None and sent.masked,
            approval_id=record.approval_id,
            relations=relations,
            other_lines=last_event,
            reason=_ANSWERS if message.kind is MessageKind.RESPONSE else "",
        )

    def unreadable(self, record: CallRecord, reason: str, status: int, policy_version: str) -> Event:
        """Return the event of a request that could not be read; its body is not kept, since it cannot be masked."""
        return Event(
            event_id=self.new_id(),
            session_id=record.session_id,
            call_id=record.call_id,
            kind=EventKind.REQUEST,
            time_us=record.arrived_us,
            target=record.inquiry.target,
            method=record.inquiry.http.verb,
            principal=record.principal,
            source_address=record.inquiry.source_address,
            decision=Decision(Outcome.REFUSED, (), (), reason, "", policy_version),
            status=status,
            size_bytes=len(record.inquiry.http.body),
            reason=reason,
        )

    def asked(self, record: CallRecord, reason: str, status: int, policy_version: str) -> Event:
        """Return the event of a caller who asked how their own approval stands, by a bare GET."""
        return replace(
            self.unreadable(record, "", status, policy_version),
            decision=Decision(Outcome.ALLOW, (), (), reason, "", policy_version),
            approval_id=record.approval_id,
        )

    def not_sent(self, record: CallRecord, now_us: int, reason: str, status: int) -> Event:
        """Return the event that ends a call which was recorded as allowed, and is not sent for all that."""
        return Event(
            event_id=self.new_id(),
            session_id=record.session_id,
            call_id=record.call_id,
            kind=EventKind.RESPONSE,
            time_us=now_us,
            target=record.inquiry.target,
            method=record.inquiry.http.verb,
            status=status,
            duration_us=max(0, now_us - record.arrived_us),
            reason=f"{reason}: nothing was sent",
            traceparent=record.inquiry.traceparent,
        )

    def unidentified(self, inquiry: Inquiry, arrived_us: int, reason: str, status: int, policy_version: str) -> Event:
        """Return the event of an attempt by nobody known: without the token, without the body."""
        target = inquiry.target or inquiry.route
        day = str(arrived_us // _DAY_US)
        return Event(
            event_id=self.new_id(),
            session_id=session_of_strangers(target, inquiry.source_address, day),
            call_id=self.new_id(),
            kind=EventKind.REFUSED,
            time_us=arrived_us,
            target=target,
            method=inquiry.http.verb,
            source_address=inquiry.source_address,
            decision=Decision(Outcome.REFUSED, (), (), reason, "", policy_version),
            status=status,
            size_bytes=len(inquiry.http.body),
            reason=reason,
        )


@lru_cache(maxsize=1)
def _with_tokens(masker: Masker) -> Masker:
    """What a caller hands back is recorded as it was sent: as the tokens that its answers showed."""
    return masker.within(ByForm())


def _masked_json(masker: Masker, data: bytes) -> tuple[bytes, tuple[Finding, ...]]:
    if not data:
        return b"", ()
    masked = masker.json(data)
    return masked.data, masked.findings


def _masked_name(masker: Masker, message: Message) -> tuple[str, tuple[Finding, ...]]:
    """Mask the name: a resource's URI may hold a credential, and any name is the caller's own text."""
    if message.call is None or message.call.name_kind is NameKind.NONE:
        return "", ()
    masked = masker.text(message.call.name.encode())
    return masked.data.decode(), masked.findings


def _last_event(masker: Masker, inquiry: Inquiry) -> str | None:
    """Say as which line a GET has from where on its stream is taken up; ``None`` when a mask finds something in it."""
    event_id = inquiry.http.headers.get("last-event-id", "") if inquiry.http.verb == "GET" else ""
    if not event_id:
        return ""
    found = not is_harmless(event_id) and masker.text(event_id.encode()).changed
    return None if found else f"Last-Event-ID: {event_id}"


def _method(message: Message) -> str:
    return message.call.method if message.call is not None else message.kind.value


def _masked_method(masker: Masker, message: Message) -> tuple[str, tuple[Finding, ...]]:
    """Mask a method that MCP does not know: it is the caller's own text, and stands nowhere in the arguments."""
    method = _method(message)
    if message.call is None or method in KNOWN_METHODS:
        return method, ()
    masked = masker.text(method.encode())
    return masked.data.decode(), masked.findings


def _without_message(decision: Decision) -> Decision:
    """Return the decision as it is recorded: what the caller reads may quote a name, the reason never does."""
    if decision.shadow is None and not decision.message:
        return decision
    shadow = None if decision.shadow is None else replace(decision.shadow, message="")
    return replace(decision, message="", shadow=shadow)
