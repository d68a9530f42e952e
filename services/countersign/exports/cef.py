"""Events as CEF (ArcSight Common Event Format, version 0) in syslog messages (RFC 5424), framed for TLS (RFC 5425)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from countersign.exports.facts import Fact, Severity
from countersign.model.visible import visible

# RFC 5425, 4.3.1: receivers should take 8192 bytes.
MOST_BYTES = 8_000
_FIELD_CHARACTERS = 300
_FACILITY = 13  # log audit (RFC 5424, table 1)
_SYSLOG: Mapping[Severity, int] = MappingProxyType(
    {Severity.INFORMATIONAL: 6, Severity.LOW: 5, Severity.MEDIUM: 4, Severity.HIGH: 3}
)
_CEF: Mapping[Severity, int] = MappingProxyType(
    {Severity.INFORMATIONAL: 1, Severity.LOW: 3, Severity.MEDIUM: 6, Severity.HIGH: 9}
)


def frame(fact: Fact, hostname: str, product_version: str) -> bytes:
    """Return the message with its length before it (RFC 5425, 4.3: octet counting)."""
    message = syslog(fact, hostname, product_version)
    return b"%d %s" % (len(message), message)


def syslog(fact: Fact, hostname: str, product_version: str) -> bytes:
    """Return one RFC 5424 message. Its text has no byte order mark: that comes before no CEF (6.4, MSG-ANY)."""
    priority = _FACILITY * 8 + _SYSLOG[fact.severity]
    when = datetime.fromtimestamp(fact.event.time_us // 1_000_000, UTC)
    stamp = f"{when:%Y-%m-%dT%H:%M:%S}.{fact.event.time_us % 1_000_000:06}Z"
    head = f"<{priority}>1 {stamp} {_name(hostname)} countersign - {fact.kind} - "
    return head.encode() + cef(fact, product_version, MOST_BYTES - len(head.encode()))


def cef(fact: Fact, product_version: str, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the CEF text, UTF-8, on one line; what does not fit is left away, the least important field first."""
    name = " ".join(part for part in (fact.kind, fact.event.method, fact.outcome) if part)
    fields = ("Countersign", "countersign", product_version, f"{fact.kind}:{fact.outcome}".rstrip(":"), name)
    header = "CEF:0|" + "|".join(_header(field) for field in fields) + f"|{_CEF[fact.severity]}|"
    size = len(header.encode())
    kept: list[str] = []
    for key, value in extension(fact).items():
        text = f"{key}={_extension(value)}"
        size += len(text.encode()) + 1
        if size > most_bytes:
            break
        kept.append(text)
    return (header + " ".join(kept)).encode()


def extension(fact: Fact) -> dict[str, str]:
    """Return the fields by CEF's keys, the most important first; what is empty is left out."""
    event, decision = fact.event, fact.event.decision
    # At most six each of cs and cn; each is named by its label.
    texts = (
        ("session", event.session_id),
        ("rules", ", ".join(decision.rules)),
        ("tool", event.name),
        ("findings", ", ".join(f"{one.label} ({one.count})" for one in fact.found)),
        ("approval", event.approval_id),
        ("policyVersion", decision.policy_version),
    )
    numbers = (("logIndex", fact.index), ("sessionSequence", fact.sequence), ("rows", event.row_count))
    told = {
        "rt": str(event.time_us // 1_000),
        "externalId": event.event_id,
        "act": fact.outcome,
        "outcome": "failure" if fact.failed else "success",
        "suser": fact.who.subject if fact.who is not None else "",
        "suid": fact.who.issuer if fact.who is not None else "",
        "src": event.source_address,
        "dhost": event.target,
        "requestMethod": event.method,
        "app": "MCP",
        "cat": fact.kind,
    }
    for number, (label, count) in enumerate(numbers, 1):
        if count or label != "rows":
            told |= {f"cn{number}": str(count), f"cn{number}Label": label}
    for number, (label, text) in enumerate(texts, 1):
        if text:
            told |= {f"cs{number}": text, f"cs{number}Label": label}
    told |= {
        "reason": fact.why,
        "flexString1": event.call_id,
        "flexString1Label": "call" if event.call_id else "",
        "in": str(event.size_bytes) if event.size_bytes else "",
    }
    return {key: value for key, value in told.items() if value}


def _header(text: str) -> str:
    return _shown(text).replace("\\", "\\\\").replace("|", "\\|")


def _extension(text: str) -> str:
    return _shown(text).replace("\\", "\\\\").replace("=", "\\=")


def _shown(text: str) -> str:
    # Without controls, so that nothing in it ends the line; cut before it is escaped, so that no escape is cut.
    return visible(text[:_FIELD_CHARACTERS])


def _name(hostname: str) -> str:
    """Return a HOSTNAME of RFC 5424: printable ASCII without blanks, at most 255."""
    name = "".join(char for char in hostname if "!" <= char <= "~")[:255]
    return name or "-"
