"""One stream of what all targets say by themselves: a legacy caller's GET, and a modern caller's listening."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass

from countersign.config import Target
from countersign.hub.answered import Terms
from countersign.hub.between import STATED
from countersign.hub.inside import Away, Caller, Inner, Inside
from countersign.hub.peers import ID, PROGRESS, Owner, Peers, Refused, SaidNo, Theirs, Way
from countersign.hub.relay import OF_REQUESTS, OF_STREAMS, Relay, ended_as
from countersign.jsontext import JsonValue, quote
from countersign.mcp import Era
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE
from countersign.model.door_names import NotNamed, split_handle, split_uri, uri_at_door
from countersign.runtime.live import Live
from countersign.runtime.revocations import Ended

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
"""A target that has no stream, or is away, is asked again; each time that is on record."""
WENT_WELL_S = 60.0
_QUEUED = 16
MOST_SUBSCRIBED = 256
"""Resources that one caller may listen to at once, of all targets."""
_CHANGES = {
    "toolsListChanged": "notifications/tools/list_changed",
    "promptsListChanged": "notifications/prompts/list_changed",
    "resourcesListChanged": "notifications/resources/list_changed",
}
_UPDATED = "notifications/resources/updated"
_FILTER = frozenset({*_CHANGES, "resourceSubscriptions"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller listens to: kinds of notification, and resources by their targets. ``id_json`` is its request's.

    ``left_out`` tells that it asked for more, which is no target's that it may use.
    """

    kinds: frozenset[str]
    resources: Mapping[str, tuple[str, ...]]
    id_json: str = ""
    left_out: bool = False

    @property
    def granted(self) -> dict[str, JsonValue]:
        """It as the filter of the door, in the door's words."""
        found: dict[str, JsonValue] = dict.fromkeys(sorted(self.kinds), True)
        if self.resources:
            found["resourceSubscriptions"] = [
                uri_at_door(target, own) for target, all_own in self.resources.items() for own in all_own
            ]
        return found

    def filter_json(self, target: str) -> str:
        """Return it as the filter for one target; ``{}`` when nothing is wanted of it."""
        found: dict[str, object] = dict.fromkeys(sorted(self.kinds), True)
        if target in self.resources:
            found["resourceSubscriptions"] = list(self.resources[target])
        return json.dumps(found)


def wanted(params: JsonValue, id_json: str, usable: Collection[str]) -> Wanted:
    """Read what a modern caller asks to be told, as far as that is of targets (by name) that it may use.

    Raises ``NotNamed`` for what is none of the door's.
    """
    asked = params.get("notifications") if isinstance(params, dict) else None
    asked = asked if isinstance(asked, dict) else {}
    listed = asked.get("resourceSubscriptions")
    found: dict[str, list[str]] = {}
    uris = [uri for uri in (listed if isinstance(listed, list) else []) if type(uri) is str]
    if len(uris) > MOST_SUBSCRIBED:
        raise NotNamed(f"no more than {MOST_SUBSCRIBED} resources can be listened to at once")
    for uri in uris:
        target, own = split_uri(uri)
        if target in usable:
            found.setdefault(target, []).append(own)
    kinds = frozenset(kind for kind in _CHANGES if asked.get(kind) is True)
    known = len(uris) == (len(listed) if isinstance(listed, list) else 0) and asked.keys() <= _FILTER
    left_out = not known or sum(map(len, found.values())) < len(uris)
    return Wanted(kinds, {target: tuple(own) for target, own in found.items()}, id_json, left_out)


ALL_CHANGES = Wanted(frozenset(_CHANGES), {})
"""What legacy callers are told by themselves."""


class Streams:
    """Makes streams. Each goes on without a lost target, and ends when its caller is not known any more.

    ``live`` ends it where no target has a stream for now: then nothing goes on inside that would end.
    """

    def __init__(self, inside: Inside, peers: Peers, relay: Relay, live: Live) -> None:
        self._inside = inside
        self._peers = peers
        self._relay = relay
        self._live = live

    async def of_session(
        self, caller: Caller, owner: Owner, targets: Iterable[Target], last_event_id: str
    ) -> AsyncGenerator[bytes, None]:
        """Yield what targets say to a legacy session. ``last_event_id`` is where the caller lost an earlier stream.

        That resumes the stream of the target that it names; where it was the answer to a request, that alone.
        Raises ``Refused``.
        """
        kind, name, own = _resumed(last_event_id)
        chosen = [target for target in targets if kind != OF_REQUESTS or target.name == name]
        sources = [
            self._kept(caller, owner, target, ALL_CHANGES, own if target.name == name else "", once=kind == OF_REQUESTS)
            for target in chosen
        ]
        async for piece in self._of_known(caller, sources):
            yield piece

    async def listened(
        self, caller: Caller, owner: Owner, targets: Iterable[Target], what: Wanted
    ) -> AsyncGenerator[bytes, None]:
        """Yield what a modern caller asked to be told of. Raises ``Refused``."""
        chosen = [target for target in targets if what.kinds or target.name in what.resources]
        async for piece in self._of_known(caller, [self._kept(caller, owner, target, what, "") for target in chosen]):
            yield piece

    async def _of_known(
        self, caller: Caller, sources: Sequence[AsyncGenerator[bytes, None]]
    ) -> AsyncGenerator[bytes, None]:
        """Yield what all say, until the caller is revoked. Raises ``Refused`` then."""
        try:
            async with aclosing(self._live.until_ended(caller.principal, merged(sources))) as pieces:
                async for piece in pieces:
                    yield piece
        except Ended as ended:
            raise ended_as(ended) from None

    async def _kept(
        self, caller: Caller, owner: Owner, target: Target, what: Wanted, last: str, *, once: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yield what one target says, and ask it again when its stream ends. Raises ``Refused``."""
        pause_s, clock = FIRST_PAUSE_S, asyncio.get_running_loop().time
        while not owner.ended:
            began_s = clock()
            try:
                async for piece in self._once(
                    caller, owner, target, what, last, kind=OF_REQUESTS if once else OF_STREAMS
                ):
                    yield piece
            except Refused as refused:
                if refused.everywhere:
                    raise
                if refused.status == 401:
                    # This one does not speak to the caller for now; the others do.
                    pause_s = LONGEST_PAUSE_S
            except SaidNo:
                # It has no such stream; what it changes into is asked after a while.
                pause_s = LONGEST_PAUSE_S
            except Away:
                log.debug("a target's stream is lost for now", extra={"target": target.name})
            if once:
                return
            last = ""
            if clock() - began_s > WENT_WELL_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _once(
        self, caller: Caller, owner: Owner, target: Target, what: Wanted, last: str, *, kind: str
    ) -> AsyncGenerator[bytes, None]:
        era = Era.MODERN if what.id_json else Era.LEGACY
        way = await self._peers.way(caller, owner, target, era)
        asking = self._listening(caller, target, way, what)
        if way.era is Era.LEGACY:
            for uri in what.resources.get(target.name, ()):
                with suppress(SaidNo):
                    await self._peers.ask(caller, target, way, "resources/subscribe", f'{{"uri":{quote(uri)}}}')
            asking = self._getting(caller, target, way, last)
        terms = Terms(
            target.name,
            era,
            way.era,
            subscription=what.id_json if way.era is Era.LEGACY else "",
            answers=Theirs(owner, ID, target.name),
            progress=Theirs(owner, PROGRESS, target.name),
        )
        methods = {_CHANGES[kind] for kind in what.kinds} | ({_UPDATED} if what.resources else set())
        async with asking as inner:
            if inner.status == 404 and way.session_id:
                self._peers.forget(owner, target, way)
            if inner.status == 401:
                raise await self._peers.refused(inner)
            if inner.status != 200 or not inner.is_stream:
                # In the modern era a method that a target has not is a 404, too.
                lost = inner.status in (502, 503) or (inner.status == 404 and way.era is Era.LEGACY)
                raise (Away if lost else _no_stream)("the target has no stream")
            # Of legacy callers everything is for them; to listening ones only what they asked for.
            only = None if era is Era.LEGACY and way.era is Era.LEGACY else methods
            async for piece in self._relay.events(inner, terms, kind, only):
                yield piece

    def _listening(self, caller: Caller, target: Target, way: Way, what: Wanted) -> AbstractAsyncContextManager[Inner]:
        id_json = what.id_json or self._peers.new_id()
        params = f'{{"notifications":{what.filter_json(target.name)},"_meta":{{{STATED}}}}}'
        body = f'{{"jsonrpc":"2.0","id":{id_json},"method":"subscriptions/listen","params":{params}}}'
        headers = {**way.headers("subscriptions/listen"), "content-type": JSON_TYPE}
        return self._inside.ask(caller, target.name, "POST", headers, body.encode())

    def _getting(self, caller: Caller, target: Target, way: Way, last: str) -> AbstractAsyncContextManager[Inner]:
        headers = way.headers(accept=EVENTS_TYPE)
        return self._inside.ask(caller, target.name, "GET", headers | ({"last-event-id": last} if last else {}), b"")


def _no_stream(text: str) -> SaidNo:
    return SaidNo(405, 0, text)


def goes_on(event_id: str, usable: Collection[str]) -> bool:
    """Whether this is an event's id of the door's, of a target (by name) that its caller may use."""
    return _resumed(event_id)[1] in usable


def _resumed(event_id: str) -> tuple[str, str, str]:
    kind, rest = event_id[:1], event_id[1:]
    if kind not in (OF_REQUESTS, OF_STREAMS):
        return "", "", ""
    try:
        return kind, *split_handle(rest)
    except NotNamed:
        return "", "", ""


async def merged(sources: Sequence[AsyncGenerator[bytes, None]]) -> AsyncGenerator[bytes, None]:
    """Yield what the sources yield, as it comes; only a few pieces wait.

    Ends with the last of them, or with the error of any.
    """
    queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
    room = asyncio.Semaphore(_QUEUED)

    async def pump(source: AsyncGenerator[bytes, None]) -> None:
        ended: Exception | None = None
        try:
            async for piece in source:
                # Whoever waits longest goes first, so that one that floods does not keep the others out.
                await room.acquire()
                queue.put_nowait(piece)
        except Exception as error:
            ended = error
        queue.put_nowait(ended)

    tasks = [asyncio.ensure_future(pump(source)) for source in sources]
    left = len(tasks)
    try:
        while left:
            piece = await queue.get()
            if isinstance(piece, bytes):
                room.release()
                yield piece
            elif piece is not None:
                raise piece
            else:
                left -= 1
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for source in sources:
            await source.aclose()
