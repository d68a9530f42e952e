"""Nobody is let in by what an older, shorter or broken list of revocations says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import grpc
import pytest

from countersign.api.access.v1 import revocations_pb2, revocations_pb2_grpc
from countersign.config.types_identity import Revoking
from countersign.model.revocation import RevocationKind
from countersign.runtime.revocations import NotKnown, RevocationView, Revoked, check
from tests.support.cost import cpu_s
from tests.support.events import ALICE
from tests.support.recorders import until
from tests.support.revoking import FakeRevocations, revocation

Response = revocations_pb2.WatchRevocationsResponse
BOB = replace(ALICE, subject="bob", token_id="another")
NOW_US = 1_790_000_000_000_000


def message(revocation_id: str, subject: str = ALICE.subject) -> revocations_pb2.Revocation:
    """A revocation of a subject of Alice's issuer."""
    kind = revocations_pb2.REVOCATION_KIND_PRINCIPAL
    return revocations_pb2.Revocation(revocation_id=revocation_id, kind=kind, issuer=ALICE.issuer, value=subject)


def told(*revocations: revocations_pb2.Revocation, whole: bool = True, restarted: bool = False) -> Response:
    return Response(revocations=revocations, whole=whole, restarted=restarted)


@dataclass
class Scripted(revocations_pb2_grpc.RevocationFeedServiceServicer):
    """A recorder that tells what a test puts in; ``None`` breaks the stream."""

    messages: asyncio.Queue[Response | None] = field(default_factory=asyncio.Queue)
    streams: int = 0
    sent: int = 0

    async def WatchRevocations(
        self,
        _request: revocations_pb2.WatchRevocationsRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> AsyncIterator[Response]:
        self.streams += 1
        while (response := await self.messages.get()) is not None:
            yield response
            self.sent += 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    async def ApplyRevocations(
        self,
        _request: revocations_pb2.ApplyRevocationsRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> revocations_pb2.ApplyRevocationsResponse:
        return await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no")


@dataclass
class World:
    recorder: Scripted
    view: RevocationView
    now_s: float = 0.0
    bound_s: float = 5.0
    changes: int = 0

    def change(self) -> None:
        self.changes += 1

    async def tell(self, response: Response) -> None:
        """Tell, and wait until it changed something."""
        before = self.changes
        self.recorder.messages.put_nowait(response)
        await until(lambda: self.changes > before)

    def revoked(self, subject: str = ALICE.subject) -> bool:
        return self.view.of_principal(replace(BOB, subject=subject), NOW_US) is not None


def _is_fresh(world: World) -> bool:
    return world.view.fresh


@pytest.fixture
async def world() -> AsyncIterator[World]:
    recorder = Scripted()
    server = grpc.aio.server()
    revocations_pb2_grpc.add_RevocationFeedServiceServicer_to_server(recorder, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    view = RevocationView(
        f"127.0.0.1:{port}",
        revoking=lambda: Revoking(unknown_after_s=made.bound_s),
        monotonic_s=lambda: made.now_s,
        most=3,
    )
    made = World(recorder, view)
    view.on_change(made.change)
    await view.start()
    try:
        yield made
    finally:
        await view.close()
        await server.stop(None)


async def test_nothing_is_known_before_all_was_told(world: World) -> None:
    with pytest.raises(NotKnown):
        check(world.view, BOB, NOW_US)
    world.recorder.messages.put_nowait(told(message("1"), whole=False))
    await until(lambda: world.recorder.sent == 1)
    assert not _is_fresh(world)
    await world.tell(told(message("2", "carol")))
    assert _is_fresh(world)
    assert world.revoked()
    assert world.revoked("carol")
    check(world.view, BOB, NOW_US)


async def test_silence_makes_nothing_known_and_those_who_follow_hear_of_it(world: World) -> None:
    world.bound_s = 0.05
    await world.tell(told())
    assert _is_fresh(world)
    changes = world.changes
    world.now_s += 0.1
    assert not _is_fresh(world)
    await until(lambda: world.changes > changes)
    await world.tell(told())
    assert _is_fresh(world)


async def test_a_bound_that_is_edited_counts_at_once(world: World) -> None:
    await world.tell(told())
    world.now_s += 4.0
    assert _is_fresh(world)
    world.bound_s = 3.0
    assert not _is_fresh(world)


async def test_a_stream_that_breaks_before_it_told_all_takes_nothing_out_of_force(world: World) -> None:
    await world.tell(told(message("1")))
    world.recorder.messages.put_nowait(None)
    await until(lambda: world.recorder.streams == 2)
    world.recorder.messages.put_nowait(told(message("2", "carol"), whole=False))
    world.recorder.messages.put_nowait(None)
    await until(lambda: world.recorder.streams == 3)
    assert world.revoked()
    # It was lifted while nobody listened: only a whole list says so.
    await world.tell(told(message("2", "carol")))
    assert not world.revoked()
    assert world.revoked("carol")


async def test_a_list_that_is_told_anew_takes_the_place_of_the_old_one_only_when_whole(world: World) -> None:
    await world.tell(told(message("1")))
    world.recorder.messages.put_nowait(told(message("2", "carol"), whole=False, restarted=True))
    await until(lambda: world.recorder.sent == 2)
    assert world.revoked()
    await world.tell(told())
    assert not world.revoked()
    assert world.revoked("carol")


async def test_the_pages_of_a_change_are_in_force_at_once_and_prove_nothing(world: World) -> None:
    await world.tell(told())
    world.now_s += 4.0
    await world.tell(told(message("1"), whole=False))
    assert world.revoked()
    world.now_s += 2.0
    assert not _is_fresh(world)


async def test_what_is_lifted_is_forgotten(world: World) -> None:
    await world.tell(told(message("1")))
    world.recorder.messages.put_nowait(Response(lifted=["1", "unknown"], whole=True))
    await until(lambda: not world.revoked())


async def test_a_kind_that_is_not_understood_lets_nobody_in(world: World) -> None:
    await world.tell(told(message("1")))
    await world.tell(told(revocations_pb2.Revocation(revocation_id="2", issuer=ALICE.issuer)))
    with pytest.raises(NotKnown):
        check(world.view, BOB, NOW_US)
    await world.tell(told(message("1")))
    check(world.view, BOB, NOW_US)


async def test_a_recorder_that_never_stops_telling_fills_no_memory(world: World) -> None:
    await world.tell(told())
    await world.tell(told(*[message(str(number), str(number)) for number in range(4)]))
    assert not _is_fresh(world)


async def test_what_follows_and_fails_keeps_nobody_from_hearing(world: World) -> None:
    heard: list[str] = []

    def fails() -> None:
        raise ValueError("quotes a token")

    world.view.on_change(fails)
    world.view.on_change(lambda: heard.append("heard"))
    await world.tell(told(message("1")))
    assert heard
    assert _is_fresh(world)


def test_what_is_said_of_a_revocation_tells_the_caller_nothing_else() -> None:
    fake = FakeRevocations()
    fake.revoke(revocation(RevocationKind.ISSUER, "", ALICE.issuer))
    with pytest.raises(Revoked, match=r"^the token was revoked$"):
        check(fake, ALICE, NOW_US, "session")
    fake = FakeRevocations()
    fake.revoke(revocation(RevocationKind.SESSION, "session"))
    check(fake, ALICE, NOW_US, "other")
    with pytest.raises(Revoked, match=r"^the session was revoked$"):
        check(fake, ALICE, NOW_US, "session")


def test_to_ask_costs_a_call_next_to_nothing() -> None:
    """5 µs are the aim, which tests/bench measures; to walk the list would cost a thousand times that."""
    fake = FakeRevocations()
    for number in range(10_000):
        fake.known.put(revocation(RevocationKind.TOKEN, str(number), ALICE.issuer))

    def ask() -> None:
        for _ in range(1_000):
            check(fake, ALICE, NOW_US, "session")

    assert cpu_s(ask) < 0.05
