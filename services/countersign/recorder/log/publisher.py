"""Signs how far the tree has grown, about once a second, has it cosigned, and shows it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from countersign.config.types import Recording
from countersign.recorder.log import checking
from countersign.recorder.log.errors import LogStopped, StateUnusable
from countersign.recorder.log.gate import Gate
from countersign.recorder.log.identity import LogIdentity
from countersign.recorder.log.memory import Memory
from countersign.recorder.log.ports import Cosigner
from countersign.recorder.log.store import PostgresLogStore, Signing, Standing
from countersign.recorder.log.turns import Turn
from countersign.runtime.postgres import DatabaseError
from countersign.tlog import (
    Checkpoint,
    parse_note,
    parse_signatures,
    plan_consistency,
    sign_checkpoint,
)

log = logging.getLogger(__name__)

EVERY_S = 1.0
THIN_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class _Pending:
    """A checkpoint that is signed, and may or may not be shown."""

    size: int
    note: str


class Publisher:
    """Publishes for all recorders while it is this one's turn. ``clock_s`` never goes back.

    Promise: what is signed goes on from all that was signed before, as far as the database, the state file and this
    process remember it, and is remembered on disk before anybody is told.
    """

    def __init__(
        self,
        identity: LogIdentity,
        store: PostgresLogStore,
        memory: Memory,
        gate: Gate,
        cosigner: Cosigner,
        turn: Turn,
        recording: Callable[[], Recording],
        clock_s: Callable[[], float],
    ) -> None:
        self._identity = identity
        self._store = store
        self._memory = memory
        self._gate = gate
        self._cosigner = cosigner
        self._turn = turn
        self._recording = recording
        self._clock_s = clock_s
        self._thinned_s = clock_s()
        self.complaint = ""

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            began = self._clock_s()
            await self.publish()
            await asyncio.sleep(max(0.0, began + EVERY_S - self._clock_s()))

    async def publish(self) -> bool:
        """Sign and show what is new, if it is this recorder's turn; return whether anything is shown that was not."""
        try:
            if not await self._turn.is_mine():
                self.complaint = ""
                return False
            if not self._gate.trusted:
                return False
            pending = await self._signed()
            shown = pending is not None and await self._shown(pending)
            await self._thin()
        except LogStopped as error:
            # The watch looks at once, and says what is wrong.
            self._gate.doubt()
            self._complain(str(error))
            return False
        except (DatabaseError, StateUnusable) as error:
            self._complain(str(error))
            return False
        except Exception as error:
            # Whatever it is, it is tried again; appends wait once too much is not shown.
            self._complain(type(error).__name__)
            return False
        return shown

    async def _signed(self) -> _Pending | None:
        """Return the last checkpoint, of the whole tree where it grew; ``None`` while the tree is empty."""
        standing = await self._store.standing(self._identity.origin)
        last = self._last(standing)
        if last is not None and last.size == standing.integrated_size:
            return _Pending(last.size, standing.signed)
        if not standing.integrated_size:
            return None
        async with self._store.signing(self._identity.origin) as signing:
            # Again: another recorder may have signed meanwhile.
            standing = signing.standing
            last = self._last(standing)
            remembered = self._memory.recall().beside(last)
            before = [one for one in (last, remembered) if one is not None]
            await checking.check(before, standing.integrated_size, signing.tiles)
            if last is not None and last.size == standing.integrated_size:
                return _Pending(last.size, standing.signed)
            return await self._sign(signing, standing.integrated_size, remembered)

    def _last(self, standing: Standing) -> Checkpoint | None:
        """Return the last checkpoint that was signed, if one was. Raises ``LogStopped``."""
        return checking.read_signed(standing.signed, self._identity.verifiers) if standing.signed else None

    async def _sign(self, signing: Signing, size: int, remembered: Checkpoint | None) -> _Pending:
        root = await checking.root_at(size, signing.tiles)
        note = str(sign_checkpoint(Checkpoint(self._identity.origin, size, root), self._identity.signers))
        # First the memory outside of the database: what was signed and forgotten could be signed otherwise.
        await self._memory.keep_new(note, remembered)
        await signing.keep(size, note)
        return _Pending(size, note)

    async def _shown(self, pending: _Pending) -> bool:
        """Have a checkpoint cosigned, and show it when that are enough; else it, or a later one, is tried again."""
        origin = self._identity.origin
        last = await self._store.published(origin)
        if last is not None and last.size >= pending.size:
            self.complaint = ""
            return False
        recording = self._recording()
        lines: Sequence[str] = ()
        if recording.witnesses:
            lines = await self._cosigner.cosign(pending.note, pending.size, partial(self._prove, pending.size))
        if len(lines) < recording.witnesses_needed:
            self._complain(f"{len(lines)} of {recording.witnesses_needed} witnesses that are needed cosigned")
            return False
        if not self._gate.trusted:
            return False
        note = parse_note(pending.note).add(parse_signatures("".join(lines)) if lines else ())
        await self._store.publish(origin, pending.size, str(note))
        standing = await self._store.standing(origin)
        self._gate.published(standing.recorded_size - pending.size)
        if self.complaint:
            log.info("checkpoints are published again")
        self.complaint = ""
        return True

    async def _prove(self, new: int, old: int) -> Sequence[bytes]:
        """See ``Prove``."""
        plan = plan_consistency(old, new)
        return plan.make(await self._store.tiles(plan.tiles))

    async def _thin(self) -> None:
        if self._clock_s() - self._thinned_s > THIN_EVERY_S:
            self._thinned_s = self._clock_s()
            await self._store.thin(self._identity.origin)

    def _complain(self, complaint: str) -> None:
        if complaint != self.complaint:
            log.error("no checkpoint is published now: %s", complaint)
        self.complaint = complaint
