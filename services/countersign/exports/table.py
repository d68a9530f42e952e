"""Events as CSV (RFC 4180), safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime

from countersign.exports.facts import Fact
from countersign.model.visible import visible

_COLUMNS = (
    *("index", "event_id", "time", "recorded_at", "kind", "session_id", "sequence", "call_id"),
    *("issuer", "subject", "principal_kind", "groups", "actors", "source_address", "target", "method", "name"),
    *("outcome", "rules", "masks", "policy_version", "status", "reason", "findings", "rows", "size_bytes"),
    *("duration_us", "approval_id", "relations", "request_masked", "values_put_back", "continues"),
    # New ones only here: files that were begun before have fewer.
    *("token_subject", "signed_in", "other_lines"),
)
# What spreadsheets take for the beginning of a formula, also where blanks come before it (OWASP, CSV injection).
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def header() -> bytes:
    """Return the first line: the names of the columns."""
    return _line(_COLUMNS)


def line(fact: Fact) -> bytes:
    """Return one line, ended by CR and LF. No cell holds a line break: controls are written out (``\\n``)."""
    event, who, decision = fact.event, fact.who, fact.event.decision
    texts = (
        *(str(fact.index), event.event_id, _time(event.time_us), _time(fact.recorded_us), fact.kind),
        *(event.session_id, str(fact.sequence), event.call_id),
        *((who.issuer, who.subject, who.kind, _list(who.groups), _list(who.actors)) if who else ("",) * 5),
        *(event.source_address, event.target, event.method, event.name, fact.outcome),
        *(_list(decision.rules), _list(decision.masks), decision.policy_version),
        *(str(event.status or ""), fact.why, _list([f"{one.label} ({one.count})" for one in fact.found])),
        *(str(event.row_count or ""), str(event.size_bytes), str(event.duration_us or "")),
        *(event.approval_id, _list(event.relations)),
        *("yes" if event.request_masked else "", "yes" if event.values_put_back else "", event.continues),
        *((who.token_subject, who.signed_in) if who else ("",) * 2),
        event.other_lines,
    )
    return _line([defused(text) for text in texts])


def defused(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: what begins like one has an apostrophe before it.

    So has what stands behind a semicolon: where that separates cells, as it does in half of Europe, a new one begins.
    """
    return ";".join([_plain(part) for part in visible(text).split(";")])


def _plain(part: str) -> str:
    return f"'{part}" if part.lstrip(" '\"")[:1] in _FORMULA else part


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()


def _list(texts: Sequence[str]) -> str:
    return "; ".join(texts)


def _time(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%S}.{time_us % 1_000_000:06}Z"
