"""What the hub answers by itself because no target gets it: on the record before its caller hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from countersign.hub.inside import Away, Caller, Inside, TooLong
from countersign.hub.peers import Peers, Refused
from countersign.mcp import HttpRequest
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE
from countersign.model.door import DISMISSED_HEADER

_ON_RECORD = 202
# All by which the request is read there as it was here: what else its caller sent could make its head too long inside.
_READ = ("last-event-id", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id")

_LONGEST_REASON = 200


class Unsent(Exception):
    """The target was asked nothing of this: no way to it was found, or the request was too long for it.

    ``cause`` says what its caller is told.
    """

    def __init__(self, cause: Away | Refused) -> None:
        too_long = "in its target's words it is too long"
        super().__init__(too_long if isinstance(cause, TooLong) else "no way was found to the target that it is for")
        self.cause = cause


class Dismissals:
    """Has authz record them, through Envoy's inner listener and with the caller's own token, as all that is asked."""

    def __init__(self, inside: Inside, peers: Peers) -> None:
        self._inside = inside
        self._peers = peers

    async def record(self, caller: Caller, http: HttpRequest, status: int, reason: str) -> None:
        """Return when it is durable that this request is answered with ``status``, and why; only then answer so.

        ``reason`` is a text of the hub's own, of which no part is a caller's or a target's. Raises ``Refused`` with
        503 when it cannot be recorded, or with what else is wrong with the caller by now, and ``Away``. Who hangs up
        does not end it, and is not let go of before.
        """
        recording = asyncio.ensure_future(self._record(caller, http, status, reason))
        try:
            await asyncio.shield(recording)
        except asyncio.CancelledError:
            await asyncio.wait({recording})
            if not recording.cancelled():
                # Nobody hears of it any more.
                recording.exception()
            raise

    async def answers(self, caller: Caller, version: str, answers: Collection[tuple[str, str]], reason: str) -> None:
        """Record what a client answered by result and what no target gets for all that; see ``record``.

        ``answers`` are the JSON texts of the ids and of the results, ``version`` is the session's.
        """
        headers = {"mcp-protocol-version": version}
        for id_json, result_json in answers:
            body = f'{{"jsonrpc":"2.0","id":{id_json},"result":{result_json}}}'.encode()
            await self.record(caller, HttpRequest("POST", headers, body), _ON_RECORD, reason)

    async def _record(self, caller: Caller, http: HttpRequest, status: int, reason: str) -> None:
        headers = {name: http.headers[name] for name in _READ if name in http.headers}
        headers["accept"] = f"{JSON_TYPE}, {EVENTS_TYPE}"
        if http.verb == "POST":
            headers["content-type"] = JSON_TYPE
        headers[DISMISSED_HEADER] = f"{status} {reason.encode('ascii', 'replace').decode()[:_LONGEST_REASON]}"
        async with self._inside.note(caller, http.verb, headers, http.body) as inner:
            if inner.status != _ON_RECORD:
                raise await self._peers.refused(inner)
