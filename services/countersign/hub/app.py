"""The one door over HTTP, behind Envoy: who calls is what authz vouches for, and whoever hangs up is let go of."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from starlette.types import Receive, Scope, Send

from countersign.hub.door import Door
from countersign.hub.inside import Caller
from countersign.hub.outgoing import Head, Outgoing, whole
from countersign.mcp import Failure, HttpRequest, failed
from countersign.model.door import PRINCIPAL_HEADER, SOURCE_HEADER
from countersign.runtime.sealing import Sealer, Unsealable
from countersign.runtime.streaming import COMMENT, KEEPALIVE_S, hung_up, paced

log = logging.getLogger(__name__)

MOST_OF_ONE = 2_048
"""Requests of one principal under way at once, streams among them: half of what the hub takes."""


class HubApp:
    """An ASGI application. ``most_bytes`` is how long a request may be, which Envoy bounds before.

    Of one principal it takes ``most_of_one`` requests at once, so that nobody keeps all others out.
    """

    def __init__(
        self,
        door: Door,
        sealer: Sealer,
        most_bytes: Callable[[], int],
        *,
        keepalive_s: float = KEEPALIVE_S,
        most_of_one: int = MOST_OF_ONE,
    ) -> None:
        self._door = door
        self._sealer = sealer
        self._most_bytes = most_bytes
        self._keepalive_s = keepalive_s
        self._most_of_one = most_of_one
        self._under_way: Counter[tuple[str, str]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        body = await _body(receive, self._most_bytes())
        if body is None:
            return
        work = asyncio.ensure_future(self._serve(scope, body, send))
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _serve(self, scope: Scope, body: bytes, send: Send) -> None:
        answer = self._answer(scope, body)
        try:
            await self._send(answer, send)
        finally:
            await answer.aclose()

    def _answer(self, scope: Scope, body: bytes) -> Outgoing:
        headers: dict[str, str] = {}
        for raw, value in scope["headers"]:
            name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
            headers[name] = f"{headers[name]},{text}" if name in headers else text
        try:
            caller = Caller(
                self._sealer.open_principal(headers.get(PRINCIPAL_HEADER, "")),
                headers.get("authorization", ""),
                headers.get(SOURCE_HEADER, ""),
                headers.get("traceparent", ""),
            )
        except Unsealable:
            return whole(failed(Failure.FORBIDDEN, "come through the gateway"))
        return self._counted(caller, HttpRequest(scope["method"], headers, body))

    async def _counted(self, caller: Caller, http: HttpRequest) -> Outgoing:
        whose = caller.principal.issuer, caller.principal.subject
        if self._under_way[whose] >= self._most_of_one:
            reply = failed(Failure.UNAVAILABLE, "too many requests of this caller are under way")
            async for item in whole(replace(reply, headers=(("retry-after", "5"),))):
                yield item
            return
        self._under_way[whose] += 1
        try:
            async with aclosing(self._door.answer(caller, http)) as answer:
                async for item in answer:
                    yield item
        finally:
            self._under_way[whose] -= 1
            if not self._under_way[whose]:
                del self._under_way[whose]

    async def _send(self, answer: Outgoing, send: Send) -> None:
        head = await anext(answer)
        if not isinstance(head, Head):
            raise TypeError("an answer begins with its head")
        headers = [(name.encode(), value.encode("latin-1")) for name, value in head.headers]
        await send({"type": "http.response.start", "status": head.status, "headers": headers})
        pieces: AsyncGenerator[Head | bytes | None, None]
        pieces = paced(answer, self._keepalive_s) if head.streams else answer
        async with aclosing(pieces):
            async for piece in pieces:
                if not isinstance(piece, Head):
                    body = COMMENT if piece is None else piece
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _body(receive: Receive, most_bytes: int) -> bytes | None:
    """Read the request; ``None`` when its sender hung up, or it is longer than Envoy would have let pass."""
    found = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        found += message.get("body", b"")
        if len(found) > most_bytes:
            return None
        if not message.get("more_body", False):
            return bytes(found)
