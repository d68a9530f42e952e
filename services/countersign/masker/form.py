"""What kind of answer a response is, judged by its head alone; and the head that the caller gets. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from countersign.masker.envoy import Head, HeadChange


class Form(Enum):
    """How an answer is treated."""

    OURS = auto()  # Envoy or authz answered; no target was asked
    LOST = auto()  # a target was asked and Envoy answered in its place: it is down, or too slow
    EMPTY = auto()  # no body
    JSON = auto()  # buffered whole, masked, recorded, released
    TEXT = auto()  # likewise, as plain text
    EVENTS = auto()  # released event by event
    REFUSED = auto()  # withheld


@dataclass(frozen=True, slots=True)
class Treatment:
    """An answer's form, and for ``REFUSED`` and ``LOST`` why (safe to record and to show)."""

    form: Form
    reason: str = ""


_JSON = "application/json"
_EVENTS = "text/event-stream"
_CANONICAL = {_JSON: "application/json", _EVENTS: "text/event-stream"}
_CHARSET = re.compile(r'charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
# Headers of a target that reach the caller, and what they may hold; all others are removed, since a header is as good
# a way out as a body. Mcp-Session-Id is replaced by its sealed form.
_PASSED = {
    "mcp-protocol-version": re.compile(r"\d{4}-\d{2}-\d{2}\Z"),
    "retry-after": re.compile(r"\d{1,6}\Z"),
    "allow": re.compile(r"[A-Z]{3,7}(, ?[A-Z]{3,7}){0,9}\Z"),
}
SESSION_HEADER = "mcp-session-id"


def treatment(head: Head) -> Treatment:
    """Say how to treat the answer with this head. Whatever is not surely understood is refused."""
    if not head.from_target:
        return Treatment(Form.OURS) if head.handoff is None else Treatment(Form.LOST, _why_lost(head))
    if head.handoff is None:
        return Treatment(Form.REFUSED, "the answer belongs to no judged call")
    if head.status in (401, 407):
        return Treatment(Form.REFUSED, "the target refused the gateway's credential")
    if not (200 <= head.status < 300 or 400 <= head.status < 600):
        return Treatment(Form.REFUSED, f"the target answered with status {head.status}")
    encoding = head.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        return Treatment(Form.REFUSED, "the target encoded its answer although it was asked not to")
    content_type = head.headers.get("content-type", "")
    if head.ends or head.headers.get("content-length") == "0" or (not content_type and _needs_no_body(head)):
        return Treatment(Form.EMPTY)
    by_type = _by_content_type(content_type)
    if by_type.form is Form.TEXT and head.status < 400 and any(call.id_json for call in head.handoff.calls):
        # As text, a listing would pass unfiltered.
        return Treatment(Form.REFUSED, "the target answered a call with plain text")
    return by_type


def _needs_no_body(head: Head) -> bool:
    """Whether no body is to be expected: Node announces chunks, and no type, for those that are empty."""
    ends_session = head.handoff is not None and [call.method for call in head.handoff.calls] == ["DELETE"]
    return head.status == 202 or (ends_session and head.status < 300)


def _why_lost(head: Head) -> str:
    # The details may name addresses of the inside: keep only Envoy's own word for what happened.
    word = re.match(r"[a-z_]+", head.details)
    return f"no answer from the target ({word.group() if word else 'unknown'})"


def _by_content_type(content_type: str) -> Treatment:
    media, _, parameters = content_type.partition(";")
    media = media.strip().lower()
    if any(charset.lower() not in ("utf-8", "us-ascii") for charset in _CHARSET.findall(parameters)):
        return Treatment(Form.REFUSED, "the answer's charset is not UTF-8")
    if media == _JSON:
        return Treatment(Form.JSON)
    if media == _EVENTS:
        return Treatment(Form.EVENTS)
    if media in ("text/plain", "text/html"):
        return Treatment(Form.TEXT)
    return Treatment(Form.REFUSED, "the answer's content type cannot be masked")


def change(head: Head, form: Form, sealed_session: str | None) -> HeadChange:
    """Return the change that makes the target's head fit to be released: few headers, with values we know."""
    passed = {name for name, allowed in _PASSED.items() if allowed.match(head.headers.get(name, ""))}
    media = head.headers.get("content-type", "").partition(";")[0].strip().lower()
    given = [("cache-control", "no-store"), ("x-content-type-options", "nosniff")]
    if form in (Form.JSON, Form.EVENTS):
        given.append(("content-type", _CANONICAL[media]))
    elif form is Form.TEXT:
        given.append(("content-type", "text/plain; charset=utf-8"))
    if sealed_session is not None:
        given.append((SESSION_HEADER, sealed_session))
    kept = passed | {name for name, _ in given}
    removed = tuple(name for name in head.headers if not name.startswith(":") and name not in kept)
    return HeadChange(remove=removed, set=tuple(given))
