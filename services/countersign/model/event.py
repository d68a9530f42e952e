"""One recorded fact of a session, on its way to the recorder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from countersign.model.decision import Decision
from countersign.model.principal import Principal


class EventKind(StrEnum):
    """What kind of fact an event states; see ``EventKind`` in event.proto for the exact promises."""

    REQUEST = "request"
    RESPONSE = "response"
    STREAM_EVENT = "stream_event"
    STREAM_END = "stream_end"
    REFUSED = "refused"
    AUDIT_READ = "audit_read"
    TOOLS_CHANGED = "tools_changed"
    TOOLS_ACCEPTED = "tools_accepted"
    TOOLS_FORGOTTEN = "tools_forgotten"
    APPROVAL = "approval"
    SEAL = "seal"
    ERASED = "erased"
    HOLD = "hold"
    REVIEWED = "reviewed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Finding:
    """Places where a mask matched: what, where (a JSON path such as ``$.rows[3].mail``), how often; never the value."""

    label: str
    place: str = ""
    count: int = 1


@dataclass(frozen=True, slots=True)
class Event:
    """See ``Event`` in event.proto: same fields, same units. ``body`` is masked already."""

    event_id: str
    session_id: str
    call_id: str
    kind: EventKind
    time_us: int
    target: str
    method: str
    name: str = ""
    principal: Principal | None = None
    source_address: str = ""
    decision: Decision | None = None
    status: int = 0
    size_bytes: int = 0
    duration_us: int = 0
    findings: tuple[Finding, ...] = ()
    body: bytes = b""
    body_type: str = ""
    reason: str = ""
    traceparent: str = ""
    row_count: int = 0
    values_put_back: bool = False
    request_masked: bool = False
    approval_id: str = ""
    continues: str = ""
    relations: tuple[str, ...] = ()
    other_lines: str = ""
