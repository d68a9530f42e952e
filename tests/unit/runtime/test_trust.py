"""On TCP nobody speaks to a service without the deployment's service token; on a Unix socket it needs none."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from countersign.api.recorder.v1 import recorder_pb2, recorder_pb2_grpc
from countersign.runtime.recording import Recorder
from countersign.runtime.sealing import Sealer, service_token
from countersign.runtime.trust import SERVICE_HEADER, ServiceGuard, is_private
from tests.support.events import request
from tests.unit.recorder.test_recording import Scripted

KEY = bytes(range(32))
TOKEN = service_token(KEY)
GOOD = ((SERVICE_HEADER, TOKEN),)
Metadata = tuple[tuple[str, str | bytes], ...]
BAD: dict[str, Metadata] = {
    "none": (),
    "empty": ((SERVICE_HEADER, ""),),
    "of another key": ((SERVICE_HEADER, service_token(bytes(32))),),
    "the good one cut short": ((SERVICE_HEADER, TOKEN[:-1]),),
    "the good one twice": (*GOOD, *GOOD),
    "the good one beside another": (*GOOD, (SERVICE_HEADER, "other")),
    "under another name": (("authorization", f"Bearer {TOKEN}"),),
}


@asynccontextmanager
async def guarded(scripted: Scripted) -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server(interceptors=(ServiceGuard(TOKEN),))
    recorder_pb2_grpc.add_RecorderServiceServicer_to_server(scripted, server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    reflection.enable_server_reflection((reflection.SERVICE_NAME,), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = (("grpc.use_local_subchannel_pool", 1),)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
            yield channel
    finally:
        await server.stop(None)


async def code_of_append(channel: grpc.aio.Channel, metadata: Metadata) -> grpc.StatusCode:
    """Open a stream and write nothing: a write that meets the refusal would end in a status of this side's own."""
    return await recorder_pb2_grpc.RecorderServiceStub(channel).Append(metadata=metadata, timeout=10).code()


@pytest.mark.parametrize("how", BAD)
async def test_a_stream_without_the_token_is_refused_before_anything_of_it_is_read(how: str) -> None:
    scripted = Scripted()
    async with guarded(scripted) as channel:
        assert await code_of_append(channel, BAD[how]) is grpc.StatusCode.UNAUTHENTICATED
    assert scripted.streams == 0


async def test_with_the_token_calls_pass() -> None:
    scripted = Scripted()
    async with guarded(scripted) as channel:
        batches = iter([recorder_pb2.AppendRequest(batch_id=1)])
        stream = recorder_pb2_grpc.RecorderServiceStub(channel).Append(batches, metadata=GOOD, timeout=10)
        assert [answer.batch_id async for answer in stream] == [1]
    assert scripted.streams == 1


async def test_health_answers_anybody_and_reflection_does_not() -> None:
    async with guarded(Scripted()) as channel:
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(timeout=10)
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "method",
    ["/no.Such/Method", "/countersign.api.recorder.v1.RecorderService/Append", "/grpc.health.v1.HealthX/Check"],
)
async def test_a_unary_call_of_a_stranger_learns_not_even_what_there_is(method: str) -> None:
    async with guarded(Scripted()) as channel:
        call = channel.unary_unary(method, Empty.SerializeToString, Empty.FromString)(Empty(), timeout=10)
        assert await call.code() is grpc.StatusCode.UNAUTHENTICATED


async def test_the_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(one: bytes, two: bytes) -> bool:
        compared.append(one)
        return real(one, two)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    async with guarded(Scripted()) as channel:
        await code_of_append(channel, ((SERVICE_HEADER, "guess"),))
    assert compared == [b"guess"]


async def test_a_sender_of_events_with_the_token_is_let_in() -> None:
    scripted = Scripted()
    server = grpc.aio.server(interceptors=(ServiceGuard(TOKEN),))
    recorder_pb2_grpc.add_RecorderServiceServicer_to_server(scripted, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    limits = {"queue_events": 10, "queue_bytes": 10**6}
    sender = Recorder(f"127.0.0.1:{port}", **limits, timeout_s=10, service_token=TOKEN)
    await sender.start()
    await sender.record(request())
    await sender.close()
    await server.stop(None)
    assert sum(map(len, scripted.batches)) == 1


def test_the_token_is_of_its_key_and_opens_nothing_sealed() -> None:
    assert service_token(KEY) == TOKEN != service_token(bytes(32))
    assert TOKEN.isascii()
    assert len(TOKEN) >= 43
    assert TOKEN not in repr(Sealer(KEY))
    with pytest.raises(ValueError, match="at least 32"):
        service_token(b"short")


@pytest.mark.parametrize("address", ["127.0.0.1:9000", "[::1]:9000", "authz:9000", "unix-abstract:x", "dns:///authz:1"])
def test_only_a_unix_socket_with_a_mode_is_private(address: str) -> None:
    assert not is_private(address)
    assert is_private("unix:/run/a.sock")
