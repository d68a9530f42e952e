"""From an event to the leaf of the log that states it, and back.

A leaf is canonical JSON (RFC 8785): keys sorted, no blanks, defaults left out, without the event's body. RFC 8785
allows the short way taken here because there are no floats, no integer beyond 2^53 and only ASCII keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from json.encoder import encode_basestring as _quoted
from types import MappingProxyType
from typing import Any

from countersign.api.recorder.v1 import event_pb2
from countersign.recorder.who import Who, known_as, searchable

# An entry of a bundle of the log has a length of 16 bits (c2sp.org/tlog-tiles).
MAX_LEAF_BYTES = 65_535
# The proto's count of a finding is an uint32.
_MOST_FOUND = 2**32 - 1
# What many events share is spelled out once: who calls, and what the rules say.
_SHARED = 256

KINDS = MappingProxyType(
    {
        event_pb2.EVENT_KIND_REQUEST: "request",
        event_pb2.EVENT_KIND_RESPONSE: "response",
        event_pb2.EVENT_KIND_STREAM_EVENT: "stream_event",
        event_pb2.EVENT_KIND_STREAM_END: "stream_end",
        event_pb2.EVENT_KIND_REFUSED: "refused",
        event_pb2.EVENT_KIND_AUDIT_READ: "audit_read",
        event_pb2.EVENT_KIND_TOOLS_CHANGED: "tools_changed",
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED: "tools_accepted",
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN: "tools_forgotten",
        event_pb2.EVENT_KIND_APPROVAL: "approval",
        event_pb2.EVENT_KIND_SEAL: "seal",
        event_pb2.EVENT_KIND_ERASED: "erased",
        event_pb2.EVENT_KIND_HOLD: "hold",
        event_pb2.EVENT_KIND_REVIEWED: "reviewed",
        event_pb2.EVENT_KIND_REVOKED: "revoked",
    }
)
_KINDS_BACK = MappingProxyType({word: number for number, word in KINDS.items()})
OUTCOMES = MappingProxyType(
    {
        event_pb2.OUTCOME_ALLOW: "allow",
        event_pb2.OUTCOME_DENY: "deny",
        event_pb2.OUTCOME_REFUSED: "refused",
        event_pb2.OUTCOME_APPROVE: "approve",
    }
)
_OUTCOMES_BACK = MappingProxyType({word: number for number, word in OUTCOMES.items()})
# What the recorder adds when it accepts an event: another time it says something else of the same event.
_OUR_OWN = ("commitment", "recorded_us")

Findings = Sequence[tuple[str, str, int]]


def leaf_text(event: event_pb2.Event, *, recorded_us: int, commitment: str) -> str:
    """Return the leaf of an event; ``commitment`` is empty when its body is."""
    findings = [(one.label, one.place, one.count) for one in event.findings]
    text = _leaf(event, findings, recorded_us, commitment)
    # Four bytes a character at most: measured exactly only near the bound.
    if findings and len(text) * 4 > MAX_LEAF_BYTES and len(text.encode()) > MAX_LEAF_BYTES:
        return _leaf(event, _condensed(findings), recorded_us, commitment)
    return text


def _leaf(event: event_pb2.Event, findings: Findings, recorded_us: int, commitment: str) -> str:
    """The keys in their order; the ids were checked, and need no quoting."""
    parts: list[str] = []
    add = parts.append
    if event.approval_id:
        add(f'"approval_id":{_quoted(event.approval_id)}')
    if event.body_type:
        add(f'"body_type":{_quoted(event.body_type)}')
    add(f'"call_id":"{event.call_id}"')
    if commitment:
        add(f'"commitment":"{commitment}"')
    if event.continues:
        add(f'"continues":{_quoted(event.continues)}')
    if event.HasField("decision"):
        add(f'"decision":{_decision(event.decision.SerializeToString())}')
    if event.duration_us:
        add(f'"duration_us":{event.duration_us}')
    add(f'"event_id":"{event.event_id}"')
    if findings:
        add(f'"findings":[{",".join([_finding(*one) for one in findings])}]')
    add(f'"kind":"{KINDS[event.kind]}"')
    if event.method:
        add(f'"method":{_quoted(event.method)}')
    if event.name:
        add(f'"name":{_quoted(event.name)}')
    if event.other_lines:
        add(f'"other_lines":{_quoted(event.other_lines)}')
    if event.HasField("principal"):
        add(f'"principal":{principal(event.principal.SerializeToString())[0]}')
    if event.reason:
        add(f'"reason":{_quoted(event.reason)}')
    add(f'"recorded_us":{recorded_us}')
    if event.relations:
        add(f'"relations":{_texts(event.relations)}')
    if event.request_masked:
        add('"request_masked":true')
    if event.row_count:
        add(f'"row_count":{event.row_count}')
    if event.HasField("seal"):
        add(f'"seal":{_seal(event.seal)}')
    add(f'"session_id":"{event.session_id}"')
    if event.size_bytes:
        add(f'"size_bytes":{event.size_bytes}')
    if event.source_address:
        add(f'"source_address":{_quoted(event.source_address)}')
    if event.status:
        add(f'"status":{event.status}')
    if event.target:
        add(f'"target":{_quoted(event.target)}')
    add(f'"time_us":{event.time_us}')
    if event.traceparent:
        add(f'"traceparent":{_quoted(event.traceparent)}')
    if event.values_put_back:
        add('"values_put_back":true')
    return "{" + ",".join(parts) + "}"


@lru_cache(maxsize=_SHARED)
def principal(serialized: bytes) -> tuple[str, Who]:
    """Return what a leaf and what a session say of a principal."""
    who = event_pb2.Principal.FromString(serialized)
    # Left out when there are none: so what was recorded before they were known is said in the same words.
    actors = f'"actors":{_texts(who.actors)},' if who.actors else ""
    signed_in = f'"signed_in":{_quoted(who.signed_in)},' if who.signed_in else ""
    token_subject = f',"token_subject":{_quoted(who.token_subject)}' if who.token_subject else ""
    text = (
        f'{{{actors}"groups":{_texts(who.groups)},"issuer":{_quoted(who.issuer)},"kind":{_quoted(who.kind)},'
        f'{signed_in}"subject":{_quoted(who.subject)},"token_id":{_quoted(who.token_id)}{token_subject}}}'
    )
    return text, Who(
        issuer=searchable(who.issuer),
        subject=searchable(who.subject),
        groups=tuple([searchable(group) for group in who.groups]),
        kind=searchable(who.kind),
        token_id=searchable(who.token_id),
        known_as=known_as(who.signed_in, [who.token_subject, *who.actors]),
    )


@lru_cache(maxsize=_SHARED)
def _decision(serialized: bytes) -> str:
    decision = event_pb2.Decision.FromString(serialized)
    shadow = f',"shadow":{{{_judged(decision.shadow)}}}' if decision.HasField("shadow") else ""
    return f"{{{_judged(decision)}{shadow}}}"


def _judged(decision: event_pb2.Decision | event_pb2.ShadowDecision) -> str:
    return (
        f'"masks":{_texts(decision.masks)},"outcome":"{OUTCOMES.get(decision.outcome, "")}",'
        f'"policy_version":{_quoted(decision.policy_version)},"reason":{_quoted(decision.reason)},'
        f'"rules":{_texts(decision.rules)}'
    )


def _seal(seal: event_pb2.Seal) -> str:
    return f'{{"event_count":{seal.event_count},"root":"{seal.root.hex()}","unanswered_count":{seal.unanswered_count}}}'


def _finding(label: str, place: str, count: int) -> str:
    return f'{{"count":{count},"label":{_quoted(label)},"place":{_quoted(place)}}}'


def _texts(texts: Iterable[str]) -> str:
    return f"[{','.join([_quoted(text) for text in texts])}]"


def _condensed(findings: Findings) -> Findings:
    """By label, counts summed, without their places: the shape that the proto leaves room for."""
    counts: dict[str, int] = {}
    for label, _, count in findings:
        counts[label] = min(counts.get(label, 0) + count, _MOST_FOUND)
    return [(label, "", count) for label, count in counts.items()]


def to_event(record: str, body: bytes | None) -> event_pb2.Event:
    """Make the event again that a leaf states: without what the recorder added."""
    fact: dict[str, Any] = json.loads(record)
    for ours in _OUR_OWN:
        fact.pop(ours, None)
    fact["kind"] = _KINDS_BACK[fact["kind"]]
    if decision := fact.get("decision"):
        for judged in (decision, *([decision["shadow"]] if "shadow" in decision else [])):
            judged["outcome"] = _OUTCOMES_BACK.get(judged["outcome"], event_pb2.OUTCOME_UNSPECIFIED)
    if seal := fact.get("seal"):
        seal["root"] = bytes.fromhex(seal["root"])
    return event_pb2.Event(**fact, body=body or b"")


def sent_content(record: str) -> dict[str, object]:
    """Return what the sender said in a leaf, to be compared with another."""
    fact: dict[str, object] = json.loads(record)
    for ours in _OUR_OWN:
        fact.pop(ours, None)
    return fact
