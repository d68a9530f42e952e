"""One recorder's log, taken step by step: over a real database, with a clock that is turned by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from countersign.config.types import Recording, Witness
from countersign.recorder.log.gate import Gate
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.memory import Memory
from countersign.recorder.log.ports import Prove, Published, WitnessView
from countersign.recorder.log.publisher import Publisher
from countersign.recorder.log.store import PostgresLogStore
from countersign.recorder.log.turns import Turn
from countersign.recorder.log.watch import Watch
from countersign.tlog import (
    Checkpoint,
    KeyKind,
    SignerKey,
    cosign,
    open_checkpoint,
    read_unverified,
    verify_consistency,
)
from tests.support.log_keys import log_key


@dataclass
class SomeWitness:
    """Cosigns what goes on from what it cosigned before, while it is ``awake``."""

    awake: bool = True
    key: SignerKey = field(default_factory=lambda: SignerKey("witness.test", KeyKind.COSIGNATURE, bytes([9]) * 32))
    seen: list[int] = field(default_factory=list)
    last: Checkpoint | None = None

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        self.seen.append(size)
        checkpoint = read_unverified(note)[0]
        if not self.awake:
            return ()
        if self.last is not None:
            proof = await prove(self.last.size)
            verify_consistency(self.last.size, self.last.root, checkpoint.size, checkpoint.root, proof)
        self.last = checkpoint
        return (str(cosign(checkpoint.text, self.key, 1)),)

    def views(self) -> Sequence[WitnessView]:
        return ()

    async def close(self) -> None:
        pass


class Rig:
    """A recorder's log. Another one with the same database and ``state`` is the same recorder, started again."""

    def __init__(
        self,
        dsn: str,
        state: Path,
        *,
        keys: Sequence[SignerKey] = (),
        witness: SomeWitness | None = None,
        most_unpublished: int = 100_000,
    ) -> None:
        self.dsn = dsn
        self.identity = LogIdentity(tuple(keys) or (log_key(),), state)
        self.now_s = 0.0
        self.recording = Recording(most_unpublished=most_unpublished)
        if witness is not None:
            named = Witness(name="w", url="https://witness.test", key=str(witness.key.verifier))
            self.recording = replace(self.recording, witnesses=(named,), witnesses_needed=1)
        self.store = PostgresLogStore(dsn)
        self.memory = Memory(self.identity)
        self.gate = Gate(lambda: self.recording.most_unpublished)
        self.recorded: tuple[int, UUID] | None = None
        self.watch = Watch(
            self.identity,
            self.store,
            self.memory,
            self.gate,
            lambda tiles: 0,
            lambda: self.now_s,
            lambda: self.recorded,
        )
        self.publisher = Publisher(
            self.identity,
            self.store,
            self.memory,
            self.gate,
            witness or SomeWitness(),
            Turn(self.store, "publish", uuid4(), lambda: self.now_s),
            lambda: self.recording,
            lambda: self.now_s,
        )

    async def caught_up(self) -> None:
        """Look until all is in the tree, and once more."""
        while await self.watch.look():
            pass
        await self.watch.look()

    async def published(self) -> Published | None:
        """Catch up, publish if it may be; return what is shown then."""
        await self.caught_up()
        await self.publisher.publish()
        return await self.store.published(self.identity.origin)

    async def shown(self) -> Checkpoint:
        """Publish, and return the checkpoint that is shown, verified."""
        shown = await self.published()
        assert shown is not None, self.watch.complaint
        return open_checkpoint(shown.note, self.identity.verifiers).checkpoint

    async def close(self) -> None:
        await self.store.close()


async def end_turns(dsn: str) -> None:
    """Let whoever asks next publish, as after some seconds."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute("DELETE FROM countersign.turns")


async def assert_stopped(one: Rig, *words: str) -> None:
    """It says why, appends wait, and nothing is signed any more."""
    before = await one.store.standing("log.test")
    await one.caught_up()
    assert one.gate.stopped
    for word in words:
        assert word in one.gate.stopped
    assert not await one.publisher.publish()
    assert (await one.store.standing("log.test")).signed == before.signed
    assert not one.gate.trusted
    waiting = asyncio.ensure_future(one.gate.passed(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
