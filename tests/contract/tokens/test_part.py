"""The recorder's room of tokens: bounded over all sessions, and never a reason for the record to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest

from countersign.api.access.v1 import tokens_pb2, tokens_pb2_grpc
from countersign.recorder.tokens import TokenRoom
from countersign.recorder.tokens.ports import MOST_FOUND, SealedToken
from countersign.recorder.tokens.server import MOST_HEADS, MOST_KEPT_AT_ONCE
from countersign.runtime.token_keys import TokenOwner
from countersign.runtime.tokens import NotKept, NotPutBack, TokenVault, VaultFull
from tests.support.memory_tokens import MemoryTokenStore

KEY = bytes(range(32))
ALICE = TokenOwner("s", "https://issuer.example", "alice", "orders")


class Odd(MemoryTokenStore):
    """A store that fails in a way that nobody foresaw."""

    async def sweep(self, at_most: int) -> int:
        raise ZeroDivisionError("secret text")


@pytest.fixture
async def server() -> AsyncIterator[grpc.aio.Server]:
    server = grpc.aio.server()
    yield server
    await server.stop(None)


async def vault_of(room: TokenRoom, server: grpc.aio.Server) -> TokenVault:
    room.register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    vault = TokenVault(f"127.0.0.1:{port}", KEY)
    await vault.start()
    return vault


async def test_while_all_sessions_together_hold_too_many_no_more_are_kept(server: grpc.aio.Server) -> None:
    room = TokenRoom(MemoryTokenStore())
    vault = await vault_of(room, server)
    await vault.keep(ALICE, {"token one": "value one"})
    await room.tend(most_held=1)
    with pytest.raises(VaultFull):
        await vault.keep(ALICE, {"token two": "value two"})
    assert await vault.real_values(ALICE, {"token one"}) == {"token one": "value one"}
    await room.tend(most_held=2)
    assert not await vault.keep(ALICE, {"token two": "value two"})
    await vault.close()


async def test_a_store_that_is_away_fails_the_call_and_not_the_recorder(server: grpc.aio.Server) -> None:
    store = MemoryTokenStore()
    room = TokenRoom(store)
    vault = await vault_of(room, server)
    store.away = True
    assert await room.tend() == 0
    with pytest.raises(NotKept):
        await vault.keep(ALICE, {"token": "value"})
    with pytest.raises(NotPutBack):
        await vault.real_values(ALICE, {"token"})
    store.away = False
    assert not await vault.keep(ALICE, {"token": "value"})
    await vault.close()


async def test_a_sweep_goes_on_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    running = asyncio.ensure_future(TokenRoom(Odd()).run())
    async with asyncio.timeout(5):
        while not caplog.records:  # noqa: ASYNC110 - a log has no event to wait for
            await asyncio.sleep(0.005)
    assert not running.done()
    running.cancel()
    assert "secret text" not in caplog.text


async def test_what_is_kept_is_not_sent_again(server: grpc.aio.Server) -> None:
    store = MemoryTokenStore()
    vault = await vault_of(TokenRoom(store), server)
    assert not await vault.keep(ALICE, {"token": "value"})
    store.away = True
    assert not await vault.keep(ALICE, {"token": "value"})
    with pytest.raises(NotKept):
        await vault.keep(ALICE, {"token": "another"})
    await vault.close()


async def test_many_tokens_and_many_words_are_asked_for_in_pieces(server: grpc.aio.Server) -> None:
    vault = await vault_of(TokenRoom(MemoryTokenStore()), server)
    made = {f"token{number}": f"value{number}" for number in range(MOST_KEPT_AT_ONCE + 1)}
    assert not await vault.keep(ALICE, made)
    assert await vault.real_values(ALICE, {*made, *map(str, range(MOST_HEADS))}) == made
    assert len(made) < MOST_FOUND
    await vault.close()


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [SealedToken(bytes(16), bytes(16), bytes(8), b"x")] * 2,
        [SealedToken(bytes(15), bytes(16), bytes(8), b"x")],
        [SealedToken(bytes(16), bytes(16), bytes(9), b"x")],
        [SealedToken(bytes(16), bytes(16), bytes(8), b"")],
        [SealedToken(bytes(16), bytes(16), bytes(8), b"x" * 20_000)],
    ],
)
async def test_what_is_not_well_formed_is_refused(server: grpc.aio.Server, tokens: list[SealedToken]) -> None:
    TokenRoom(MemoryTokenStore()).register(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = tokens_pb2_grpc.TokenServiceStub(channel)
        messages = [
            tokens_pb2.SealedToken(mark=one.mark, value_mark=one.value_mark, head=one.head, sealed=one.sealed)
            for one in tokens
        ]
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.KeepTokens(tokens_pb2.KeepTokensRequest(session_id="s", tokens=messages), timeout=5)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
