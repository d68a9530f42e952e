"""What the hub answers by itself because no target gets it: on the record before its caller hears of it."""

from __future__ import annotations

from countersign.hub.inside import Away, Caller, Inside
from countersign.hub.peers import Peers, Refused
from countersign.mcp import HttpRequest
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE
from countersign.model.door import DISMISSED_HEADER

_ON_RECORD = 202
# All by which the request is read there as it was here: what else its caller sent could make its head too long inside.
_READ = ("last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id")

_LONGEST_REASON = 200


class Unsent(Exception):
    """No way to the target was found, so it was asked nothing of this: ``cause`` says what its caller is told."""

    def __init__(self, cause: Away | Refused) -> None:
        super().__init__("no way was found to the target that it is for")
        self.cause = cause


class Dismissals:
    """Has authz record them, through Envoy's inner listener and with the caller's own token, as all that is asked."""

    def __init__(self, inside: Inside, peers: Peers) -> None:
        self._inside = inside
        self._peers = peers

    async def record(self, caller: Caller, http: HttpRequest, status: int, reason: str) -> None:
        """Return when it is durable that this request is answered with ``status``, and why; only then answer so.

        ``reason`` is a text of the hub's own, of which no part is a caller's or a target's. Raises ``Refused`` with
        503 when it cannot be recorded, or with what else is wrong with the caller by now, and ``Away``.
        """
        headers = {name: http.headers[name] for name in _READ if name in http.headers}
        headers["accept"] = f"{JSON_TYPE}, {EVENTS_TYPE}"
        if http.verb == "POST":
            headers["content-type"] = JSON_TYPE
        headers[DISMISSED_HEADER] = f"{status} {reason.encode('ascii', 'replace').decode()[:_LONGEST_REASON]}"
        async with self._inside.note(caller, http.verb, headers, http.body) as inner:
            if inner.status != _ON_RECORD:
                raise await self._peers.refused(inner)
