"""Running one gRPC service: health, reflection, signals, drain."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from countersign.api.access.v1 import status_pb2_grpc
from countersign.runtime.listening import CannotListen
from countersign.runtime.parent import end_with_parent
from countersign.runtime.sealing import service_token
from countersign.runtime.settings import ServiceSettings
from countersign.runtime.status import SERVICE as STATUS
from countersign.runtime.status import Report, StatusServer
from countersign.runtime.trust import ServiceGuard, is_private

log = logging.getLogger(__name__)

# One event may hold a whole buffered answer (64 MiB by default) and its frame.
MAX_MESSAGE_BYTES = 80 * 1024 * 1024
HEALTH_S = 0.1
_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)


class Part(Protocol):
    """One of the services as ``serve`` runs it."""

    @property
    def available(self) -> bool:
        """Whether the service can do its work now; health says so."""

    async def open(self) -> None:
        """Get ready to serve; raises what is worth ending for."""

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the gRPC services to ``server``; return their full names."""

    async def run(self) -> None:
        """Do what goes on in the background until cancelled or closed."""

    def drain(self) -> None:
        """Let long-lived streams end by themselves: no new calls come from now on."""

    async def close(self) -> None:
        """Let go of everything; called once, after the last call ended."""


async def serve(
    name: str,
    settings: ServiceSettings,
    part: Part,
    report: Callable[[], Report],
    *also: Callable[[], Awaitable[None]],
) -> None:
    """Serve ``part`` on ``settings.listen`` until SIGTERM or SIGINT, then drain; run ``also`` in the background.

    ``report`` is what the service, by this ``name``, says of itself to those who ask for its status.
    On TCP every call but those to health must bring the service token.
    Promise: when the process is told to stop, health says NOT_SERVING, new calls are refused and calls under way have
    ``settings.drain_s`` to end. Raises ``CannotListen`` and whatever ``part.open`` raises; an error in ``part.run``
    ends the service.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.parent is not None:
        end_with_parent(settings.parent)

    await part.open()
    server = grpc.aio.server(interceptors=_guards(settings), options=_OPTIONS)
    services = (*part.register(server), STATUS)
    status = StatusServer(name, report, lambda: part.available)
    status_pb2_grpc.add_StatusServiceServicer_to_server(status, server)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    health_name = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
    reflection.enable_server_reflection((*services, health_name, reflection.SERVICE_NAME), server)

    async def say(available: bool) -> None:
        status = health_pb2.HealthCheckResponse
        for service in ("", *services):
            await health.set(service, status.SERVING if available else status.NOT_SERVING)

    async def say_what_changes() -> None:
        said = None
        while True:
            if said is not part.available:
                said = part.available
                await say(said)
            await asyncio.sleep(HEALTH_S)

    await say(part.available)
    _listen(server, settings.listen)
    await server.start()
    log.info("serving", extra={"address": settings.listen})

    background = [asyncio.ensure_future(run()) for run in (part.run, *also)]
    saying = asyncio.ensure_future(say_what_changes())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait({stopped, saying, *background}, return_when=asyncio.FIRST_COMPLETED)
    for task in (stopped, saying):
        task.cancel()
    await say(False)
    part.drain()
    await server.stop(settings.drain_s)
    await part.close()
    for task in (saying, *background):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    log.info("stopped")


def _guards(settings: ServiceSettings) -> tuple[ServiceGuard, ...]:
    # A socket that only our user can open needs none, and each call would pay for it.
    return () if is_private(settings.listen) else (ServiceGuard(service_token(settings.sealing_key)),)


def _listen(server: grpc.aio.Server, address: str) -> None:
    before = os.umask(0o077)  # whoever may connect to a socket may append to the record, or ask in Envoy's place
    try:
        if address.startswith("unix:"):
            # A socket that a killed process left behind would refuse us for ever.
            Path(address.removeprefix("unix:")).unlink(missing_ok=True)
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise CannotListen(f"cannot listen on {address}: it is taken, or not an address of this machine") from error
    finally:
        os.umask(before)
