"""Puts the parts of masker together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as pb_grpc

from countersign.masker.server import MaskerService
from countersign.runtime.recording import Recorder
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"


class MaskerPart:
    """Masker in a process; see ``countersign.runtime.serving.Part``."""

    available = True

    def __init__(self, rulebook: Rulebook, recorder: Recorder, sealer: Sealer) -> None:
        self._rulebook = rulebook
        self._recorder = recorder
        self._service = MaskerService(rulebook, recorder, sealer)

    async def open(self) -> None:
        """Connect to the recorder."""
        await self._recorder.start()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add ext_proc to ``server``."""
        pb_grpc.add_ExternalProcessorServicer_to_server(self._service, server)
        return (SERVICE,)

    async def run(self, _on_available: Callable[[bool], Awaitable[None]]) -> None:
        """Follow gateway.yaml."""
        await self._rulebook.follow()

    def drain(self) -> None:
        """Do nothing: streams under way have until the server's stop to end."""

    async def close(self) -> None:
        """Record what is left to say, then let go of the recorder."""
        await self._service.settle()
        await self._recorder.close()
