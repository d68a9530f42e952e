"""What is said with one server: which answer belongs to which call of whom.

Every request gets a number of ours on its way, and so does what it asks to be told of its progress: callers choose
their ids apart from each other, and a server that answers a number that is not open has answered nobody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from countersign.bridge.framing import Said, Skipped, edited, read_line, said_to_client
from countersign.bridge.lines import Line
from countersign.bridge.process import End, Process
from countersign.bridge.streams import Stream
from countersign.jsontext import Document, Number, quote, value_at, value_span
from countersign.mcp import AnswerKind, Era, Failure
from countersign.mcp.errors import METHOD_NOT_FOUND
from countersign.mcp.message import id_text
from countersign.mcp.replies import error_json, result_json

log = logging.getLogger(__name__)

_STATUS_OF_CODE = {-32700: 400, -32600: 400, -32602: 400, -32020: 400, -32021: 400, -32022: 400, -32601: 404}
"""What an error's status is in the modern era (MCP 2026-07-28, Streamable HTTP); in the legacy era it is 200."""

_MOST_OPEN, _MOST_OPEN_SHARED = 128, 1_024
_MOST_ASKED = 64
_CANCELLED_S = 1.0
_LISTEN = "subscriptions/listen"
_TO_ALL = frozenset(f"notifications/{what}/list_changed" for what in ("tools", "prompts", "resources"))
_PROGRESS = "notifications/progress"
_REPORTED = 10


class TooMany(Exception):
    """More calls are open than may be."""


class Ended(Exception):
    """The server's process is gone."""


@dataclass(eq=False, slots=True)
class Party:
    """One side of it: a session. ``standing`` holds what belongs to no call, ``asked`` what the server waits for."""

    era: Era
    standing: Stream
    asked: set[str] = field(default_factory=set)


@dataclass(eq=False, slots=True)
class Open:
    """A call that was not answered yet, with the id and the progress token of its caller as JSON."""

    party: Party
    stream: Stream
    method: str
    id_json: str
    token_json: str
    heard_s: float
    error_code: int | None = None


class Conversation:
    """All that is said with one process. ``shared`` is between several parties, who must not hear of one another."""

    def __init__(self, name: str, *, shared: bool, max_depth: int, monotonic_s: Callable[[], float]) -> None:
        self._name = name
        self._shared = shared
        self._max_depth = max_depth
        self._monotonic_s = monotonic_s
        self._heard_s = monotonic_s()
        self._open: dict[int, Open] = {}
        self._parties: set[Party] = set()
        self._count = 0
        self._process: Process | None = None
        self._skipped = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.answered = 0
        self.greeting = ""
        self.stopped = False

    @property
    def process(self) -> Process | None:
        """The process, once it runs."""
        return self._process

    @property
    def over(self) -> bool:
        """Whether it can go on no more."""
        return self._process is not None and self._process.ended.done()

    def busy(self, party: Party) -> bool:
        """Whether anything of this party is open."""
        return party.standing.has_reader or any(each.party is party for each in self._open.values())

    async def begin(self, start: Callable[[Callable[[Line], Awaitable[None]]], Awaitable[Process]]) -> None:
        """Start the process. Raises ``countersign.bridge.process.CannotStart``."""
        self._process = await start(self._heard)
        self._process.ended.add_done_callback(lambda ended: self._lost(ended.result()))

    def join(self, party: Party) -> None:
        """Have this party hear what concerns it."""
        self._parties.add(party)

    def leave(self, party: Party) -> None:
        """Forget the party: what it has open is cancelled."""
        self._parties.discard(party)
        for own, each in list(self._open.items()):
            if each.party is party:
                self.cancel(own, "the session ended")
        party.standing.close()

    async def ask(self, party: Party, document: Document, id_json: str, method: str, stream: Stream) -> int:
        """Send a request; its answer ends ``stream``. Returns our number of it. Raises ``TooMany`` and ``Ended``."""
        if self._process is None or self.over:
            raise Ended
        mine = sum(each.party is party for each in self._open.values())
        if mine >= _MOST_OPEN or len(self._open) >= _MOST_OPEN_SHARED or self._process.crowded:
            raise TooMany
        self._count += 1
        own = self._count
        changes: list[tuple[tuple[str, ...], str]] = [(("id",), str(own))]
        token_at = ("params", "_meta", "progressToken")
        span = value_span(document, token_at)
        token_json = ""
        if span is not None:
            token_json = document.text[slice(*span)]
            changes.append((token_at, str(own)))
        self._open[own] = Open(party, stream, method, id_json, token_json, self._monotonic_s())
        try:
            await self._process.write(edited(document, *changes))
        except BaseException:
            self._open.pop(own, None)
            raise
        return own

    async def tell(self, party: Party, document: Document, method: str) -> None:
        """Send a notification; one that cancels, for the call that it means, or nobody."""
        if self._process is None or self.over:
            raise Ended
        if method == "notifications/cancelled":
            meant = id_text(value_at(document.root, ("params", "requestId")))
            for own, each in list(self._open.items()):
                if each.party is party and each.id_json == meant:
                    await self._process.write(edited(document, (("params", "requestId"), str(own))))
                    self._end_later(own)
            return
        await self._process.write(edited(document))

    async def answer(self, party: Party, document: Document, id_json: str) -> bool:
        """Send a client's answer to a request of the server; false when the server did not ask this party."""
        if self._process is None or id_json not in party.asked:
            return False
        party.asked.discard(id_json)
        await self._process.write(edited(document))
        return True

    def cancel(self, own: int, reason: str) -> None:
        """Take a call back: the server is told, and what it still says of it is dropped."""
        gone = self._open.pop(own, None)
        if gone is None:
            return
        gone.stream.close()
        self._tell_cancelled(own, gone.method, reason)

    def _tell_cancelled(self, own: int, method: str, reason: str) -> None:
        if self._process is not None and not self.over and not self._process.crowded and method != "initialize":
            params = f'{{"requestId":{own},"reason":{quote(reason)}}}'
            line = f'{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}'
            # Not waited for: whoever hung up is not to wait for a server that takes nothing.
            task = asyncio.ensure_future(self._process.write(line.encode()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def sweep(self, silence_s: float) -> None:
        """End calls of which nothing was heard for so long; one that waits for its own client is not silent."""
        now_s = self._monotonic_s()
        for own, each in list(self._open.items()):
            heard_s = each.heard_s if self._shared else max(each.heard_s, self._heard_s)
            if now_s - heard_s >= silence_s and each.method != _LISTEN and not each.party.asked:
                self._fail(own, "the server was silent for too long")
                self._tell_cancelled(own, each.method, "the server was silent for too long")

    def _end_later(self, own: int) -> None:
        """A server need not answer what was cancelled: then we do."""

        def end() -> None:
            self._fail(own, "the call was cancelled")

        asyncio.get_running_loop().call_later(_CANCELLED_S, end)

    async def _heard(self, line: Line) -> None:
        said = read_line(line, self._max_depth)
        if isinstance(said, Skipped):
            self._skip(said.reason)
            if said.answers in self._open:
                self._fail(said.answers, "the server's answer cannot be read")
            elif line.too_long:
                # Whose answer it is cannot be told, and whoever waits for it would wait for ever.
                for own in list(self._open):
                    self._fail(own, "the server wrote more than may be held")
            return
        self._heard_s = self._monotonic_s()
        if said.answer.is_final:
            self._answered(said)
        elif said.answer.kind is AnswerKind.REQUEST:
            await self._requested(said)
        else:
            await self._notified(said)

    def _answered(self, said: Said) -> None:
        found = self._open.pop(said.own_id, None) if said.own_id is not None else None
        if found is None:
            self._skip("an answer to no open request")
            return
        self.answered += 1
        status = 200
        if said.answer.kind is AnswerKind.ERROR:
            found.error_code = _code(said.document)
            if found.party.era is Era.MODERN:
                status = _STATUS_OF_CODE.get(found.error_code, 200)
        found.stream.finish(said_to_client(said, found.id_json, found.token_json), status)

    async def _requested(self, said: Said) -> None:
        assert self._process is not None
        id_json = said.answer.id_json
        if said.answer.method == "ping":
            await self._process.write(result_json(id_json, "{}").encode())
            return
        party = self._only()
        if party is None or party.era is Era.MODERN or len(party.asked) >= _MOST_ASKED:
            refused = error_json(id_json, METHOD_NOT_FOUND, "no client can be asked here")
            await self._process.write(refused.encode())
            return
        party.asked.add(id_json)
        await self._best(party).put(edited(said.document))

    async def _notified(self, said: Said) -> None:
        method = said.answer.method
        own = said.progress if method == _PROGRESS else said.subscription
        if method == _PROGRESS or own is not None:
            found = self._open.get(own) if own is not None else None
            if found is None or (method == _PROGRESS and not found.token_json):
                self._skip("a notification about no open request")
                return
            found.heard_s = self._monotonic_s()
            await found.stream.put(said_to_client(said, found.id_json, found.token_json))
            return
        text = edited(said.document)
        party = self._only()
        if method in _TO_ALL:
            for each in [each for each in self._parties if each.era is Era.LEGACY]:
                await (each.standing if party is None or each.standing.has_reader else self._best(each)).put(text)
        elif party is None:
            self._skip("a notification that may concern anybody")
        elif party.era is Era.LEGACY or any(each.method != _LISTEN for each in self._open.values()):
            await self._best(party).put(text)
        else:
            self._skip("a notification about nothing")

    def _only(self) -> Party | None:
        return next(iter(self._parties)) if not self._shared and len(self._parties) == 1 else None

    def _best(self, party: Party) -> Stream:
        """Where a message goes that does not say to which call it belongs: most probably it is the newest."""
        streams = [each.stream for each in reversed(self._open.values()) if each.method != _LISTEN]
        for stream in (*streams, party.standing):
            if stream.has_reader:
                return stream
        return party.standing

    def _fail(self, own: int, text: str) -> None:
        found = self._open.pop(own, None)
        if found is not None:
            body = error_json(found.id_json, Failure.BAD_GATEWAY.code, text)
            found.stream.finish(body.encode(), Failure.BAD_GATEWAY.status)

    def _lost(self, end: End) -> None:
        for own in list(self._open):
            self._fail(own, end.why)
        for party in self._parties:
            party.standing.close()

    def _skip(self, reason: str) -> None:
        if not reason:
            return
        self._skipped += 1
        # What it says may hold what no log may; and who floods us is not to flood the log.
        if self._skipped <= _REPORTED or self._skipped % 1_000 == 0:
            log.warning("%s: output %d of the server is passed to nobody: %s", self._name, self._skipped, reason)


def _code(document: Document) -> int:
    code = value_at(document.root, ("error", "code"))
    try:
        return int(code) if isinstance(code, Number) else 0
    except ValueError:
        return 0
