"""Whoever is revoked gets no byte more of an answer, whatever state it is in, and the record says so."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from countersign.masker.server import MaskerService
from countersign.model.event import EventKind
from countersign.model.handoff import HandedCall, Handoff
from countersign.model.revocation import RevocationKind
from countersign.runtime.moments import new_id
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from tests.support.pins import FakePins
from tests.support.recorders import until
from tests.support.revoking import FakeRevocations, of_principal, revocation
from tests.support.sinks import Sink
from tests.unit.masker.test_service import ALICE, GATEWAY, Aborted, Stream, message

JSON, EVENTS = "application/json", "text/event-stream"


@pytest.fixture(scope="module")
def rulebook(tmp_path_factory: pytest.TempPathFactory, rules_cache: Path) -> Rulebook:
    path = tmp_path_factory.mktemp("revoked") / "gateway.yaml"
    path.write_text(GATEWAY)
    return Rulebook(path, {}, rules_cache, reads=())


class Silent(Stream):
    """Envoy while the target is silent: once all is said, nothing comes and nothing ends."""

    async def read(self) -> object:
        if not self._messages:
            await asyncio.Event().wait()
        return await super().read()

    @property
    def waits(self) -> bool:
        return not self._messages


class World:
    def __init__(self, rulebook: Rulebook) -> None:
        self.sink, self.revocations = Sink(), FakeRevocations()
        self.service = MaskerService(rulebook, self.sink, Sealer(bytes(range(32))), FakePins(), self.revocations)
        version, calls = rulebook.current.config.version, (HandedCall("1", "tools/call", "query"),)
        self.handoff = Handoff(new_id(), new_id(), 0, "orders", "legacy", ALICE, calls, ("pii",), version)

    def head(self, kind: str) -> pb.ProcessingRequest:
        head = pb.HttpHeaders()
        for name, value in ((":status", "200"), ("content-type", kind)):
            head.headers.headers.add(key=name, raw_value=value.encode())
        return message(self.handoff, response_headers=head)

    def body(self, data: bytes, *, ends: bool = False) -> pb.ProcessingRequest:
        return message(self.handoff, response_body=pb.HttpBody(body=data, end_of_stream=ends))

    async def play(self, stream: Stream) -> None:
        with_context: object = stream
        try:
            await self.service.Process(iter(()), with_context)  # type: ignore[arg-type]  # as much of both as it uses
        except Aborted:
            assert stream.aborted
        await self.service.settle()

    def recorded(self) -> list[tuple[EventKind, int, str]]:
        return [(event.kind, event.status, event.reason) for event in self.sink.durable]


@pytest.fixture
def world(rulebook: Rulebook) -> World:
    return World(rulebook)


def _event(number: int) -> bytes:
    text = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progress": number}})
    return b"data: " + text.encode() + b"\n\n"


@pytest.mark.parametrize("how", ["principal", "session", "unknown"])
async def test_an_open_stream_is_cut_while_its_target_is_silent(world: World, how: str) -> None:
    stream = Silent([world.head(EVENTS), world.body(_event(1))])
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: len(stream.written) == 2)
    if how == "unknown":
        world.revocations.forget()
    elif how == "session":
        world.revocations.revoke(revocation(RevocationKind.SESSION, world.handoff.session_id))
    else:
        world.revocations.revoke(of_principal(ALICE))
    await playing
    assert stream.aborted
    assert len(stream.written) == 2
    kind, _, reason = world.recorded()[-1]
    assert kind is EventKind.STREAM_END
    assert "revoked" in reason


async def test_an_answer_that_is_collected_is_withheld(world: World) -> None:
    stream = Silent([world.head(JSON), world.body(b'{"jsonrpc": "2.0", ')])
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: stream.waits)
    world.revocations.revoke(of_principal(ALICE))
    await playing
    assert [reply.immediate_response.status.code for reply in stream.written] == [502]
    assert world.recorded() == [(EventKind.RESPONSE, 502, "the token was revoked")]


@pytest.mark.parametrize("kind", [JSON, EVENTS])
@pytest.mark.parametrize("known", [True, False], ids=["revoked", "unknown"])
async def test_an_answer_that_comes_later_is_withheld(world: World, kind: str, *, known: bool) -> None:
    world.revocations.known.put(of_principal(ALICE))
    world.revocations.fresh = known
    stream = Stream([world.head(kind), world.body(_event(1), ends=True)])
    await world.play(stream)
    assert [reply.immediate_response.status.code for reply in stream.written] == [502]
    assert [(kind, status) for kind, status, _ in world.recorded()] == [(EventKind.RESPONSE, 502)]


async def test_another_callers_stream_goes_on(world: World) -> None:
    stream = Silent([world.head(EVENTS), world.body(_event(1))])
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: len(stream.written) == 2)
    world.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "bob", ALICE.issuer))
    world.revocations.revoke(revocation(RevocationKind.TOKEN, "another", ALICE.issuer))
    stream._messages.append(world.body(_event(2)))
    assert not playing.done()
    world.revocations.revoke(revocation(RevocationKind.TOKEN, ALICE.token_id, ALICE.issuer))
    await playing
    assert stream.aborted


async def test_a_request_that_is_held_for_its_body_is_not_sent(world: World) -> None:
    world.revocations.known.put(of_principal(ALICE))
    stream = Stream(
        [
            message(world.handoff, request_headers=pb.HttpHeaders()),
            message(world.handoff, request_body=pb.HttpBody(body=b"{}", end_of_stream=True)),
        ]
    )
    await world.play(stream)
    assert stream.written[-1].immediate_response.status.code == 503
    assert world.recorded() == [(EventKind.RESPONSE, 503, "the call was not sent: the token was revoked")]


async def test_a_stream_of_which_the_record_cannot_be_told_is_cut_all_the_same(world: World) -> None:
    stream = Silent([world.head(EVENTS), world.body(_event(1))])
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: len(stream.written) == 2)
    world.sink.refuse = lambda _: True
    world.revocations.revoke(of_principal(ALICE))
    await playing
    assert stream.aborted


def _sent(world: World, body: bytes) -> list[pb.ProcessingRequest]:
    """A request that passes here on its way to a target, as Envoy tells of it; a GET has no body."""
    head = message(world.handoff, request_headers=pb.HttpHeaders(end_of_stream=not body))
    return [head, message(world.handoff, request_body=pb.HttpBody(body=body, end_of_stream=True))] if body else [head]


@pytest.mark.parametrize("body", [b"{}", b""], ids=["post", "get"])
@pytest.mark.parametrize("known", [True, False], ids=["revoked", "unknown"])
async def test_a_call_whose_target_is_silent_is_ended_at_once(world: World, body: bytes, *, known: bool) -> None:
    stream = Silent(_sent(world, body))
    playing = asyncio.ensure_future(world.play(stream))
    passed = 2 if body else 1
    await until(lambda: len(stream.written) == passed)
    assert not world.recorded()
    if known:
        world.revocations.revoke(of_principal(ALICE))
    else:
        world.revocations.forget()
    await playing
    assert [reply.immediate_response.status.code for reply in stream.written[passed:]] == [502]
    # Envoy would have the target's answer pass as it is, had this stream ended well.
    assert stream.aborted
    why = "the token was revoked" if known else "what was revoked is not known now"
    assert world.recorded() == [(EventKind.RESPONSE, 502, why)]


async def test_a_call_whose_end_the_record_cannot_be_told_of_is_ended_all_the_same(world: World) -> None:
    world.sink.refuse = lambda _: True
    stream = Silent(_sent(world, b"{}"))
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: len(stream.written) == 2)
    world.revocations.revoke(of_principal(ALICE))
    await playing
    assert stream.written[-1].immediate_response.status.code == 502
    assert stream.aborted


async def test_a_request_without_a_body_is_not_sent_for_the_revoked(world: World) -> None:
    world.revocations.known.put(of_principal(ALICE))
    stream = Stream(_sent(world, b""))
    await world.play(stream)
    assert [reply.immediate_response.status.code for reply in stream.written] == [503]
    assert world.recorded() == [(EventKind.RESPONSE, 503, "the call was not sent: the token was revoked")]


async def test_who_waits_for_a_silent_target_is_not_ended_with_others(world: World) -> None:
    stream = Silent(_sent(world, b"{}"))
    playing = asyncio.ensure_future(world.play(stream))
    await until(lambda: len(stream.written) == 2)
    world.revocations.revoke(revocation(RevocationKind.PRINCIPAL, "bob", ALICE.issuer))
    world.revocations.revoke(revocation(RevocationKind.SESSION, new_id()))
    assert not playing.done()
    world.revocations.revoke(revocation(RevocationKind.SESSION, world.handoff.session_id))
    await playing
    assert world.recorded() == [(EventKind.RESPONSE, 502, "the session was revoked")]
