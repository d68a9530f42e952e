"""What ``grpc.aio``'s clients get of the server: the same as of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from countersign.runtime.rpc import Call, Server
from tests.unit.runtime.rpc.place import path_of, serving, within

_MIB = 1 << 20


async def _echo(request: bytes, call: Call) -> bytes:
    await asyncio.sleep(0)
    return request


ECHO: Any = grpc.unary_unary_rpc_method_handler(_echo)


async def test_each_of_many_calls_gets_its_own_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, {"Echo": ECHO}) as (_, channel):
        echo = channel.unary_unary(path_of("Echo"))
        asked = [b"%d" % number for number in range(500)]
        assert await within(asyncio.gather(*(echo(each) for each in asked))) == asked


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_535, 3 * _MIB, 8 * _MIB])
async def test_messages_of_every_size_arrive_whole(tmp_path: Path, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    async with serving(tmp_path, {"Echo": ECHO}) as (_, channel):
        echo = channel.unary_unary(path_of("Echo"))
        assert await within(asyncio.gather(*(echo(message) for _ in range(3)))) == [message] * 3


async def test_a_message_larger_than_permitted_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, {"Echo": ECHO}, most_bytes=_MIB) as (_, channel):
        echo = channel.unary_unary(path_of("Echo"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await within(echo(bytes(_MIB + 1)))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await within(echo(b"still there")) == b"still there"


async def test_a_compressed_message_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, {"Echo": ECHO}) as (_, channel):
        echo = channel.unary_unary(path_of("Echo"))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await within(echo(b"a" * 1_000, compression=grpc.Compression.Gzip))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_status_and_what_is_said_with_it_reach_the_caller(tmp_path: Path) -> None:
    async def abort(request: bytes, call: Call) -> bytes:
        await call.abort(grpc.StatusCode.NOT_FOUND, request.decode())

    async def state(request: bytes, call: Call) -> bytes:
        call.set_code(grpc.StatusCode.FAILED_PRECONDITION)
        call.set_details(request.decode())
        return b"not to be sent"

    methods: dict[str, Any] = {
        "Abort": grpc.unary_unary_rpc_method_handler(abort),
        "State": grpc.unary_unary_rpc_method_handler(state),
    }
    async with serving(tmp_path, methods) as (_, channel):
        for method, code in (("Abort", grpc.StatusCode.NOT_FOUND), ("State", grpc.StatusCode.FAILED_PRECONDITION)):
            for details in ("gone", "50 % größer\n", "", "é" * 300):
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await within(channel.unary_unary(path_of(method))(details.encode()))
                assert refused.value.code() is code
                said = refused.value.details() or ""
                assert details.startswith(said)
                assert said == details or len(details) > 20


async def test_an_unforeseen_error_says_nothing_of_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: bytes, call: Call) -> bytes:
        raise ValueError(request.decode())

    async with serving(tmp_path, {"Fail": grpc.unary_unary_rpc_method_handler(fail)}) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await within(channel.unary_unary(path_of("Fail"))(b"a value of somebody"))
        assert refused.value.code() is grpc.StatusCode.UNKNOWN
        assert "somebody" not in (refused.value.details() or "") + caplog.text


async def test_a_method_that_nobody_serves_is_unimplemented(tmp_path: Path) -> None:
    async with serving(tmp_path, {"Echo": ECHO}) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await within(channel.unary_unary("/test.Other/Echo")(b""))
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def _letters(requests: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request.upper()


async def _by_hand(requests: AsyncIterator[bytes], call: Call) -> None:
    while isinstance(message := await call.read(), bytes):
        await call.write(message.upper())


@pytest.mark.parametrize("method", [_letters, _by_hand], ids=["by iterators", "by hand"])
async def test_a_stream_is_answered_message_by_message(tmp_path: Path, method: Any) -> None:
    async with serving(tmp_path, {"Talk": grpc.stream_stream_rpc_method_handler(method)}) as (_, channel):
        stream = channel.stream_stream(path_of("Talk"))()
        for _ in range(3):
            await within(stream.write(b"abc"))
            assert await within(stream.read()) == b"ABC"
        await within(stream.done_writing())
        assert await within(stream.read()) is grpc.aio.EOF
        assert await within(stream.code()) is grpc.StatusCode.OK


async def test_who_reads_slowly_is_sent_no_more_than_there_is_room_for(tmp_path: Path) -> None:
    read = asyncio.Event()

    async def count(requests: AsyncIterator[bytes], call: Call) -> bytes:
        await read.wait()
        total = 0
        async for request in requests:
            total += len(request)
        return b"%d" % total

    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            yield bytes(256 * 1024)
            sent += 1

    async with serving(tmp_path, {"Count": grpc.stream_unary_rpc_method_handler(count), "Echo": ECHO}) as (_, channel):
        counted = asyncio.ensure_future(channel.stream_unary(path_of("Count"))(pieces()))
        # Others are not held up meanwhile, though as much as fits has come of this one.
        echo = channel.unary_unary(path_of("Echo"))
        for _ in range(50):
            assert await within(echo(bytes(100_000))) == bytes(100_000)
        assert sent < 64
        read.set()
        assert await within(counted) == b"%d" % (64 * 256 * 1024)


async def test_who_is_read_from_slowly_waits(tmp_path: Path) -> None:
    async def many(request: bytes, call: Call) -> AsyncIterator[bytes]:
        for number in range(40):
            yield b"%d" % number * 100_000

    async with serving(tmp_path, {"Many": grpc.unary_stream_rpc_method_handler(many)}) as (_, channel):
        stream = channel.unary_stream(path_of("Many"))(b"")
        found = [await within(stream.read()) for _ in range(40)]
        assert found == [b"%d" % number * 100_000 for number in range(40)]
        assert await within(stream.code()) is grpc.StatusCode.OK


async def test_a_message_that_was_begun_arrives_whole_whoever_gives_it_up(tmp_path: Path) -> None:
    large = bytes(range(256)) * 16 * 1024

    async def give_up(request: bytes, call: Call) -> None:
        writing = asyncio.ensure_future(call.write(large))
        await asyncio.sleep(0)
        writing.cancel()
        await call.abort(grpc.StatusCode.ABORTED, "given up")

    async with serving(tmp_path, {"Give": grpc.unary_stream_rpc_method_handler(give_up)}) as (_, channel):
        stream = channel.unary_stream(path_of("Give"))(b"")
        assert await within(stream.read()) == large
        assert await within(stream.code()) is grpc.StatusCode.ABORTED


async def test_a_call_may_end_before_its_caller_does(tmp_path: Path) -> None:
    async def one(requests: AsyncIterator[bytes], call: Call) -> None:
        await call.write(await call.read())

    async with serving(tmp_path, {"One": grpc.stream_stream_rpc_method_handler(one)}) as (_, channel):
        for _ in range(20):
            stream = channel.stream_stream(path_of("One"))()
            await within(stream.write(b"a"))
            assert await within(stream.read()) == b"a"
            assert await within(stream.code()) is grpc.StatusCode.OK


class _Held:
    """Serves a call that never ends by itself, and tells when it began and when it was given up."""

    def __init__(self) -> None:
        self.began, self.given_up = asyncio.Event(), asyncio.Event()

    async def hold(self, request: bytes, call: Call) -> bytes:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()
        return b""


async def test_a_call_whose_caller_hangs_up_is_given_up(tmp_path: Path) -> None:
    held = _Held()
    async with serving(tmp_path, {"Hold": grpc.unary_unary_rpc_method_handler(held.hold)}) as (_, channel):
        call = channel.unary_unary(path_of("Hold"))(b"")
        await within(held.began.wait())
        call.cancel()
        await within(held.given_up.wait())


async def test_a_call_whose_connection_is_lost_is_given_up(tmp_path: Path) -> None:
    held = _Held()
    async with serving(tmp_path, {"Hold": grpc.unary_unary_rpc_method_handler(held.hold)}) as (_, channel):
        call = asyncio.ensure_future(channel.unary_unary(path_of("Hold"))(b""))
        await within(held.began.wait())
        await channel.close(grace=0)
        await within(held.given_up.wait())
        with pytest.raises((grpc.aio.AioRpcError, asyncio.CancelledError)):
            await within(call)


async def test_what_yields_answers_is_closed_with_its_call(tmp_path: Path) -> None:
    closed = asyncio.Event()

    async def endless(request: bytes, call: Call) -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
        finally:
            closed.set()

    async with serving(tmp_path, {"Endless": grpc.unary_stream_rpc_method_handler(endless)}) as (_, channel):
        stream = channel.unary_stream(path_of("Endless"))(b"")
        await within(stream.read())
        stream.cancel()
        await within(closed.wait())


async def test_a_call_whose_time_is_over_is_given_up(tmp_path: Path) -> None:
    held = _Held()
    async with serving(tmp_path, {"Hold": grpc.unary_unary_rpc_method_handler(held.hold)}) as (_, channel):
        with pytest.raises(grpc.aio.AioRpcError) as over:
            await within(channel.unary_unary(path_of("Hold"))(b"", timeout=0.5, wait_for_ready=True))
        assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if held.began.is_set():
            await within(held.given_up.wait())


async def test_a_service_knows_what_was_sent_beside_and_how_long_is_left(tmp_path: Path) -> None:
    told: list[Any] = []

    async def tell(request: bytes, call: Call) -> bytes:
        told.append((dict(call.invocation_metadata()), call.time_remaining()))
        return b""

    async with serving(tmp_path, {"Tell": grpc.unary_unary_rpc_method_handler(tell)}) as (_, channel):
        ask = channel.unary_unary(path_of("Tell"))
        await within(ask(b"", metadata=(("traceparent", "00-1"), ("raw-bin", b"\x00\xff")), timeout=500))
        await within(ask(b""))
    (metadata, left_s), (_, unknown) = told
    assert (metadata["traceparent"], metadata["raw-bin"]) == ("00-1", b"\x00\xff")
    # gRPC rounds up what it sends.
    assert 0 < left_s < 510
    assert unknown is None


async def test_who_leaves_ends_what_is_under_way_and_begins_nothing_more(tmp_path: Path) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()

    async def wait(request: bytes, call: Call) -> bytes:
        began.set()
        await go_on.wait()
        return b"done"

    async with serving(tmp_path, {"Wait": grpc.unary_unary_rpc_method_handler(wait)}) as (server, channel):
        ask = channel.unary_unary(path_of("Wait"))
        under_way = asyncio.ensure_future(ask(b""))
        await within(began.wait())
        left = asyncio.ensure_future(server.stop(600))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await within(ask(b""))
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not left.done()
        go_on.set()
        assert await within(under_way) == b"done"
        await within(left)


async def test_who_leaves_gives_up_what_lasts_longer_than_its_grace(tmp_path: Path) -> None:
    held = _Held()
    async with serving(tmp_path, {"Hold": grpc.unary_unary_rpc_method_handler(held.hold)}) as (server, channel):
        call = asyncio.ensure_future(channel.unary_unary(path_of("Hold"))(b""))
        await within(held.began.wait())
        await within(server.stop(0))
        await within(held.given_up.wait())
        with pytest.raises(grpc.aio.AioRpcError):
            await within(call)


async def test_generated_services_are_served(tmp_path: Path) -> None:
    server, health = Server(most_bytes=1_000), HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    server.add_insecure_port(f"unix:{tmp_path / 's'}")
    await server.start()
    serving_now, not_now = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 's'}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest()
        assert (await within(stub.Check(asked))).status == serving_now
        watched = stub.Watch(asked)
        assert (await within(watched.read())).status == serving_now
        await health.set("", not_now)
        assert (await within(watched.read())).status == not_now
        watched.cancel()
    await within(server.stop(0))


async def test_only_unix_sockets_that_nobody_has_are_taken(tmp_path: Path) -> None:
    first, second = Server(most_bytes=1), Server(most_bytes=1)
    first.add_insecure_port(f"unix:{tmp_path / 's'}")
    for address in (f"unix:{tmp_path / 's'}", "127.0.0.1:0"):
        with pytest.raises(RuntimeError):
            second.add_insecure_port(address)
    await first.stop(0)
