"""How each target is spoken to: the eras that it speaks, and the legacy sessions that are open with it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from countersign.config import GatewayConfig, Target
from countersign.hub.between import STATED
from countersign.hub.inside import Away, Caller, Inner, Inside
from countersign.hub.wording import read, text_at
from countersign.jsontext import Document, JsonRefused, quote, value_at
from countersign.mcp import DENIED, WAITING, Era, Failure
from countersign.mcp.eras import LEGACY_VERSIONS, MODERN_VERSION
from countersign.mcp.headers import encoded_header
from countersign.mcp.message import id_text
from countersign.mcp.replies import EVENTS_TYPE, JSON_TYPE
from countersign.model.principal import Principal
from countersign.runtime.aside import Aside

ERA_KEPT_S = 600.0
MOST_OWNERS = 10_000
MOST_OF_ONE = 2_500
"""Owners that one principal may be: to begin a session costs nothing, and must not have others' forgotten."""
_MOST_NOTED = 2_048
_MOST_WORDS = 256
ID, PROGRESS = "id", "progress"
_EITHER = f"{JSON_TYPE}, {EVENTS_TYPE}"
OUR_INFO = '{"name":"countersign-hub","version":"1"}'
# Those who can be asked and say no to the era; whatever else is wrong says nothing of it.
_NOT_THIS_ERA = frozenset({200, 400, 404, 405, 406, 415})


class Refused(Exception):
    """The gateway inside refused the caller: what it answered goes to the caller. ``status`` is HTTP's.

    ``everywhere`` tells that no target is there for this caller any more: its token is not good.
    """

    def __init__(self, status: int, code: int, message: str, challenge: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.challenge = challenge
        self.everywhere = status == 401 and code != Failure.SESSION_REVOKED.code


class SaidNo(Away):
    """A target answered with an error: of how it is spoken to, or of what it was asked. ``status`` is HTTP's."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message or "the target refused")
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Way:
    """How a target is spoken to: the version, and in the legacy era the session (empty where it has none)."""

    era: Era
    version: str
    session_id: str = ""

    def headers(self, method: str = "", name: str = "", *, accept: str = _EITHER) -> dict[str, str]:
        """Return the headers of a request; ``method`` and ``name`` as in its body, for the modern era."""
        found = {"accept": accept, "mcp-protocol-version": self.version}
        if self.era is Era.MODERN:
            found["mcp-method"] = method
            if name:
                found["mcp-name"] = encoded_header(name)
        elif self.session_id:
            found["mcp-session-id"] = self.session_id
        return found


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request under way: of which target, and the task that waits for the answer."""

    target: str
    task: asyncio.Task[object] | None


@dataclass(slots=True)
class Owner:
    """Whose legacy sessions with targets these are: a session at the door, or a modern caller.

    ``capabilities_json`` and ``info_json`` are what targets are told of the client. ``level`` is what it asked log
    messages for; ``waiting`` its requests that are under way, by the JSON text of their ids, and ``theirs``
    whose ids and progress tokens are. ``asked`` is what the hub asked the client for modern targets, by ids of the
    hub's own: it becomes the JSON text of the result, empty for an error.
    """

    key: str
    version: str = LEGACY_VERSIONS[-1]
    capabilities_json: str = "{}"
    info_json: str = OUR_INFO
    level: str = ""
    ended: bool = False
    ways: dict[str, Way] = field(default_factory=dict)
    turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    asked: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    theirs: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)

    @property
    def words(self) -> str:
        """All that a target is told of the client when it is asked for a session."""
        return f"{self.version} {self.capabilities_json} {self.info_json}"

    def note(self, kind: str, id_json: str, target: str) -> None:
        """Remember that this id (of this kind: ``ID``, ``PROGRESS``) is for a target to use, and for no other."""
        self.theirs[kind, id_json] = target
        self.theirs.move_to_end((kind, id_json))
        while len(self.theirs) > _MOST_NOTED:
            self.theirs.popitem(last=False)


Whose = tuple[str, str]
"""A principal's issuer and subject."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """The ids of one kind that an owner gave a target to use."""

    owner: Owner
    kind: str
    target: str

    def __contains__(self, id_json: object) -> bool:
        return isinstance(id_json, str) and self.owner.theirs.get((self.kind, id_json)) == self.target


class Owners:
    """Owners by their keys; of many, in all or of one principal, those not heard of for longest are forgotten."""

    def __init__(self, most: int = MOST_OWNERS, most_of_one: int = MOST_OF_ONE) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._known: OrderedDict[str, tuple[Owner, Whose]] = OrderedDict()
        self._of_one: dict[Whose, OrderedDict[str, None]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, principal: Principal, key: str, make: Callable[[], Owner]) -> Owner:
        """Return who has this key, which is this principal's."""
        whose = principal.issuer, principal.subject
        theirs = self._of_one.setdefault(whose, OrderedDict())
        if key not in self._known:
            self._known[key], theirs[key] = (make(), whose), None
            if len(theirs) > self._most_of_one:
                self._forget(next(iter(theirs)))
            elif len(self._known) > self._most:
                self._forget(next(iter(self._known)))
        self._known.move_to_end(key)
        theirs.move_to_end(key)
        return self._known[key][0]

    def _forget(self, key: str) -> None:
        _, whose = self._known.pop(key)
        theirs = self._of_one[whose]
        del theirs[key]
        if not theirs:
            del self._of_one[whose]


@dataclass(slots=True)
class _Known:
    """``not_legacy`` holds how those introduced themselves (``Owner.words``) with whom it would not begin a session.

    Whoever says something else is not to suffer by it: it may have been the words that were not liked.
    """

    until_s: float
    modern: bool | None = None
    not_legacy: set[str] = field(default_factory=set)

    def refuses(self, words: str) -> None:
        """Remember that it began no session with who says this."""
        if len(self.not_legacy) >= _MOST_WORDS:
            self.not_legacy.clear()
        self.not_legacy.add(words)


class Peers:
    """Finds the way to each target. Large answers are read ``aside``. ``clock`` gives seconds that only grow."""

    def __init__(
        self, inside: Inside, config: Callable[[], GatewayConfig], aside: Aside, clock: Callable[[], float]
    ) -> None:
        self._inside = inside
        self._config = config
        self._aside = aside
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}
        self._ids = count(1)

    def new_id(self) -> str:
        """Return the JSON text of an id for a request of the hub's own."""
        return f'"hub-{next(self._ids)}"'

    async def way(self, caller: Caller, owner: Owner, target: Target, era: Era) -> Way:
        """Return how ``target`` is spoken to: in ``era`` where it can be. Raises ``Away``, ``Refused``."""
        known = self._of(target)
        if era is Era.MODERN and known.modern is None:
            known.modern = await self._discover(caller, target)
        if era is Era.MODERN and known.modern:
            return Way(Era.MODERN, MODERN_VERSION)
        async with owner.turns.setdefault(target.name, asyncio.Lock()):
            found = owner.ways.get(target.name)
            if found is None and owner.words not in known.not_legacy:
                found = await self._open(caller, owner, target, known)
                if found is not None:
                    owner.ways[target.name] = found
        if found is not None:
            return found
        if known.modern is None:
            known.modern = await self._discover(caller, target)
        if not known.modern:
            # What says no to everything is about to start, or to be put in force: it is asked anew.
            self._known.pop(_key(target), None)
            raise Away("the target speaks no version of MCP that the gateway knows")
        return Way(Era.MODERN, MODERN_VERSION)

    def forget(self, owner: Owner, target: Target, way: Way) -> None:
        """Open another session with the target next time: this one is over."""
        if owner.ways.get(target.name) == way:
            del owner.ways[target.name]

    async def ask(
        self, caller: Caller, target: Target, way: Way, method: str, params: str, *, name: str = ""
    ) -> Document:
        """Make a request of the hub's own and return the answer, a result or an error. Raises ``Away``, ``Refused``."""
        id_json = self.new_id()
        body = f'{{"jsonrpc":"2.0","id":{id_json},"method":{quote(method)},"params":{params}}}'
        headers = {**way.headers(method, name), "content-type": JSON_TYPE}
        async with self._inside.ask(caller, target.name, "POST", headers, body.encode()) as inner:
            return await self._final(inner, id_json)

    async def tell(self, caller: Caller, target: Target, way: Way, body: bytes, method: str = "") -> int:
        """Send a message that has no answer; return the status. Raises ``Away``."""
        headers = {**way.headers(method), "content-type": JSON_TYPE}
        async with self._inside.ask(caller, target.name, "POST", headers, body) as inner:
            return inner.status

    async def end(self, caller: Caller, target: Target, way: Way) -> None:
        """End a legacy session. Raises ``Away``."""
        if way.session_id:
            async with self._inside.ask(caller, target.name, "DELETE", way.headers(), b""):
                pass

    def _of(self, target: Target) -> _Known:
        key, now_s = _key(target), self._clock()
        found = self._known.get(key)
        if found is None or found.until_s <= now_s:
            if len(self._known) > 2 * len(self._config().targets):
                self._known.clear()
            found = self._known[key] = _Known(now_s + ERA_KEPT_S)
        return found

    async def _discover(self, caller: Caller, target: Target) -> bool | None:
        """Whether the target speaks the modern era; ``None`` when that cannot be told now. Raises ``Refused``."""
        way = Way(Era.MODERN, MODERN_VERSION)
        try:
            answer = await self.ask(caller, target, way, "server/discover", f'{{"_meta":{{{STATED}}}}}')
        except SaidNo:
            return False
        except Away:
            # A server that chokes on what it does not know may well speak the other era.
            return None
        versions = value_at(answer.root, ("result", "supportedVersions"))
        return isinstance(versions, list) and MODERN_VERSION in versions

    async def _open(self, caller: Caller, owner: Owner, target: Target, known: _Known) -> Way | None:
        id_json = self.new_id()
        params = (
            f'{{"protocolVersion":"{owner.version}","capabilities":{owner.capabilities_json},'
            f'"clientInfo":{owner.info_json}}}'
        )
        body = f'{{"jsonrpc":"2.0","id":{id_json},"method":"initialize","params":{params}}}'
        headers = {"accept": _EITHER, "content-type": JSON_TYPE}
        try:
            async with self._inside.ask(caller, target.name, "POST", headers, body.encode()) as inner:
                answer = await self._final(inner, id_json)
                session_id = inner.header("mcp-session-id")
        except SaidNo:
            known.refuses(owner.words)
            return None
        version = text_at(answer.root, ("result", "protocolVersion"))
        if version not in LEGACY_VERSIONS:
            known.refuses(owner.words)
            return None
        way = Way(Era.LEGACY, version, session_id)
        await self.tell(caller, target, way, b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        if owner.level:
            await self._set_level(caller, owner, target, way)
        return way

    async def _set_level(self, caller: Caller, owner: Owner, target: Target, way: Way) -> None:
        try:
            await self.ask(caller, target, way, "logging/setLevel", f'{{"level":{quote(owner.level)}}}')
        except SaidNo:
            # It logs nothing, which is no reason to do without it.
            pass
        except Refused as refused:
            if refused.status == 401:
                raise

    async def refused(self, inner: Inner) -> Refused:
        """Return what an answer that is a refusal says. Raises ``Away``."""
        code, message = _error_of(await self._answer(inner, ""))
        return Refused(inner.status, code, message, inner.header("www-authenticate"))

    async def _final(self, inner: Inner, id_json: str) -> Document:
        """Return the result that answers the request, or an error that says more than that it is none.

        Raises ``Away``, ``Refused``, ``SaidNo``.
        """
        answer = await self._answer(inner, id_json)
        code, message = _error_of(answer)
        if inner.status == 401 or code in (DENIED, WAITING) or inner.status in (403, 429):
            raise Refused(inner.status, code, message, inner.header("www-authenticate"))
        if answer is not None and inner.status == 200 and not code:
            return answer
        if inner.status in _NOT_THIS_ERA:
            raise SaidNo(inner.status, code, message)
        raise Away(message or "the target does not answer")

    async def _answer(self, inner: Inner, id_json: str) -> Document | None:
        depth = self._config().limits.json_depth + 2
        try:
            if inner.is_json:
                body = await inner.body()
                return await self._aside.run(len(body), lambda: read(body, depth))
            if inner.is_stream:
                async for event in inner.events():
                    if event.data:
                        document = await self._aside.run(len(event.data), partial(read, event.data, depth))
                        if isinstance(document.root, dict) and id_text(document.root.get("id")) == id_json:
                            return document
        except JsonRefused:
            raise Away("the answer cannot be read") from None
        return None


def _key(target: Target) -> tuple[str, str]:
    return target.name, target.mcp_url


def _error_of(answer: Document | None) -> tuple[int, str]:
    if answer is None:
        return 0, ""
    error = value_at(answer.root, ("error",))
    if not isinstance(error, dict):
        return 0, ""
    try:
        code = int(id_text(error.get("code")))
    except ValueError:
        code = -32603
    return code, text_at(error, ("message",))
