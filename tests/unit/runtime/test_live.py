"""Whoever is revoked gets nothing more of what goes on, and nobody else loses anything."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import grpc
import pytest

from countersign.model.principal import Principal
from countersign.model.revocation import RevocationKind, RevocationList
from countersign.runtime.live import Live
from countersign.runtime.revocations import Ended, NotKnown, Revoked
from tests.support.events import ALICE
from tests.support.recorders import until
from tests.support.revoking import FakeRevocations, of_principal, revocation

BOB = replace(ALICE, subject="bob", token_id="another")


@pytest.fixture
def revocations() -> FakeRevocations:
    return FakeRevocations()


@pytest.fixture
def live(revocations: FakeRevocations) -> Live:
    return Live(revocations, lambda: 1)


async def _forever() -> None:
    await asyncio.Event().wait()


def _held(
    live: Live,
    principal: Principal,
    session_id: str = "s",
    work: Callable[[], Awaitable[None]] = _forever,
) -> asyncio.Task[None]:
    async def run() -> None:
        with live.hold() as hold:
            hold.of(principal, session_id)
            await work()

    return asyncio.ensure_future(run())


async def test_only_those_who_are_revoked_end(live: Live, revocations: FakeRevocations) -> None:
    alice, bob = _held(live, ALICE), _held(live, BOB)
    await until(lambda: len(live) == 2)
    revocations.revoke(of_principal(ALICE))
    with pytest.raises(Revoked):
        await alice
    assert not bob.done()
    revocations.revoke(revocation(RevocationKind.SESSION, "s"))
    with pytest.raises(Revoked):
        await bob
    assert not len(live)


async def test_all_end_once_nobody_knows_who_is_revoked(live: Live, revocations: FakeRevocations) -> None:
    tasks = [_held(live, ALICE), _held(live, BOB)]
    await until(lambda: len(live) == 2)
    revocations.forget()
    for task in tasks:
        with pytest.raises(NotKnown):
            await task


async def test_what_is_not_allowed_does_not_begin(live: Live, revocations: FakeRevocations) -> None:
    revocations.revoke(of_principal(ALICE))
    with pytest.raises(Revoked):
        await _held(live, ALICE)
    revocations.fresh = False
    with pytest.raises(NotKnown):
        await _held(live, BOB)
    assert not len(live)


async def test_what_swallows_the_end_ends_all_the_same(live: Live, revocations: FakeRevocations) -> None:
    async def swallows() -> None:
        with suppress(asyncio.CancelledError):
            await _forever()

    async def fails() -> None:
        try:
            await _forever()
        except asyncio.CancelledError:
            raise ValueError("another error") from None

    for work in (swallows, fails):
        task = _held(live, ALICE, work=work)
        await until(lambda: len(live) == 1)
        revocations.revoke(of_principal(ALICE))
        with pytest.raises(Revoked):
            await task
        revocations.known = RevocationList()


async def test_who_hangs_up_meanwhile_is_cancelled(live: Live, revocations: FakeRevocations) -> None:
    task = _held(live, ALICE)
    await until(lambda: len(live) == 1)
    task.cancel()
    revocations.revoke(of_principal(ALICE))
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_after_its_block_nothing_is_ended(live: Live, revocations: FakeRevocations) -> None:
    with live.hold() as hold:
        hold.of(ALICE)
    revocations.revoke(of_principal(ALICE))
    await asyncio.sleep(0)
    with pytest.raises(Revoked):
        hold.of(ALICE)


async def test_what_must_be_whole_is_ended_right_after_it(live: Live, revocations: FakeRevocations) -> None:
    goes_on, steps = asyncio.Event(), list[str]()

    async def step() -> None:
        await goes_on.wait()
        steps.append("whole")

    async def run() -> None:
        with live.hold() as hold:
            hold.of(ALICE)
            await hold.whole(step())
            steps.append("after it")

    task = asyncio.ensure_future(run())
    await until(lambda: len(live) == 1)
    revocations.revoke(of_principal(ALICE))
    assert not task.cancelling()
    goes_on.set()
    with pytest.raises(Revoked):
        await task
    assert steps == ["whole"]


async def test_who_hangs_up_in_what_must_be_whole_is_cancelled(live: Live, revocations: FakeRevocations) -> None:
    async def run() -> None:
        with live.hold() as hold:
            hold.of(ALICE)
            await hold.whole(_forever())

    task = asyncio.ensure_future(run())
    await until(lambda: len(live) == 1)
    revocations.revoke(of_principal(ALICE))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("when", ["while it waits", "in a write", "in the write that begins it"])
async def test_a_server_ends_a_stream_wherever_it_is(live: Live, revocations: FakeRevocations, when: str) -> None:
    """A client that reads nothing keeps the server in ``write``, where it hears of nothing else."""
    ended: list[Ended] = []

    async def begin(context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        if when == "in the write that begins it":
            revocations.revoke(of_principal(ALICE))
        await context.write(b"first")

    async def stream(_request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        try:
            with live.hold() as hold:
                hold.of(ALICE)
                await hold.whole(begin(context))
                while when == "in a write":
                    await context.write(bytes(1 << 20))
                await _forever()
        except Ended as error:
            ended.append(error)
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))

    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_stream_rpc_method_handler(stream)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", {"Stream": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            method: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream("/test/Stream")
            call = method(b"")
            assert await call.read() == b"first"
            revocations.revoke(of_principal(ALICE))
            await until(lambda: bool(ended))
            assert await _rest(call) is grpc.StatusCode.UNAUTHENTICATED
    finally:
        await server.stop(None)


async def _rest(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> grpc.StatusCode:
    try:
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return await call.code()
