"""Puts the parts of masker together."""

from __future__ import annotations

import grpc
from envoy.service.accesslog.v3 import als_pb2_grpc
from envoy.service.ext_proc.v3 import external_processor_pb2_grpc as pb_grpc

from countersign.masker.ends import Ends
from countersign.masker.hangups import HangUpService
from countersign.masker.server import MaskerService
from countersign.runtime.handles import RecorderHandles
from countersign.runtime.moments import new_id, now_us
from countersign.runtime.pins import PinnedTools
from countersign.runtime.recording import Recorder
from countersign.runtime.revocations import Followed
from countersign.runtime.rulebook import Rulebook
from countersign.runtime.sealing import Sealer
from countersign.runtime.tokens import TokenVault

SERVICES = ("envoy.service.ext_proc.v3.ExternalProcessor", "envoy.service.accesslog.v3.AccessLogService")


class MaskerPart:
    """Masker in a process; see ``countersign.runtime.serving.Part``."""

    def __init__(
        self,
        rulebook: Rulebook,
        recorder: Recorder,
        pins: PinnedTools,
        sealer: Sealer,
        revocations: Followed,
        vault: TokenVault,
        handles: RecorderHandles,
    ) -> None:
        self._revocations = revocations
        self._rulebook = rulebook
        self._recorder = recorder
        self._pins = pins
        self._vault = vault
        self._handles = handles
        ends = Ends()
        self._service = MaskerService(rulebook, recorder, sealer, pins, revocations, vault, handles, ends)
        self._hang_ups = HangUpService(recorder, now_us, new_id, ends)

    @property
    def available(self) -> bool:
        """Whether answers can be released: the recorder tells what was revoked, and which tools stand as accepted."""
        return self._pins.fresh and self._revocations.fresh

    async def open(self) -> None:
        """Connect to the recorder."""
        await self._revocations.start()
        await self._recorder.start()
        await self._pins.start()
        await self._vault.start()
        await self._handles.start()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add ext_proc, and the log of calls without an answer, to ``server``."""
        pb_grpc.add_ExternalProcessorServicer_to_server(self._service, server)
        als_pb2_grpc.add_AccessLogServiceServicer_to_server(self._hang_ups, server)
        return SERVICES

    async def run(self) -> None:
        """Follow gateway.yaml."""
        await self._rulebook.follow()

    def drain(self) -> None:
        """End what Envoy would keep open; answers under way have until the server's stop."""
        self._hang_ups.drain()

    async def close(self) -> None:
        """Record what is left to say, then let go of the recorder."""
        await self._service.settle()
        await self._recorder.close()
        await self._revocations.close()
        await self._pins.close()
        await self._vault.close()
        await self._handles.close()
