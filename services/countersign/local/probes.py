"""Is a part ready? Each probe answers at once, and never raises."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

Probe = Callable[[], Awaitable[bool]]
_PROBE_S = 1.0


def grpc_serving(address: str) -> Probe:
    """Return a probe that asks grpc.health.v1 at ``address``."""

    async def probe() -> bool:
        # A channel costs milliseconds of the time in which the service should start, so not one for each look.
        if not _may_listen(address):
            return False
        async with grpc.aio.insecure_channel(address, (("grpc.use_local_subchannel_pool", 1),)) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=""), timeout=_PROBE_S)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def _may_listen(address: str) -> bool:
    return not address.startswith("unix:") or Path(address.removeprefix("unix:")).is_socket()


def envoy_live(admin: str) -> Probe:
    """Return a probe that asks Envoy's admin socket (``unix:/path``) whether it serves."""

    async def probe() -> bool:
        try:
            async with asyncio.timeout(_PROBE_S):
                return b"LIVE" in await _get(admin.removeprefix("unix:"), "/ready")
        except (OSError, TimeoutError):
            return False

    return probe


async def _get(path: str, resource: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(f"GET {resource} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        return await reader.read()
    finally:
        writer.close()
