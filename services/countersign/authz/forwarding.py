"""How a request that may pass goes on: its headers, and what masker must know of it."""

from __future__ import annotations

from collections.abc import Sequence

from countersign.authz.deciding import Decided
from countersign.authz.envoy import Forward, Summary
from countersign.authz.outgoing import Outgoing
from countersign.authz.presenting import Presentation
from countersign.authz.records import CallRecord
from countersign.authz.sessions import SessionOfCall
from countersign.config import Target
from countersign.mcp import Message, MessageKind, Request
from countersign.model.call import Call, NameKind
from countersign.model.door import PRINCIPAL_HEADER
from countersign.model.door import SESSION_HEADER as SESSION_OF_RECORD
from countersign.model.event import Event
from countersign.model.handoff import HandedCall, HandedColumns, Handoff
from countersign.runtime.sealing import Sealer

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


def forward(
    target: Target,
    record: CallRecord,
    request: Request,
    session: SessionOfCall,
    decided: Decided,
    events: Sequence[Event],
    summary: Summary,
    outgoing: Outgoing,
    columns: Sequence[HandedColumns | None],
    presentation: Presentation,
    sealer: Sealer,
) -> Forward:
    """Let a request pass whose events are durable: with the target's credential, without whatever was not judged."""
    headers = {"accept-encoding": "identity"}
    headers.update({name: value.reveal() for name, value in presentation.secrets.items()})
    headers.update(presentation.retry)
    if session.target_session:
        headers[_SESSION_HEADER] = session.target_session
    if target.stdio is not None:
        # The bridge gives each caller's sessions to that caller alone.
        headers[PRINCIPAL_HEADER] = sealer.seal_principal(record.principal)
        headers[SESSION_OF_RECORD] = record.session_id
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
        state=outgoing.state,
        bare=outgoing.bare,
        sent_mark=sealer.mark_request(outgoing.body) if outgoing.changed else "",
        shown=presentation.shown,
    )
    return Forward(headers, removed, summary, handoff, presentation.handle)


def call_of(message: Message) -> Call:
    """Return the call of a message that is none of a client's answers."""
    if message.call is None:
        raise TypeError("a response is no call")
    return message.call


def _handed(message: Message, event: Event, columns: HandedColumns | None) -> HandedCall:
    named = call_of(message).name_kind is NameKind.TOOL
    # The target owes nothing to a client's answer, whose id is one that it gave itself.
    id_json = message.id_json if message.kind is MessageKind.REQUEST else ""
    return HandedCall(id_json, event.method, event.name if named else "", columns)
