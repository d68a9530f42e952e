"""A part is ready when it says so itself, and not before, whatever lies where it will listen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from countersign.local.probes import grpc_serving
from tests.support.gateway import short_folder


@pytest.fixture
def place() -> Iterator[Path]:
    folder = short_folder()
    yield folder / "part"
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


async def test_what_nobody_bound_is_not_ready(place: Path) -> None:
    assert not await grpc_serving(f"unix:{place}")()


async def test_a_file_or_a_socket_that_was_left_behind_is_not_ready(place: Path) -> None:
    place.write_text("no socket")
    assert not await grpc_serving(f"unix:{place}")()
    place.unlink()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(place))
    assert not await grpc_serving(f"unix:{place}")()


@pytest.mark.parametrize("by_path", [True, False])
async def test_it_is_ready_when_it_says_so(place: Path, by_path: bool) -> None:
    server, health = grpc.aio.server(), HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port(f"unix:{place}" if by_path else "127.0.0.1:0")
    await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    await server.start()
    try:
        probe = grpc_serving(f"unix:{place}" if by_path else f"127.0.0.1:{port}")
        assert not await probe()
        await health.set("", health_pb2.HealthCheckResponse.SERVING)
        assert await probe()
    finally:
        await server.stop(None)
