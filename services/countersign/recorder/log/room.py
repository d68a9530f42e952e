"""Puts the log together, as the recorder runs it."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import grpc

from countersign.config.types import Recording
from countersign.recorder.log.gate import Gate
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.memory import Memory
from countersign.recorder.log.ports import Cosigner, LogView, Prove, Published, WitnessView
from countersign.recorder.log.publisher import Publisher
from countersign.recorder.log.store import PostgresLogStore
from countersign.recorder.log.turns import Turn
from countersign.recorder.log.watch import Watch
from countersign.runtime.postgres import DatabaseError
from countersign.tlog import TileId


class NoWitnesses:
    """A log without witnesses. See ``Cosigner``."""

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        """See ``Cosigner``."""
        return ()

    def views(self) -> Sequence[WitnessView]:
        """See ``Cosigner``."""
        return ()

    async def close(self) -> None:
        """See ``Cosigner``."""


class LogRoom:
    """The log within a recorder, see ``Room``. ``gate`` says whether events may be recorded.

    ``recording`` is what gateway.yaml says of it now; for ``recorded`` see ``Watch``. A ``TreeReader`` for who makes
    proofs.
    """

    def __init__(
        self,
        dsn: str,
        identity: LogIdentity,
        recording: Callable[[], Recording],
        cosigner: Cosigner | None = None,
        *,
        recorded: Callable[[], tuple[int, uuid.UUID] | None] = lambda: None,
    ) -> None:
        self.identity = identity
        self.gate = Gate(lambda: recording().most_unpublished)
        self._store = PostgresLogStore(dsn)
        self._whose = uuid.uuid4()
        self._cosigner = cosigner or NoWitnesses()
        self._turn = self.turn("publish")
        memory = Memory(identity)
        self._watch = Watch(identity, self._store, memory, self.gate, random.randrange, time.monotonic, recorded)
        self._publisher = Publisher(
            identity, self._store, memory, self.gate, self._cosigner, self._turn, recording, time.monotonic
        )

    @property
    def view(self) -> LogView:
        """How the log stood when it was last looked at, at most a second or so ago."""
        published = self._watch.published
        return LogView(
            origin=self.identity.origin,
            recorded_size=self._watch.standing.recorded_size,
            integrated_size=self._watch.standing.integrated_size,
            published_size=published.size if published is not None else 0,
            published_us=published.published_us if published is not None else 0,
            lag_s=self._watch.lag_s,
            stopped=self.gate.stopped,
            problem=self._watch.complaint or self._publisher.complaint,
            is_behind=self.gate.behind,
            keys=tuple(map(str, self.identity.verifiers)),
        )

    @property
    def witnesses(self) -> Sequence[WitnessView]:
        """What is known of each witness."""
        return self._cosigner.views()

    def turn(self, work: str) -> Turn:
        """Return this recorder's claim to a kind of work that one recorder does for all."""
        return Turn(self._store, work, self._whose, time.monotonic)

    async def tiles(self, wanted: Collection[TileId]) -> Mapping[TileId, bytes]:
        """See ``TreeReader``."""
        return await self._store.tiles(wanted)

    async def published(self, origin: str = "") -> Published | None:
        """See ``TreeReader``; of this log when no ``origin`` is given."""
        return await self._store.published(origin or self.identity.origin)

    async def published_size(self) -> int:
        """Return how many events the latest checkpoint of this log shows. Raises ``DatabaseUnavailable``."""
        latest = await self.published()
        return 0 if latest is None else latest.size

    def register(self, server: grpc.aio.Server) -> tuple[str, ...]:
        """Nothing: what it holds is read by other rooms."""
        return ()

    async def run(self) -> None:
        """Integrate, look and publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._publisher.run())

    def drain(self) -> None:
        """Nothing: it has no streams."""

    async def close(self) -> None:
        """Let others publish, and let go of everything."""
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._turn.end()
        await self._cosigner.close()
        await self._store.close()
