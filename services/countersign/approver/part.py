"""Puts the approver's parts together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import grpc

from countersign.api.approvals.v1 import approvals_pb2, broker_pb2
from countersign.model.principal import Principal
from countersign.runtime.moments import now_us
from countersign.runtime.recording import Recorder
from countersign.runtime.sealing import Sealer


@dataclass(frozen=True, slots=True)
class Shared:
    """What other rooms of the approver's process (notifications, the page) get."""

    dsn: str
    clock_us: Callable[[], int]


class Room(Protocol):
    """What else the approver does besides its gRPC services."""

    async def run(self) -> None:
        """Do it until cancelled."""

    async def close(self) -> None:
        """Let go of everything; called once."""


class ApproverPart:
    """The approver in a process; see ``countersign.runtime.serving.Part``.

    ``rooms`` make what else it does (notifications, the page) of what they share with it; they run beside it.
    ``is_auditor`` and ``is_operator`` are asked on every call.
    """

    def __init__(
        self,
        dsn: str,
        *,
        recorder: Recorder,
        sealer: Sealer,
        is_auditor: Callable[[Principal], bool],
        is_operator: Callable[[Principal], bool],
        rooms: Sequence[Callable[[Shared], Room]] = (),
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._recorder = recorder
        self._rooms = tuple(make(Shared(dsn, clock_us)) for make in rooms)

    @property
    def available(self) -> bool:
        """Whether the database answers."""
        return False

    async def open(self) -> None:
        """Connect to the recorder and the database, and migrate; see ``RecorderPart.open``."""
        await self._recorder.start()

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Add the services to ``server``; return their full names."""
        return (
            broker_pb2.DESCRIPTOR.services_by_name["ApprovalBrokerService"].full_name,
            approvals_pb2.DESCRIPTOR.services_by_name["ApprovalService"].full_name,
        )

    async def run(self) -> None:
        """Relay, sweep, follow and whatever the rooms do, until cancelled."""
        await asyncio.gather(*(room.run() for room in self._rooms))

    def drain(self) -> None:
        """Have waits and watches end: call it before the server is stopped."""

    async def close(self) -> None:
        """Let go of the rooms, the recorder and the database."""
        for room in self._rooms:
            await room.close()
        await self._recorder.close()
