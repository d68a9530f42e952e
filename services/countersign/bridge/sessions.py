"""Which caller has which server: made when first asked for, ended when unused, revoked, or gone."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from countersign.bridge.conversation import Conversation, Party
from countersign.bridge.lines import Line
from countersign.bridge.process import Process
from countersign.bridge.sharing import greet
from countersign.bridge.streams import Stream
from countersign.config import GatewayConfig, Target
from countersign.config.types import Processes, Stdio
from countersign.mcp import Era
from countersign.model.principal import Principal

log = logging.getLogger(__name__)

MOST_PROCESSES = 256
"""In one bridge, whatever the targets may have each."""
_KEPT_STREAMS = 8
_KEPT_BYTES = 16 * 1024 * 1024
_MOST_RESTS = 10_000
_FIRST_REST_S, _LONGEST_REST_S = 0.5, 30.0


_Owner = tuple[str, str, str]
"""A target's name, and a caller."""


class Full(Exception):
    """No further session can be had now. ``retry_s`` says when to try again; the message is safe to show."""

    def __init__(self, text: str, retry_s: float = 5.0) -> None:
        super().__init__(text)
        self.retry_s = retry_s


@dataclass(frozen=True, slots=True)
class Whose:
    """The caller, as authz vouches for it on this very call, and the recorded session of the call."""

    principal: Principal
    recorded: str

    @property
    def key(self) -> tuple[str, str]:
        """What stays the same of a caller."""
        return self.principal.issuer, self.principal.subject


@dataclass(eq=False, slots=True)
class Session:
    """One caller's side of a conversation. ``session_id`` is empty in the modern era, which has no sessions."""

    session_id: str
    target: str
    stdio: Stdio
    whose: Whose
    conversation: Conversation
    party: Party
    used_s: float
    streams: dict[int, Stream] = field(default_factory=dict)
    count: int = 0

    def new_stream(self) -> Stream:
        """Return a stream for a call."""
        self.count += 1
        stream = Stream(self.count, patient=self.stdio.processes is Processes.SESSION)
        self.streams[stream.number] = stream
        return stream

    def stream(self, number: int) -> Stream | None:
        """Return the stream of this number, 0 for the standing one; ``None`` when it is not kept any more."""
        return self.party.standing if number == 0 else self.streams.get(number)

    def keep(self, stream: Stream) -> None:
        """Keep a stream for whoever lost it, if they can ask for it and there is room; those that are open stay."""
        if not stream.shown:
            self.streams.pop(stream.number, None)
        done = [each for each in self.streams.values() if each.ended and not each.has_reader]
        while done and (len(done) > _KEPT_STREAMS or sum(each.kept_bytes for each in done) > _KEPT_BYTES):
            del self.streams[done.pop(0).number]

    def drop(self, stream: Stream) -> None:
        """Forget a stream that nobody can come back to."""
        self.streams.pop(stream.number, None)


@dataclass(slots=True)
class _Rest:
    """How long a caller is kept from a server that ended before it answered them anything, the second time."""

    until_s: float = 0.0
    next_s: float = 0.0


class Sessions:
    """All sessions of this process. ``monotonic_s`` and ``new_id`` are given, the latter not to be guessed."""

    def __init__(
        self,
        config: Callable[[], GatewayConfig],
        environment: Mapping[str, str],
        monotonic_s: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._config = config
        self._environment = environment
        self._monotonic_s = monotonic_s
        self._new_id = new_id
        self._legacy: dict[str, Session] = {}
        self._modern: dict[tuple[str, str, str], Session] = {}
        self._making: dict[tuple[str, str, str], asyncio.Task[Session]] = {}
        self._shared: dict[tuple[str, str, Era], asyncio.Task[Conversation]] = {}
        # With who had each begun, until its process is gone.
        self._conversations: dict[Conversation, _Owner] = {}
        self._starting: Counter[_Owner] = Counter()
        # For each caller: who makes a server end is not to keep others from it.
        self._rests: dict[tuple[str, tuple[str, str]], _Rest] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._legacy) + len(self._modern)

    @property
    def processes(self) -> int:
        """How many run."""
        return len(self._conversations)

    def find(self, session_id: str, target: Target, whose: Whose) -> Session | None:
        """Return the legacy session of this id, if it is this caller's at this target, and goes on."""
        found = self._legacy.get(session_id)
        if found is None or found.conversation.over or found.target != target.name:
            return None
        if found.stdio.fingerprint != _stdio(target).fingerprint or found.whose.key != whose.key:
            return None
        found.used_s = self._monotonic_s()
        found.whose = whose
        return found

    async def open(self, target: Target, whose: Whose) -> Session:
        """Return a new legacy session. Raises ``Full`` and ``countersign.bridge.process.CannotStart``."""
        session = await self._make(target, whose, Era.LEGACY, self._new_id())
        self._legacy[session.session_id] = session
        return session

    async def modern(self, target: Target, whose: Whose) -> Session:
        """Return what this caller's modern calls have in common at this target; raises what ``open`` raises."""
        key = (target.name, _stdio(target).fingerprint, whose.recorded)
        found = self._modern.get(key)
        if found is None or found.conversation.over:
            # Calls that come at once are not to have a process each.
            task = self._making.get(key)
            if task is None:
                task = self._making[key] = asyncio.ensure_future(self._make(target, whose, Era.MODERN, ""))
                task.add_done_callback(lambda made: self._made(key, made))
            found = await asyncio.shield(task)
        found.used_s = self._monotonic_s()
        found.whose = whose
        return found

    def _made(self, key: tuple[str, str, str], task: asyncio.Task[Session]) -> None:
        del self._making[key]
        if not task.cancelled() and task.exception() is None:
            self._modern[key] = task.result()

    def end(self, session: Session) -> None:
        """End a session, and the process if nobody else has it."""
        self._legacy.pop(session.session_id, None)
        for key, each in list(self._modern.items()):
            if each is session:
                del self._modern[key]
        self._leave(session)

    def all(self) -> list[Session]:
        """Return those that are open."""
        return [*self._legacy.values(), *self._modern.values()]

    def sweep(self) -> None:
        """End what is silent, unused or gone, and what gateway.yaml does not state any more."""
        config, now_s = self._config(), self._monotonic_s()
        for conversation in self._conversations:
            conversation.sweep(config.limits.upstream_timeout_s)
        for session in self.all():
            stated = config.targets.get(session.target)
            same = (
                stated is not None
                and stated.stdio is not None
                and stated.stdio.fingerprint == session.stdio.fingerprint
            )
            if session.conversation.busy(session.party):
                session.used_s = now_s
            if session.conversation.over or not same or now_s - session.used_s >= session.stdio.idle_s:
                self.end(session)
        used = {id(session.conversation) for session in self.all()}
        for key, task in list(self._shared.items()):
            if task.done() and (task.cancelled() or task.exception() or id(task.result()) not in used):
                del self._shared[key]
                if not task.cancelled() and not task.exception():
                    self._stop(task.result())

    async def close(self) -> None:
        """End all, and wait until nothing is left of any."""
        for session in self.all():
            self.end(session)
        for conversation in list(self._conversations):
            self._stop(conversation)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _make(self, target: Target, whose: Whose, era: Era, session_id: str) -> Session:
        stdio = _stdio(target)
        self._make_room(target, whose)
        # What is being started counts, too.
        owner = (target.name, *whose.key)
        self._starting[owner] += 1
        try:
            conversation = await self._conversation(target, stdio, whose, era)
        finally:
            self._starting[owner] -= 1
            if not self._starting[owner]:
                del self._starting[owner]
        party = Party(era, Stream(0, patient=stdio.processes is Processes.SESSION))
        conversation.join(party)
        return Session(session_id, target.name, stdio, whose, conversation, party, self._monotonic_s())

    def _make_room(self, target: Target, whose: Whose) -> None:
        stdio = _stdio(target)
        here = [session for session in self.all() if session.target == target.name and not session.conversation.over]
        own = [session for session in here if session.whose.key == whose.key]
        owner = (target.name, *whose.key)
        ending = sum(each == owner for each in self._conversations.values()) - len(own)
        if stdio.processes is Processes.SESSION and ending >= stdio.sessions_per_caller:
            # Who begins and ends without a pause would else have any number that are about to end.
            raise Full("the caller's earlier servers have not ended yet", 1.0)
        if len(own) + self._starting[owner] >= stdio.sessions_per_caller:
            idle = [session for session in own if not session.conversation.busy(session.party)]
            if not idle:
                raise Full("the caller has as many sessions open at this target as it may")
            oldest = min(idle, key=lambda session: session.used_s)
            self.end(oldest)
            here.remove(oldest)
        if len(here) + sum(n for each, n in self._starting.items() if each[0] == target.name) >= stdio.sessions:
            raise Full("the target has as many sessions open as it may")
        if self.processes + sum(self._starting.values()) >= MOST_PROCESSES:
            raise Full("the bridge runs as many servers as it may")
        rest = self._rests.get((stdio.fingerprint, whose.key))
        if rest is not None and (left_s := rest.until_s - self._monotonic_s()) > 0:
            raise Full("the server ended as soon as it was started; it is tried again later", left_s)

    async def _conversation(self, target: Target, stdio: Stdio, whose: Whose, era: Era) -> Conversation:
        if stdio.processes is Processes.SESSION:
            return await self._begin(target.name, stdio, whose, shared=False)
        key = (target.name, stdio.fingerprint, era)
        task = self._shared.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result().over)):
            task = self._shared[key] = asyncio.ensure_future(self._begin_shared(target.name, stdio, whose, era))
        return await asyncio.shield(task)

    async def _begin_shared(self, name: str, stdio: Stdio, whose: Whose, era: Era) -> Conversation:
        conversation = await self._begin(name, stdio, whose, shared=True)
        if era is Era.LEGACY:
            try:
                conversation.greeting = await greet(conversation)
            except BaseException:
                self._stop(conversation)
                raise
        return conversation

    async def _begin(self, name: str, stdio: Stdio, whose: Whose, *, shared: bool) -> Conversation:
        limits = self._config().limits
        conversation = Conversation(name, shared=shared, max_depth=limits.json_depth, monotonic_s=self._monotonic_s)

        def start(on_line: Callable[[Line], Awaitable[None]]) -> Awaitable[Process]:
            return Process.start(name, stdio, self._environment, on_line, most_bytes=limits.response_bytes)

        await conversation.begin(start)
        assert conversation.process is not None
        self._conversations[conversation] = (name, *whose.key)
        conversation.process.ended.add_done_callback(lambda _: self._ended(conversation, stdio, whose.key))
        return conversation

    def _ended(self, conversation: Conversation, stdio: Stdio, caller: tuple[str, str]) -> None:
        self._conversations.pop(conversation, None)
        if conversation.answered or conversation.stopped:
            self._rests.pop((stdio.fingerprint, caller), None)
            return
        if len(self._rests) >= _MOST_RESTS:
            self._rests.clear()
        rest = self._rests.setdefault((stdio.fingerprint, caller), _Rest())
        rest.until_s = self._monotonic_s() + rest.next_s
        rest.next_s = min(max(_FIRST_REST_S, rest.next_s * 2), _LONGEST_REST_S)

    def _leave(self, session: Session) -> None:
        session.conversation.leave(session.party)
        for stream in session.streams.values():
            stream.close()
        if session.stdio.processes is Processes.SESSION:
            self._stop(session.conversation)

    def _stop(self, conversation: Conversation) -> None:
        if conversation.process is not None and not conversation.over:
            conversation.stopped = True
            task = conversation.process.stop()
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


def _stdio(target: Target) -> Stdio:
    assert target.stdio is not None
    return target.stdio
