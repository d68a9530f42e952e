"""Events as OCSF: API Activity (6003) of schema 1.5.0 with the profile ``security_control`` (https://schema.ocsf.io).

What OCSF has no attribute for stands in ``unmapped``, in the record's own words.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from countersign.api.recorder.v1 import event_pb2
from countersign.exports.facts import Fact

VERSION: Final = "1.5.0"
"""The schema's version; later ones of OCSF 1 take the same events."""

PROFILES: Final = ("security_control",)
_CLASS: Final = 6003
_CATEGORY: Final = 6
_UNKNOWN, _CREATE, _READ, _UPDATE, _DELETE, _OTHER = 0, 1, 2, 3, 4, 99
_ACTIVITIES: Mapping[int, str] = MappingProxyType(
    {_CREATE: "Create", _READ: "Read", _UPDATE: "Update", _DELETE: "Delete"}
)
_SEVERITIES: Mapping[int, str] = MappingProxyType({1: "Informational", 2: "Low", 3: "Medium", 4: "High"})
_ACTIVITY_OF_KIND: Mapping[int, int] = MappingProxyType(
    {
        event_pb2.EVENT_KIND_AUDIT_READ: _READ,
        event_pb2.EVENT_KIND_TOOLS_CHANGED: _UPDATE,
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED: _UPDATE,
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN: _DELETE,
        event_pb2.EVENT_KIND_ERASED: _DELETE,
        event_pb2.EVENT_KIND_HOLD: _UPDATE,
        event_pb2.EVENT_KIND_REVIEWED: _CREATE,
        event_pb2.EVENT_KIND_REVOKED: _UPDATE,
    }
)
_USER = 1
_RESOURCES: Mapping[str, str] = MappingProxyType(
    {"tools/call": "tool", "prompts/get": "prompt", "resources/read": "resource", "resources/subscribe": "resource"}
)
# The text is a line of a file, and a line of a file ends with one.
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True)

Json = dict[str, object]


def line(fact: Fact, product_version: str) -> bytes:
    """Return one JSON line, newline and all: ASCII, so that nothing in it can break the line."""
    return (_ENCODER.encode(event(fact, product_version)) + "\n").encode("ascii")


def event(fact: Fact, product_version: str) -> Json:
    """Return the event as OCSF."""
    recorded = fact.event
    activity, name = _activity(fact)
    action, disposition = _control(fact)
    status = _status(fact)
    told: Json = {
        "class_uid": _CLASS,
        "class_name": "API Activity",
        "category_uid": _CATEGORY,
        "category_name": "Application Activity",
        "activity_id": activity,
        "activity_name": name,
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"API Activity: {_ACTIVITIES.get(activity, 'Other')}",
        "severity_id": int(fact.severity),
        "severity": _SEVERITIES[fact.severity],
        "time": recorded.time_us // 1_000,
        "message": fact.message,
        "metadata": _metadata(fact, product_version),
        "actor": _actor(fact),
        "api": _api(fact),
        "src_endpoint": _source(recorded.source_address),
        "status_id": status[0],
        "status": status[1],
        "action_id": action[0],
        "action": action[1],
        "disposition_id": disposition[0],
        "disposition": disposition[1],
        "is_alert": fact.severity >= 3,
        "unmapped": _unmapped(fact),
    }
    if recorded.target:
        told["dst_endpoint"] = {"svc_name": recorded.target}
    if recorded.duration_us:
        told["duration"] = recorded.duration_us // 1_000
    if recorded.status:
        told["status_code"] = str(recorded.status)
    if fact.why:
        told["status_detail"] = fact.why
    if recorded.name:
        told["resources"] = [{"name": recorded.name, "type": _RESOURCES.get(recorded.method, "other")}]
    if recorded.decision.policy_version:
        told["policy"] = {"name": "gateway.yaml", "version": recorded.decision.policy_version, "is_applied": True}
    if recorded.decision.rules:
        told["authorizations"] = [
            {"decision": fact.outcome, "policy": {"name": rule, "version": recorded.decision.policy_version}}
            for rule in recorded.decision.rules
        ]
    if found := fact.found:
        side = "request" if fact.is_call else "response"
        told["enrichments"] = [
            {
                "name": f"api.{side}.data",
                "value": one.label,
                "type": "masked",
                "data": {"count": one.count, "places": list(one.places)},
            }
            for one in found
        ]
    return told


def _activity(fact: Fact) -> tuple[int, str]:
    recorded = fact.event
    activity = _ACTIVITY_OF_KIND.get(recorded.kind)
    if activity is None:
        verb = recorded.method.rpartition("/")[2]
        activity = _READ if verb in ("list", "read", "get") else _OTHER
        if recorded.method == "DELETE":
            activity = _DELETE
    # What has no word of OCSF's is called by its own (activity_id 99).
    return activity, _ACTIVITIES.get(activity) or recorded.method or fact.kind


def _control(fact: Fact) -> tuple[tuple[int, str], tuple[int, str]]:
    """Return action and disposition, each as number and word."""
    nobody = fact.who is None or not fact.who.subject
    match fact.outcome:
        case "allow":
            modified = fact.event.request_masked or fact.event.values_put_back
            approved = bool(fact.event.approval_id)
            return (4, "Modified") if modified else (1, "Allowed"), (8, "Approved") if approved else (1, "Allowed")
        case "deny":
            return (2, "Denied"), (2, "Blocked")
        case "refused":
            return (2, "Denied"), (26, "Unauthorized") if nobody else (25, "Rejected")
        case "approve":
            return (2, "Denied"), (14, "Delayed")
    if fact.event.findings:
        return (4, "Modified"), (17, "Logged")
    return (3, "Observed"), (17, "Logged")


def _status(fact: Fact) -> tuple[int, str]:
    if fact.waits:
        return 99, "Waiting for approval"
    return (2, "Failure") if fact.failed else (1, "Success")


def _metadata(fact: Fact, product_version: str) -> Json:
    return {
        "version": VERSION,
        "profiles": list(PROFILES),
        "product": {"name": "Countersign", "vendor_name": "Countersign", "version": product_version},
        "uid": fact.event.event_id,
        "correlation_uid": fact.event.call_id,
        "sequence": fact.index,
        "event_code": fact.kind,
        "log_name": "record",
        "logged_time": fact.recorded_us // 1_000,
        "original_time": str(fact.event.time_us),
    }


def _actor(fact: Fact) -> Json:
    session: Json = {"uid": fact.event.session_id}
    told: Json = {"session": session}
    who = fact.who
    if who is None or not who.subject:
        return told
    if who.issuer:
        session["issuer"] = who.issuer
    if who.token_id:
        session["credential_uid"] = who.token_id
    user: Json = {"uid": who.subject, "name": who.subject, "type_id": _USER if who.kind == "person" else _OTHER}
    user["type"] = "User" if who.kind == "person" else who.kind.capitalize()
    if who.groups:
        user["groups"] = [{"name": group} for group in who.groups if group]
    told["user"] = user
    if who.actors:
        told["app_uid"] = who.actors[0]
    return told


def _api(fact: Fact) -> Json:
    recorded = fact.event
    told: Json = {"operation": recorded.method or fact.kind}
    if recorded.target:
        told["service"] = {"name": recorded.target}
    request: Json = {"uid": recorded.call_id}
    response: Json = {"code": recorded.status} if recorded.status else {}
    if recorded.reason and not fact.is_call:
        response["error_message"] = recorded.reason
    if fact.body:
        # As text: SIEMs make a column of every key that they meet.
        (request if fact.is_call else response)["data"] = fact.body
    told["request"] = request
    if response:
        told["response"] = response
    return told


def _source(address: str) -> Json:
    try:
        return {"ip": str(ipaddress.ip_address(address))}
    except ValueError:
        # On answers, and what the gateway did of itself.
        return {"name": address or "unknown"}


def _unmapped(fact: Fact) -> Json:
    recorded = fact.event
    told: Json = {
        "kind": fact.kind,
        "session_id": recorded.session_id,
        "session_sequence": fact.sequence,
        "size_bytes": recorded.size_bytes,
    }
    optional: Json = {
        "outcome": fact.outcome,
        "principal_kind": fact.who.kind if fact.who is not None else "",
        "actors": list(fact.who.actors) if fact.who is not None else [],
        "token_subject": fact.who.token_subject if fact.who is not None else "",
        "signed_in": fact.who.signed_in if fact.who is not None else "",
        "session_subject": fact.owner.subject if fact.owner is not None else "",
        "session_issuer": fact.owner.issuer if fact.owner is not None else "",
        "masks": list(recorded.decision.masks),
        "row_count": recorded.row_count,
        "request_masked": recorded.request_masked,
        "values_put_back": recorded.values_put_back,
        "approval_id": recorded.approval_id,
        "continues": recorded.continues,
        "relations": list(recorded.relations),
        "other_lines": recorded.other_lines,
        "traceparent": recorded.traceparent,
        "body_type": recorded.body_type if recorded.body else "",
        "body_erased": fact.body_erased,
        "body_size_bytes": len(recorded.body) if fact.body_is_cut else 0,
    }
    if recorded.HasField("seal"):
        seal = recorded.seal
        optional["seal"] = {
            "event_count": seal.event_count,
            "root": seal.root.hex(),
            "unanswered_count": seal.unanswered_count,
        }
    return told | {name: value for name, value in optional.items() if value}
