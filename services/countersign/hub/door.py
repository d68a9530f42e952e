"""What becomes of a request at the one door: answered here, by one target, or by all of them together."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from countersign.config import GatewayConfig, Target
from countersign.hub.asked import About, Asked
from countersign.hub.cursors import NoCursor
from countersign.hub.dismissals import Dismissals, Unsent
from countersign.hub.inside import Away, Caller, TooLong
from countersign.hub.listing import LISTS, Listing
from countersign.hub.outgoing import STREAM, Head, Outgoing, event, refusal, whole
from countersign.hub.peers import Owner, Peers, Refused, Way
from countersign.hub.relay import TELL_S, Relay
from countersign.hub.sessions import NoSession, Sessions
from countersign.hub.streams import Streams, Wanted, goes_on, wanted
from countersign.hub.wording import ABOUT_ONE, replaced, target_of, text_at
from countersign.jsontext import Document, JsonRefused, apply_edits, parse, quote, value_at, value_span
from countersign.mcp import (
    INVALID_PARAMS,
    Era,
    Failure,
    HttpRequest,
    McpRefused,
    MessageKind,
    Reply,
    Request,
    failed,
    read_request,
    refused,
)
from countersign.mcp.eras import META_SUBSCRIPTION, SUPPORTED_VERSIONS
from countersign.mcp.errors import METHOD_NOT_FOUND
from countersign.mcp.means import TASKS_EXTENSION
from countersign.mcp.message import id_text
from countersign.mcp.replies import JSON_TYPE, error_json, result_json
from countersign.model.door import HUB_NAME
from countersign.model.door_names import SEPARATOR, NotNamed, split_handle
from countersign.runtime.aside import Aside

log = logging.getLogger(__name__)

_TTL_MS = 60_000
_INSTRUCTIONS = (
    "Several servers behind one door. Tools and prompts are named SERVER" + SEPARATOR + "NAME, and URIs of resources "
    "SERVER+URI: use the names as they are listed."
)
_INFO = '{"name":"countersign","title":"Countersign, one door for all targets","version":"1"}'
_CAPABILITIES = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"listChanged": True, "subscribe": True},
    "logging": {},
    "completions": {},
}
_OF_THE_HUB = (McpRefused, NoSession, NotNamed, NoCursor, Unsent)
"""What only the hub knows of; what went inside is on record there."""
_TOLD = frozenset({"notifications/cancelled", "notifications/roots/list_changed"})
_NOTHING_OFFERED = "no target gets it: no rule lets its caller use any"
_CONCERNS_NOBODY = "no target gets it: the notification is for none that is under way here"
_NO_RESULT = "no target gets it: the client answered with an error, and the call is not made again"
_GOES_ON_NOWHERE = "the event from which it goes on is of no target that its caller may use: no target is told of it"
_LEFT_OUT = "what it asks for of no target, or of none that its caller may use, was left out"
_T = TypeVar("_T")
_ANSWERED = (*_OF_THE_HUB, Refused, Away)


class Door:
    """Answers requests of callers whom authz vouched for. ``usable`` says what they may use at all.

    What it refuses, or gives to nobody, is on record before it is answered (``dismissals``); all else is recorded
    where targets are asked for it, but what only keeps the connection (``initialize``, ``ping``). Large requests are
    read ``aside``.
    """

    def __init__(
        self,
        config: Callable[[], GatewayConfig],
        usable: Callable[[Caller], list[Target]],
        peers: Peers,
        sessions: Sessions,
        listing: Listing,
        relay: Relay,
        streams: Streams,
        dismissals: Dismissals,
        aside: Aside,
    ) -> None:
        self._config = config
        self._usable = usable
        self._peers = peers
        self._sessions = sessions
        self._listing = listing
        self._relay = relay
        self._streams = streams
        self._dismissals = dismissals
        self._aside = aside

    async def answer(self, caller: Caller, http: HttpRequest) -> Outgoing:
        """Yield the answer: a head, then pieces of the body. What cannot be answered is an error of JSON-RPC."""
        id_json, began = "", False
        try:
            depth = self._config().limits.json_depth
            request = await self._aside.run(len(http.body), lambda: read_request(HUB_NAME, http, max_depth=depth))
            id_json = request.id_json
            async for item in self._answer(caller, http, request):
                began = True
                yield item
        except _ANSWERED as error:
            reply = await self._refusal(caller, http, error, id_json)
            if not began:
                async for item in whole(reply):
                    yield item
            elif id_json:
                # The head is gone: what is left is to end the wait.
                yield event(reply.body.decode())

    async def _refusal(self, caller: Caller, http: HttpRequest, error: Exception, id_json: str) -> Reply:
        reply = _reply(error.cause if isinstance(error, Unsent) else error, id_json)
        if not isinstance(error, _OF_THE_HUB):
            return reply
        try:
            await self._dismissals.record(caller, http, reply.status, f"no target gets it: {_why(error)}")
        except (Refused, Away) as unrecorded:
            return _reply(unrecorded, id_json)
        return reply

    async def _answer(self, caller: Caller, http: HttpRequest, request: Request) -> Outgoing:
        if request.is_batch:
            raise McpRefused(400, -32600, "batches are not taken at the one door")
        message = request.messages[0]
        if request.era is Era.LEGACY and message.call is not None and message.call.method == "initialize":
            return_to, owner = self._sessions.begin(caller.principal, parse(http.body))
            body = result_json(message.id_json, _opened(owner.version))
            head = Head(200, (("content-type", JSON_TYPE), ("mcp-session-id", return_to)))
            yield head
            yield body.encode()
            return
        owner = self._owner(caller, request)
        if message.kind is MessageKind.BARE:
            async for item in self._bare(caller, owner, http):
                yield item
            return
        depth = self._config().limits.json_depth
        document = await self._aside.run(len(http.body), lambda: parse(http.body, max_depth=depth))
        if message.kind is MessageKind.RESPONSE:
            async for item in whole(await self._response(caller, owner, document, http)):
                yield item
            return
        method = text_at(document.root, ("method",))
        params = value_at(document.root, ("params",))
        known = params if isinstance(params, dict) else {}
        asked = Asked(document, method, known, message.id_json, request.era, http.headers)
        if message.kind is MessageKind.NOTIFICATION:
            async for item in whole(await self._notified(caller, owner, asked, http)):
                yield item
        elif method in ABOUT_ONE:
            async for item in self._about_one(caller, owner, asked):
                yield item
        elif method == "subscriptions/listen" and request.era is Era.MODERN:
            async for item in self._listen(caller, owner, asked, http):
                yield item
        else:
            async for item in whole(await self._here(caller, owner, asked, http)):
                yield item

    def _owner(self, caller: Caller, request: Request) -> Owner:
        if request.era is Era.MODERN:
            return self._sessions.of_modern(caller.principal)
        if not request.session_id:
            raise McpRefused(400, -32600, "a session begins with initialize, and its requests name it")
        return self._sessions.find(caller.principal, request.session_id)

    async def _about_one(self, caller: Caller, owner: Owner, asked: Asked) -> Outgoing:
        name, own, path = target_of(asked.method, asked.params)
        target = self._config().targets.get(name)
        if target is None:
            # Authz answers for names of no target, and records them: it took up another edit than the hub, for now.
            raise McpRefused(503, Failure.UNAVAILABLE.code, "this target is not in force yet")
        # Whoever may nothing there is denied this very call, and not what would come before it.
        admitted = target in self._usable(caller)
        async for item in self._relay.relay(caller, owner, asked, target, About(name, own, path), admitted=admitted):
            yield item

    async def _here(self, caller: Caller, owner: Owner, asked: Asked, http: HttpRequest) -> Reply:
        """Answer what concerns no single target."""
        modern = asked.era is Era.MODERN
        if asked.method in LISTS:
            said = asked.params.get("cursor")
            if said is not None and type(said) is not str:
                raise NoCursor("a cursor is a string")
            cursor = said if type(said) is str else None
            usable = self._usable(caller)
            if not usable:
                await self._dismissals.record(caller, http, 200, _NOTHING_OFFERED)
            result = await self._listing.page(caller, owner, asked.era, asked.method, cursor, usable)
        elif asked.method == "server/discover" and modern:
            result = _discovered()
        elif asked.method == "ping" and not modern:
            result = "{}"
        elif asked.method == "logging/setLevel" and not modern:
            result = await self._set_level(caller, owner, asked)
        else:
            none = McpRefused(404 if modern else 200, METHOD_NOT_FOUND, "there is no such method at the one door")
            none.id_json = asked.id_json
            raise none
        return Reply(200, result_json(asked.id_json, result).encode())

    async def _set_level(self, caller: Caller, owner: Owner, asked: Asked) -> str:
        owner.level = text_at(asked.params, ("level",))[:32]
        params = f'{{"level":{quote(owner.level)}}}'
        await self._each_open(
            owner, lambda target, way: self._peers.ask(caller, target, way, "logging/setLevel", params)
        )
        return "{}"

    async def _notified(self, caller: Caller, owner: Owner, asked: Asked, http: HttpRequest) -> Reply:
        """Pass a notification to whom it concerns; that it came is all that is answered."""
        body = asked.document.text.encode()
        if asked.era is Era.LEGACY and asked.method == "notifications/initialized":
            return Reply(202, b"")
        told: list[int | None] = []
        if asked.era is Era.LEGACY and asked.method in _TOLD:
            only: str | None = None
            if asked.method == "notifications/cancelled":
                waiting = owner.waiting.get(id_text(asked.params.get("requestId")))
                only = "" if waiting is None else waiting.target
                if waiting is not None and waiting.task is not None and only not in owner.ways:
                    # Its target is modern: there, to hang up is to cancel, and is recorded.
                    waiting.task.cancel()
                    return Reply(202, b"")

            async def tell(target: Target, way: Way) -> int:
                try:
                    return await self._peers.tell(caller, target, way, body)
                except Away:
                    # Nobody judged it, or recorded that it came.
                    return Failure.UNAVAILABLE.status

            told = await self._each_open(owner, tell, only)
        if not told:
            await self._dismissals.record(caller, http, 202, _CONCERNS_NOBODY)
        elif set(told) == {Failure.UNAVAILABLE.status}:
            return failed(Failure.UNAVAILABLE, "the gateway cannot take this now; nobody was told")
        return Reply(202, b"")

    async def _response(self, caller: Caller, owner: Owner, document: Document, http: HttpRequest) -> Reply:
        """Bring a legacy client's answer to the target that asked, or to the call that goes on with it."""
        name, own = split_handle(text_at(document.root, ("id",)))
        if name == HUB_NAME:
            return await self._taken(caller, owner, own, document, http)
        target, way = self._config().targets.get(name), owner.ways.get(name)
        if target is None or way is None:
            raise NotNamed("nobody asked for this answer")
        try:
            known = id_text(parse(own).root)
        except JsonRefused:
            known = ""
        if not known:
            raise NotNamed("nobody asked for this answer")
        body = apply_edits(document.text, [replaced(document, ("id",), own)]).encode()
        status = await self._peers.tell(caller, target, way, body)
        if status == Failure.UNAVAILABLE.status:
            return failed(Failure.UNAVAILABLE, "the gateway cannot take this answer now; it can be sent again")
        return Reply(202, b"") if status < 300 else failed(Failure.FORBIDDEN, "the target did not take this answer")

    async def _taken(self, caller: Caller, owner: Owner, own_id: str, document: Document, http: HttpRequest) -> Reply:
        """Take the answer to what the hub asked for a modern target; once, and of the client that was asked."""
        answer = owner.asked.get(own_id)
        if answer is None or answer.done():
            raise NotNamed("nobody asked for this answer")
        span = value_span(document, ("result",))
        if span is None:
            # A result is on record with the call that is made again; after an error none is.
            await self._dismissals.record(caller, http, 202, _NO_RESULT)
            if answer.done() or owner.asked.get(own_id) is not answer:
                raise NotNamed("nobody waits for this answer any more")
        del owner.asked[own_id]
        answer.set_result("" if span is None else document.text[slice(*span)])
        return Reply(202, b"")

    async def _bare(self, caller: Caller, owner: Owner, http: HttpRequest) -> Outgoing:
        if http.verb == "DELETE":
            owner.ended = True
            for answer in owner.asked.values():
                # It cannot come in this session any more.
                if not answer.done():
                    answer.set_result("")
            await self._each_open(owner, lambda target, way: self._peers.end(caller, target, way))
            owner.ways.clear()
            yield Head(204)
            return
        usable = self._usable(caller)
        if not usable:
            raise McpRefused(405, -32600, "nothing is offered to this caller, so nothing is told", allow="POST, DELETE")
        last = http.headers.get("last-event-id", "")
        if last and not goes_on(last, {target.name for target in usable}):
            await self._dismissals.record(caller, http, 200, _GOES_ON_NOWHERE)
        yield STREAM
        async for piece in self._streams.of_session(caller, owner, usable, last):
            yield piece

    async def _listen(self, caller: Caller, owner: Owner, asked: Asked, http: HttpRequest) -> Outgoing:
        usable = self._usable(caller)
        what = wanted(asked.params, asked.id_json, {target.name for target in usable})
        if what.left_out or not usable or not (what.kinds or what.resources):
            await self._dismissals.record(caller, http, 200, _LEFT_OUT)
        yield STREAM
        yield event(_acknowledged(what))
        async for piece in self._streams.listened(caller, owner, usable, what):
            yield piece

    async def _each_open(
        self, owner: Owner, do: Callable[[Target, Way], Awaitable[_T]], only: str | None = None
    ) -> list[_T | None]:
        """Do something with each target that has a session, or with one; who does not answer is left (``None``)."""

        async def one(target: Target, way: Way) -> _T | None:
            with suppress(Away, Refused, TimeoutError):
                async with asyncio.timeout(TELL_S):
                    return await do(target, way)
            return None

        targets = self._config().targets
        chosen = {name: way for name, way in owner.ways.items() if name in targets and only in (None, name)}
        return await asyncio.gather(*(one(targets[name], way) for name, way in chosen.items()))


def _why(error: Exception) -> str:
    """Why the hub refuses, in words of its own."""
    return "there is no such session" if isinstance(error, NoSession) else str(error)


def _reply(error: Exception, id_json: str) -> Reply:
    match error:
        case McpRefused():
            return refused(error)
        case NoSession():
            return failed(Failure.NO_SESSION, "no such session", id_json)
        case Refused():
            return refusal(error, id_json)
        case TooLong():
            return failed(Failure.TOO_LARGE, str(error), id_json)
        case Away():
            return failed(Failure.BAD_GATEWAY, str(error), id_json)
        case _:
            return Reply(200, error_json(id_json, INVALID_PARAMS, str(error)).encode())


def _opened(version: str) -> str:
    return (
        f'{{"protocolVersion":"{version}","capabilities":{json.dumps(_CAPABILITIES)},"serverInfo":{_INFO},'
        f'"instructions":{quote(_INSTRUCTIONS)}}}'
    )


def _discovered() -> str:
    capabilities = {**_CAPABILITIES, "extensions": {TASKS_EXTENSION: {}}}
    return (
        f'{{"resultType":"complete","supportedVersions":{json.dumps(SUPPORTED_VERSIONS)},'
        f'"capabilities":{json.dumps(capabilities)},"serverInfo":{_INFO},"instructions":{quote(_INSTRUCTIONS)},'
        f'"ttlMs":{_TTL_MS},"cacheScope":"private"}}'
    )


def _acknowledged(what: Wanted) -> str:
    meta = f'"_meta":{{"{META_SUBSCRIPTION}":{what.id_json}}}'
    return (
        '{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged",'
        f'"params":{{"notifications":{json.dumps(what.granted)},{meta}}}}}'
    )
