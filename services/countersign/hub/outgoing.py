"""What the hub answers: a head, then bytes; and events as they stand in a stream. Pure."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TypeAlias

from countersign.hub.peers import Refused
from countersign.mcp.replies import EVENTS_TYPE, Reply, error_json

# In JSON text only blanks between tokens can be one, and a bare carriage return ends a line of a stream.
_LINE_END = re.compile("\r\n|[\r\n]")
_RETRY = re.compile(rb"^retry: ?(\d{1,9})\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers; ``streams`` where events follow, between which it may be quiet for long."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    streams: bool = False


Outgoing: TypeAlias = AsyncGenerator[Head | bytes, None]
"""A head, then the pieces of the body."""

STREAM = Head(200, (("content-type", EVENTS_TYPE),), streams=True)


async def whole(reply: Reply) -> Outgoing:
    """Answer with a whole reply."""
    yield Head(reply.status, (("content-type", reply.content_type), *reply.headers))
    yield reply.body


def refusal(refused: Refused, id_json: str) -> Reply:
    """Answer as the gateway did inside.

    A 401 would have clients throw away a token that is good: where it is one session with a target that was revoked,
    the status is 403.
    """
    if refused.status == 401 and not refused.everywhere:
        return Reply(403, error_json(id_json, refused.code, refused.message).encode())
    headers = (("www-authenticate", refused.challenge),) if refused.challenge else ()
    body = error_json(id_json, refused.code or -32603, refused.message or "refused").encode()
    return Reply(refused.status, body, headers=headers)


def event(data: str, event_id: str = "", raw: bytes = b"") -> bytes:
    """Write one event; ``raw`` is the one that it stands for, whose ``retry`` it keeps."""
    found = _RETRY.search(raw)
    lines = [f"id: {event_id}"] if event_id else []
    lines += [f"retry: {found[1].decode()}"] if found else []
    lines += ["event: message", *(f"data: {line}" for line in _LINE_END.split(data))]
    return "\n".join([*lines, "", ""]).encode()
