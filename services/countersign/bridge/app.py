"""Streamable HTTP for Envoy, on behalf of servers that know standard input and output alone.

Sources: MCP 2025-03-26 to 2025-11-25 and 2026-07-28, Transports.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from countersign.bridge.conversation import Ended, TooMany
from countersign.bridge.process import CannotStart
from countersign.bridge.refusals import KnownLegacy, error, failure, unknown_session
from countersign.bridge.requests import (
    SESSION_ID_HEADER,
    NotVouchedFor,
    Posted,
    era_of,
    read_post,
    target_at,
    whose,
)
from countersign.bridge.sessions import Full, Session, Sessions, Whose
from countersign.bridge.streams import Event, Stream
from countersign.config import GatewayConfig, Target
from countersign.config.types import Processes
from countersign.mcp import Era, Failure, McpRefused, MessageKind, refused
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE, result_json
from countersign.runtime.sealing import Sealer
from countersign.runtime.streaming import COMMENT, KEEPALIVE_S, hung_up, paced

log = logging.getLogger(__name__)

_ID = "countersign.id_json"


class App:
    """Serves every stdio target at its own path; see ``countersign.config.types.Stdio.path``.

    ``is_revoked`` is asked of the caller of each request.
    """

    def __init__(
        self,
        sessions: Sessions,
        sealer: Sealer,
        config: Callable[[], GatewayConfig],
        *,
        is_revoked: Callable[[Whose], bool],
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._sessions = sessions
        self._sealer = sealer
        self._config = config
        self._is_revoked = is_revoked
        self._keepalive_s = keepalive_s
        self._legacy_only = KnownLegacy()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        try:
            await self._served(request, receive, send)
        except McpRefused as problem:
            reply = refused(problem)
            await _answer(send, reply.status, reply.body)
        except NotVouchedFor:
            await _answer(send, *failure(Failure.FORBIDDEN, "come through the gateway"))
        except Full as full:
            retry = (("retry-after", str(max(1, round(full.retry_s)))),)
            await _answer(send, *failure(Failure.UNAVAILABLE, str(full), _id_of(scope)), headers=retry)
        except CannotStart as problem:
            await _answer(send, *failure(Failure.BAD_GATEWAY, str(problem), _id_of(scope)))
        except TooMany:
            text = "too many calls of this session wait for the server"
            await _answer(send, *failure(Failure.UNAVAILABLE, text, _id_of(scope)))
        except Ended:
            await _answer(send, *unknown_session())

    async def _served(self, request: Request, receive: Receive, send: Send) -> None:
        config = self._config()
        who = whose(request.headers, self._sealer)
        target = target_at(request.url.path, config)
        if target is None:
            # Envoy took up an edit before us or after us.
            return await _answer(send, *failure(Failure.UNAVAILABLE, "this target is not in force yet"))
        if self._is_revoked(who):
            return await _answer(send, *failure(Failure.FORBIDDEN, "the caller was revoked"))
        era = era_of(request.headers)
        if request.method == "POST":
            posted = read_post(await request.body(), config.limits.json_depth)
            request.scope[_ID] = posted.id_json if posted.kind is MessageKind.REQUEST else ""
            if era is Era.MODERN:
                return await self._modern(target, who, posted, receive, send)
            return await self._legacy(target, who, request, posted, receive, send)
        if era is Era.MODERN or request.method not in ("GET", "DELETE"):
            return await _answer(send, 405, error("", -32600, "only POST is served"), headers=(("allow", "POST"),))
        session = self._sessions.find(request.headers.get(SESSION_ID_HEADER, ""), target, who)
        if session is None:
            return await _answer(send, *unknown_session())
        if request.method == "DELETE":
            self._sessions.end(session)
            return await _answer(send, 200, b"")
        return await self._listen(session, request.headers.get("last-event-id", ""), receive, send)

    async def _modern(self, target: Target, who: Whose, posted: Posted, receive: Receive, send: Send) -> None:
        known = self._legacy_only.answer(target, posted)
        if known is not None:
            return await _answer(send, *known)
        session = await self._sessions.modern(target, who)
        if posted.kind is MessageKind.NOTIFICATION:
            await session.conversation.tell(session.party, posted.document, posted.method)
            return await _answer(send, 202, b"")
        if posted.kind is not MessageKind.REQUEST:
            return await _answer(send, 400, error("", -32600, "servers of this protocol version ask nothing"))
        stream = session.new_stream()
        try:
            own = await session.conversation.ask(session.party, posted.document, posted.id_json, posted.method, stream)
            try:
                last = await self._stream(stream, 0, receive, send, named=False)
            finally:
                # Whoever hangs up has cancelled; after the answer there is nothing to cancel.
                session.conversation.cancel(own, "the client hung up")
        finally:
            session.drop(stream)
        if last is not None and self._legacy_only.learn(target, posted, last):
            conversation = session.conversation
            if conversation.answered == 1 and not conversation.busy(session.party):
                # It was asked nothing else, and nothing else will come of it.
                self._sessions.end(session)
        return None

    async def _legacy(
        self, target: Target, who: Whose, request: Request, posted: Posted, receive: Receive, send: Send
    ) -> None:
        given = request.headers.get(SESSION_ID_HEADER, "")
        if posted.method == "initialize" and posted.kind is MessageKind.REQUEST:
            return await self._initialize(target, who, posted, receive, send)
        if not given:
            return await _answer(send, 400, error(posted.id_json, -32600, "initialize first: there is no session"))
        session = self._sessions.find(given, target, who)
        if session is None:
            return await _answer(send, *unknown_session())
        shared = session.stdio.processes is Processes.SHARED
        if posted.kind is MessageKind.RESPONSE:
            if not await session.conversation.answer(session.party, posted.document, posted.id_json):
                return await _answer(send, 400, error("", -32600, "the server does not wait for this answer"))
            return await _answer(send, 202, b"")
        if posted.kind is MessageKind.NOTIFICATION:
            # One that is shared was told already.
            if not (shared and posted.method != "notifications/cancelled"):
                await session.conversation.tell(session.party, posted.document, posted.method)
            return await _answer(send, 202, b"")
        if shared and posted.method == "logging/setLevel":
            # It would be set for all, and nobody is told of what is logged.
            return await _answer(send, 200, result_json(posted.id_json, "{}").encode())
        stream = session.new_stream()
        try:
            await session.conversation.ask(session.party, posted.document, posted.id_json, posted.method, stream)
            await self._stream(stream, 0, receive, send, named=True)
        finally:
            # Hanging up is no cancelling: what comes may be asked for by the id of what came before, if any did.
            session.keep(stream)
        return None

    async def _initialize(self, target: Target, who: Whose, posted: Posted, receive: Receive, send: Send) -> None:
        session = await self._sessions.open(target, who)
        named = ((SESSION_ID_HEADER, session.session_id),)
        if session.conversation.greeting:
            body = result_json(posted.id_json, session.conversation.greeting).encode()
            return await _answer(send, 200, body, headers=named)
        stream = session.new_stream()
        begun = False
        try:
            await session.conversation.ask(session.party, posted.document, posted.id_json, posted.method, stream)
            last = await self._stream(stream, 0, receive, send, named=True, headers=named)
            begun = last is not None and last.status == 200
        finally:
            session.drop(stream)
            if not begun:
                self._sessions.end(session)
        return None

    async def _listen(self, session: Session, last_event: str, receive: Receive, send: Send) -> None:
        number, _, after = last_event.partition("-")
        stream, start = session.party.standing, 0
        if number.isdecimal() and after.isdecimal() and len(last_event) <= 32:
            found = session.stream(int(number))
            if found is not None:
                stream, start = found, int(after)
        await self._begin(send, 200, EVENTS_TYPE)
        await self._stream(stream, start, receive, send, named=True, begun=True)
        session.keep(stream)

    async def _stream(
        self,
        stream: Stream,
        after: int,
        receive: Receive,
        send: Send,
        *,
        named: bool,
        begun: bool = False,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> Event | None:
        """Send what comes: as JSON if that is the answer and comes alone, else as events, which get ids if ``named``.

        Returns the last event, or ``None`` when the client went before it.
        """
        gone = asyncio.ensure_future(hung_up(receive))
        try:
            async with aclosing(paced(stream.read(after), self._keepalive_s, gone)) as events:
                async for event in events:
                    if event is not None and event.last and not begun:
                        await _answer(send, event.status, event.data, headers=headers)
                        return event
                    if not begun:
                        begun = True
                        await self._begin(send, 200, EVENTS_TYPE, headers)
                    written = COMMENT if event is None else _written(stream, event, named=named)
                    stream.shown = stream.shown or (named and event is not None)
                    await send({"type": "http.response.body", "body": written, "more_body": True})
                    if event is not None and event.last:
                        await send({"type": "http.response.body", "body": b"", "more_body": False})
                        return event
            if not gone.done():
                # The session ended, or somebody else reads on.
                if not begun:
                    await _answer(send, *failure(Failure.BAD_GATEWAY, "the session ended"))
                else:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            return None
        finally:
            gone.cancel()

    async def _begin(self, send: Send, status: int, kind: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        await send(_head(status, kind, headers))
        if kind == EVENTS_TYPE:
            # Now, not with the first event: a client may wait for the head before it does anything else.
            await send({"type": "http.response.body", "body": COMMENT, "more_body": True})


def _id_of(scope: Scope) -> str:
    """The id of the request at hand, as far as it was read."""
    return str(scope.get(_ID, ""))


def _written(stream: Stream, event: Event, *, named: bool) -> bytes:
    name = b"id: %d-%d\n" % (stream.number, event.number) if named else b""
    return b"event: message\n" + name + b"data: " + event.data + b"\n\n"


def _head(status: int, kind: str, headers: tuple[tuple[str, str], ...], length: int | None = None) -> Message:
    listed = [(b"content-type", kind.encode())] if kind else []
    if length is not None:
        listed.append((b"content-length", b"%d" % length))
    listed += [(name.encode(), value.encode()) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": listed}


async def _answer(send: Send, status: int, body: bytes, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
    await send(_head(status, JSON_TYPE if body else "", headers, len(body)))
    await send({"type": "http.response.body", "body": body, "more_body": False})
