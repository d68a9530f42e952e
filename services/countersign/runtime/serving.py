"""Running one gRPC service: health, reflection, signals, drain."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from countersign.runtime.parent import end_with_parent
from countersign.runtime.settings import ServiceSettings

log = logging.getLogger(__name__)

# One event may hold a whole buffered answer (64 MiB by default) and its frame.
MAX_MESSAGE_BYTES = 80 * 1024 * 1024
OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)


class Health:
    """What grpc.health.v1 says of this process: serving once started, and not while a need is unmet."""

    def __init__(self, servicer: HealthServicer, services: tuple[str, ...]) -> None:
        self._servicer = servicer
        self._services = ("", *services)

    async def set(self, serving: bool) -> None:
        """Say that all services of this process are serving, or are not."""
        status = health_pb2.HealthCheckResponse.SERVING if serving else health_pb2.HealthCheckResponse.NOT_SERVING
        for service in self._services:
            await self._servicer.set(service, status)


@dataclass(slots=True)
class Running:
    """What a service's ``start`` returns: the names it serves, and what to do while it runs and when it ends.

    ``background`` runs until it is cancelled and may steer ``Health``; when it ends by an error the service ends too.
    """

    services: tuple[str, ...]
    background: Callable[[Health], Awaitable[None]] | None = None
    close: Callable[[], Awaitable[None]] | None = None
    ready: Callable[[], bool] = field(default=lambda: True)


class CannotListen(RuntimeError):
    """The address is taken or not ours."""


async def serve(settings: ServiceSettings, start: Callable[[grpc.aio.Server], Awaitable[Running]]) -> None:
    """Serve what ``start`` registers on ``settings.listen`` until SIGTERM or SIGINT, then drain.

    Promise: when the process is told to stop, health says NOT_SERVING, new calls are refused and calls under way have
    ``settings.drain_s`` to end. Raises ``CannotListen``.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.parent is not None:
        end_with_parent(settings.parent)

    server = grpc.aio.server(options=OPTIONS)
    servicer = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    running = await start(server)
    health = Health(servicer, running.services)
    await health.set(serving=False)
    names = (*running.services, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server)
    _listen(server, settings.listen)
    await server.start()
    await health.set(serving=running.ready())
    log.info("serving", extra={"address": settings.listen})

    background = asyncio.ensure_future(running.background(health)) if running.background else None
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({stopped, background} if background else {stopped}, return_when=asyncio.FIRST_COMPLETED)

    await health.set(serving=False)
    await server.stop(settings.drain_s)
    if running.close is not None:
        await running.close()
    stopped.cancel()
    if background is not None:
        background.cancel()
        with suppress(asyncio.CancelledError):
            await background
    log.info("stopped")


def _listen(server: grpc.aio.Server, address: str) -> None:
    if address.startswith("unix:"):
        # A socket that a killed process left behind would refuse us for ever.
        Path(address.removeprefix("unix:")).unlink(missing_ok=True)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}: it is taken, or not an address of this machine") from error
    if port == 0:
        raise CannotListen(f"cannot listen on {address}")
