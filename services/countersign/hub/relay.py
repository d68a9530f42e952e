"""A request about something of one target: sent there in the target's words and era, answered in the door's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from countersign.config import GatewayConfig, Target
from countersign.hub.answered import Terms, told
from countersign.hub.asked import FIRST, About, Again, Asked, body_for, headers_for
from countersign.hub.between import ROUND_PARAMS, wants_logs, without_rounds
from countersign.hub.dismissals import Dismissals, Unsent
from countersign.hub.inside import Away, Caller, Inner, Inside, TooLong
from countersign.hub.outgoing import STREAM, Head, Outgoing, event
from countersign.hub.peers import ID, PROGRESS, Owner, Peers, Refused, Waiting, Way
from countersign.hub.questions import CannotAsk, Question, questions, responses_json
from countersign.hub.wording import read, text_at
from countersign.jsontext import Document, JsonRefused, apply_edits, quote, value_at
from countersign.mcp import DENIED, Era, Failure
from countersign.mcp.answers import UNCORRELATED_IDS
from countersign.mcp.eras import MODERN_VERSION
from countersign.mcp.message import id_text
from countersign.mcp.replies import error_json, error_result, result_json
from countersign.model.door import HUB_NAME
from countersign.model.door_names import handle
from countersign.runtime.aside import Aside
from countersign.runtime.live import Live
from countersign.runtime.moments import new_id
from countersign.runtime.revocations import Ended, Revoked

MOST_ROUNDS = 10
"""How often a request is made again for a legacy caller, whose target asks for nothing but that (MCP 2026-07-28)."""
TELL_S = 5.0
"""How long targets are waited for where there is nothing to be had of them."""
OF_REQUESTS, OF_STREAMS = "p", "g"
"""What ids of events begin with: of the answer to a request, and of a stream of the target's own."""
ANSWERED_S = 600.0
"""How long a legacy client may take for what a modern target asks: people are asked, and clients tire before."""
_NO_WAY = "the target asks its client in no way that the one door knows"
_NO_END = "the target has its client come back again and again"
_TOO_LONG = "what the target asks its client, or has it keep, is too long to come back"
_NOT_AGAIN = "no target gets it: the call that it is for is not made again"
_NO_ANSWER = "the client did not answer what the target asks"
_PASSED = ("content-type", "allow", "retry-after")


class Relay:
    """Passes requests on, and their answers back. What it yields is the answer: a head, then pieces of the body.

    Large messages are read, and put into others' words, ``aside``. ``live`` ends what waits for a client to answer once
    its caller is revoked: elsewhere what goes on inside ends.
    """

    def __init__(
        self,
        inside: Inside,
        peers: Peers,
        dismissals: Dismissals,
        config: Callable[[], GatewayConfig],
        aside: Aside,
        live: Live,
    ) -> None:
        self._inside = inside
        self._peers = peers
        self._dismissals = dismissals
        self._config = config
        self._aside = aside
        self._live = live
        self._telling: set[asyncio.Future[None]] = set()

    async def relay(
        self, caller: Caller, owner: Owner, asked: Asked, target: Target, about: About, *, admitted: bool
    ) -> Outgoing:
        """Make the request. When this ends early, the request ends inside, too.

        Of a caller that is not ``admitted`` at the target it is sent as it came, to be denied by its own name, and no
        session is opened for it. Raises ``Unsent``, ``Away``, ``Refused`` before its first item.
        """
        if asked.era is Era.LEGACY:
            owner.waiting[asked.id_json] = Waiting(target.name, asyncio.current_task())
            owner.note(ID, asked.id_json, target.name)
            owner.note(PROGRESS, _progress_token(asked), target.name)
        way, id_json = Way(asked.era, MODERN_VERSION if asked.era is Era.MODERN else owner.version), ""
        try:
            for last in (False, True):
                if admitted:
                    way = await self._way(caller, owner, target, asked.era)
                if asked.era is Era.LEGACY and way.era is Era.MODERN:
                    async with aclosing(self._rounds(caller, owner, asked, about, way)) as items:
                        async for item in items:
                            yield item
                    return
                # Several callers may share a token, and so a session with a legacy target; each counts from one.
                id_json = self._peers.new_id() if asked.era is not way.era else ""
                async with self._sent(caller, asked, about, way, id_json=id_json) as inner:
                    if inner.status != 404 or not way.session_id or last:
                        async for item in self._answer(asked, about, way, inner, id_json):
                            yield item
                        return
                # The target forgot the session, so it did nothing: it is asked again, in another.
                self._peers.forget(owner, target, way)
        except (asyncio.CancelledError, GeneratorExit):
            if id_json:
                # Its caller cancels by hanging up; its target has to be told.
                self._later(self._cancel(caller, target, way, id_json))
            raise
        finally:
            owner.waiting.pop(asked.id_json, None)

    async def close(self) -> None:
        """Let targets be told what is still to be told them."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=TELL_S)

    async def _cancel(self, caller: Caller, target: Target, way: Way, id_json: str) -> None:
        params = f'{{"requestId":{id_json},"reason":"the caller hung up"}}'
        body = f'{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}'
        with suppress(Away, TimeoutError):
            async with asyncio.timeout(TELL_S):
                await self._peers.tell(caller, target, way, body.encode())

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _way(self, caller: Caller, owner: Owner, target: Target, era: Era) -> Way:
        try:
            return await self._peers.way(caller, owner, target, era)
        except (Away, Refused) as cause:
            raise Unsent(cause) from None

    @asynccontextmanager
    async def _sent(
        self,
        caller: Caller,
        asked: Asked,
        about: About,
        way: Way,
        *,
        id_json: str = "",
        again: Again = FIRST,
        capabilities_json: str = "{}",
    ) -> AsyncIterator[Inner]:
        body = await self._aside.run(
            len(asked.document.text),
            lambda: body_for(asked, about, way, id_json=id_json, again=again, capabilities_json=capabilities_json),
        )
        try:
            async with self._inside.ask(caller, about.target, "POST", headers_for(asked, about, way), body) as inner:
                yield inner
        except TooLong as cause:
            raise Unsent(cause) from None

    async def _answer(self, asked: Asked, about: About, way: Way, inner: Inner, id_json: str = "") -> Outgoing:
        terms = replace(_terms(asked, about, way), answers=UNCORRELATED_IDS | {id_json or asked.id_json})
        if inner.status == 401:
            raise await self._peers.refused(inner)
        if inner.is_stream:
            yield STREAM
            async for piece in self.events(inner, terms, OF_REQUESTS):
                yield piece
            return
        body = await inner.body()
        if inner.is_json and body:
            body = (await self._told(await self._read(body), terms) or "").encode()
        yield Head(inner.status, _headers(inner))
        yield body

    async def events(
        self, inner: Inner, terms: Terms, kind: str, only: Collection[str] | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events of a target's stream as the door sends them; ``kind`` is that of their ids.

        One target's ``retry`` is not passed on in ``OF_STREAMS``: it would be for the others, too.
        Given ``only``, what is none of these notifications is left out.
        """
        async for each in inner.events():
            event_id = f"{kind}{handle(terms.target, each.id)}" if each.id and terms.caller is Era.LEGACY else ""
            raw = each.raw if kind == OF_REQUESTS else b""
            if each.data:
                document = await self._read(each.data)
                if only is not None and text_at(document.root, ("method",)) not in only:
                    continue
                text = await self._told(document, terms)
                if text is not None:
                    yield event(text, event_id, raw)
            elif event_id:
                # There for its id: where to begin again.
                yield event("", event_id, raw)

    async def _rounds(self, caller: Caller, owner: Owner, asked: Asked, about: About, way: Way) -> Outgoing:
        """Ask a modern target for a legacy caller, which cannot come back with what the target has it keep or answer.

        What the target asks is put to the client in the stream of its call, and the call is made again with the
        answers: inside, that is judged and recorded as any call is.
        """
        if asked.params.keys() & ROUND_PARAMS:
            plain = apply_edits(asked.document.text, without_rounds(asked.document))
            asked = replace(asked, document=await self._read(plain))
        terms, again, held = _terms(asked, about, way), FIRST, _Held()
        try:
            for number in range(MOST_ROUNDS + 1):
                id_json = self._peers.new_id() if number else asked.id_json
                final = None
                sent = self._sent(
                    *(caller, asked, about, way),
                    id_json=id_json,
                    again=again,
                    capabilities_json=owner.capabilities_json,
                )
                async with sent as inner:
                    # Now it is on record inside.
                    held = _Held()
                    if number and inner.status != 200:
                        raise await self._peers.refused(inner)
                    if not number and (inner.status != 200 or not (inner.is_stream or inner.is_json)):
                        async for item in self._answer(asked, about, way, inner):
                            yield item
                        return
                    if not number:
                        yield STREAM
                    async for document in self._messages(inner):
                        if isinstance(document.root, dict) and id_text(document.root.get("id")) == id_json:
                            final = document
                            break
                        text = await self._told(document, terms)
                        if text is not None:
                            yield event(text)
                if final is None or text_at(final.root, ("result", "resultType")) != "input_required":
                    text = None if final is None else await self._told(final, terms)
                    lost = error_json(asked.id_json, Failure.BAD_GATEWAY.code, "the target's answer broke off")
                    yield event(text or lost)
                    return
                if number == MOST_ROUNDS:
                    # Nobody is asked what would be answered to no one.
                    break
                try:
                    # It is held while the client is waited for, and its target decides how long it is.
                    if len(final.text) > self._config().limits.request_bytes:
                        raise CannotAsk(_TOO_LONG)
                    state = text_at(final.root, ("result", "requestState"))
                    put = await self._aside.run(
                        len(final.text), partial(questions, about.target, final, owner.capabilities_json, new_id)
                    )
                    if not put and not state:
                        raise CannotAsk(_NO_WAY)
                    with _waited_for(owner, put) as answers:
                        held = _Held(put, answers)
                        for question in put:
                            yield event(question.text)
                        again = Again(state, await self._given(caller, answers) if put else "")
                except CannotAsk as reason:
                    await self._let_go(caller, owner, held)
                    yield event(_cannot_answer(asked, str(reason)))
                    return
            yield event(_cannot_answer(asked, _NO_END))
        except (Away, Refused, Unsent, asyncio.CancelledError, GeneratorExit):
            with suppress(Away, Refused):
                await self._let_go(caller, owner, held)
            raise

    async def _let_go(self, caller: Caller, owner: Owner, held: _Held) -> None:
        """Have recorded what was answered, and is told to nobody. Raises ``Away``, ``Refused``."""
        await self._dismissals.answers(caller, owner.version, held.answered, _NOT_AGAIN)

    async def _given(self, caller: Caller, answers: Mapping[str, asyncio.Future[str]]) -> str:
        """Return all answers as ``inputResponses``. Raises ``Refused`` when the caller is revoked meanwhile.

        Raises ``CannotAsk`` when one is an error, or does not come in time, or all are longer than a request may be.
        """
        given = 0
        try:
            with self._live.hold() as hold:
                hold.of(caller.principal)
                async with asyncio.timeout(ANSWERED_S):
                    for coming in asyncio.as_completed(answers.values()):
                        given += len(await coming)
                        if given > self._config().limits.request_bytes:
                            raise CannotAsk(_TOO_LONG)
        except Ended as ended:
            raise ended_as(ended) from None
        except TimeoutError:
            raise CannotAsk(_NO_ANSWER) from None
        found = {key: answer.result() for key, answer in answers.items()}
        if not all(found.values()):
            raise CannotAsk(_NO_ANSWER)
        return responses_json(found)

    async def _messages(self, inner: Inner) -> AsyncGenerator[Document, None]:
        if inner.is_json:
            yield await self._read(await inner.body())
            return
        async for each in inner.events():
            if each.data:
                yield await self._read(each.data)

    async def _read(self, text: bytes | str) -> Document:
        depth = self._config().limits.json_depth + 2
        try:
            return await self._aside.run(len(text), lambda: read(text, depth))
        except JsonRefused:
            raise Away("the answer cannot be read") from None

    async def _told(self, document: Document, terms: Terms) -> str | None:
        return await self._aside.run(len(document.text), lambda: told(document, terms))


def ended_as(ended: Ended) -> Refused:
    """Return the refusal of who is revoked, or who cannot be told apart from those that are."""
    failure = Failure.UNAUTHENTICATED if isinstance(ended, Revoked) else Failure.UNAVAILABLE
    return Refused(failure.status, failure.code, str(ended))


def _terms(asked: Asked, about: About, way: Way) -> Terms:
    own = asked.id_json if asked.era is not way.era else ""
    return Terms(
        about.target,
        asked.era,
        way.era,
        asked.method,
        logs=wants_logs(asked.params),
        id_json=own,
        progress=frozenset({_progress_token(asked)}),
    )


def _progress_token(asked: Asked) -> str:
    return id_text(value_at(asked.params, ("_meta", "progressToken")))


def _headers(inner: Inner) -> tuple[tuple[str, str], ...]:
    return tuple((name, inner.header(name)) for name in _PASSED if inner.header(name))


@dataclass(frozen=True, slots=True)
class _Held:
    """What a client was asked for a call, until that is made again with the answers."""

    put: Sequence[Question] = ()
    answers: Mapping[str, asyncio.Future[str]] = field(default_factory=dict)

    @property
    def answered(self) -> list[tuple[str, str]]:
        """What came, but for errors: the JSON texts of the ids and of the results."""
        came = [(each.own_id, self.answers[each.key]) for each in self.put]
        return [
            (quote(handle(HUB_NAME, own_id)), answer.result())
            for own_id, answer in came
            if answer.done() and not answer.cancelled() and answer.result()
        ]


@contextmanager
def _waited_for(owner: Owner, put: Sequence[Question]) -> Iterator[Mapping[str, asyncio.Future[str]]]:
    """Have the client's answers to these questions taken until the block ends; they come by the questions' keys."""
    loop = asyncio.get_running_loop()
    answers: dict[str, asyncio.Future[str]] = {question.key: loop.create_future() for question in put}
    owner.asked |= {question.own_id: answers[question.key] for question in put}
    try:
        yield answers
    finally:
        for question in put:
            owner.asked.pop(question.own_id, None)


def _cannot_answer(asked: Asked, reason: str) -> str:
    if asked.method == "tools/call":
        return result_json(asked.id_json, error_result(reason, Era.LEGACY))
    return error_json(asked.id_json, DENIED, reason)
