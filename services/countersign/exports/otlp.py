"""Events as OTLP logs: an ``ExportLogsServiceRequest`` in JSON (OTLP 1, JSON encoding of opentelemetry-proto)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from countersign.exports.facts import Fact, Severity

# SeverityNumber: INFO, INFO2, WARN, ERROR.
_SEVERITIES: Mapping[Severity, tuple[int, str]] = MappingProxyType(
    {
        Severity.INFORMATIONAL: (9, "INFO"),
        Severity.LOW: (10, "INFO2"),
        Severity.MEDIUM: (13, "WARN"),
        Severity.HIGH: (17, "ERROR"),
    }
)
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)

Json = dict[str, object]


def export_request(facts: Sequence[Fact], product_version: str) -> bytes:
    """Return the body of one export."""
    resource = {"service.name": "countersign", "service.version": product_version}
    return _ENCODER.encode(
        {
            "resourceLogs": [
                {
                    "resource": {"attributes": _attributes(resource)},
                    "scopeLogs": [
                        {
                            "scope": {"name": "countersign.record", "version": product_version},
                            "logRecords": [log_record(fact) for fact in facts],
                        }
                    ],
                }
            ]
        }
    ).encode("ascii")


def log_record(fact: Fact) -> Json:
    """Return one ``LogRecord``. ``log.record.uid`` is the event's id: the same however often it is sent."""
    number, word = _SEVERITIES[fact.severity]
    record: Json = {
        # 64-bit integers are decimal strings in the JSON of protobuf.
        "timeUnixNano": str(fact.event.time_us * 1_000),
        "observedTimeUnixNano": str(fact.recorded_us * 1_000),
        "severityNumber": number,
        "severityText": word,
        "eventName": f"countersign.{fact.kind}",
        "body": {"stringValue": fact.message},
        "attributes": _attributes(attributes(fact)),
    }
    trace_id, span_id = fact.trace
    if trace_id:
        record |= {"traceId": trace_id, "spanId": span_id}
    return record


def attributes(fact: Fact) -> dict[str, object]:
    """Return the attributes: texts, integers, booleans, lists of texts; what is empty is left out."""
    event, who, decision = fact.event, fact.who, fact.event.decision
    told: dict[str, object] = {
        "log.record.uid": event.event_id,
        "countersign.index": fact.index,
        "countersign.session.sequence": fact.sequence,
        "countersign.kind": fact.kind,
        "session.id": event.session_id,
        "countersign.call.id": event.call_id,
        "countersign.target": event.target,
        "countersign.method": event.method,
        "countersign.name": event.name,
        "countersign.outcome": fact.outcome,
        "countersign.rules": list(decision.rules),
        "countersign.masks": list(decision.masks),
        "countersign.reason": fact.why,
        "countersign.policy.version": decision.policy_version,
        "countersign.approval.id": event.approval_id,
        "countersign.continues": event.continues,
        "countersign.relations": list(event.relations),
        "countersign.other_lines": event.other_lines,
        "countersign.findings": [f"{one.label}={one.count}" for one in fact.found],
        "countersign.size": event.size_bytes,
        "countersign.duration_us": event.duration_us,
        "countersign.rows": event.row_count,
        "countersign.request_masked": event.request_masked,
        "countersign.values_put_back": event.values_put_back,
        "countersign.body": fact.body,
        "countersign.body.erased": fact.body_erased,
        "countersign.body.cut": fact.body_is_cut,
        "client.address": event.source_address,
        "http.response.status_code": event.status,
    }
    if who is not None:
        told |= {
            "user.id": who.subject,
            "user.roles": list(who.groups),
            "countersign.principal.issuer": who.issuer,
            "countersign.principal.kind": who.kind,
            "countersign.principal.actors": list(who.actors),
            "countersign.principal.token_id": who.token_id,
            "countersign.principal.token_subject": who.token_subject,
            "countersign.principal.signed_in": who.signed_in,
        }
    if fact.owner is not None and fact.owner != who:
        told["countersign.session.subject"] = fact.owner.subject
    if event.HasField("seal"):
        told |= {
            "countersign.seal.events": event.seal.event_count,
            "countersign.seal.root": event.seal.root.hex(),
            "countersign.seal.unanswered": event.seal.unanswered_count,
        }
    always = ("countersign.index", "countersign.session.sequence")
    return {name: value for name, value in told.items() if value or name in always}


def _attributes(values: Mapping[str, object]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> Json:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case list():
            return {"arrayValue": {"values": [_value(one) for one in value]}}
        case _:
            return {"stringValue": str(value)}
