"""All witnesses, asked side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from countersign.config.types import Recording, Witness
from countersign.recorder.log.ports import Prove, WitnessView

if TYPE_CHECKING:
    from countersign.recorder.witnesses.asking import OneWitness

GRACE_S: Final = 0.25
"""How long others are waited for once as many cosigned as are needed."""


class Witnesses:
    """A ``Cosigner`` for the witnesses that ``recording`` returns now, which may change. ``clock_s``: POSIX seconds.

    One that is slow is not waited for once enough others cosigned: it goes on beside, and is not asked again meanwhile.
    """

    def __init__(
        self, recording: Callable[[], Recording], clock_s: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self._recording = recording
        self._clock_s = clock_s
        self._known: Mapping[Witness, OneWitness] = {}
        # Those that gateway.yaml names no more; one may still be asked.
        self._gone: dict[Witness, OneWitness] = {}
        self._busy: dict[Witness, asyncio.Task[str]] = {}

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        """See ``Cosigner``."""
        recording = self._recording()
        await self._follow(recording.witnesses)
        asked = []
        for witness, one in self._known.items():
            if witness not in self._busy:
                task = asyncio.create_task(one.ask(note, size, prove))
                self._busy[witness] = task
                task.add_done_callback(partial(self._free, witness))
                asked.append(task)
        return await _gathered(asked, recording.witnesses_needed)

    def views(self) -> Sequence[WitnessView]:
        """See ``Cosigner``."""
        return [
            self._known[witness].view
            if witness in self._known
            else WitnessView(witness.name, 0, "this recorder did not ask it yet: if others run, one of them does")
            for witness in self._recording().witnesses
        ]

    async def close(self) -> None:
        """See ``Cosigner``."""
        busy = list(self._busy.values())
        for task in busy:
            task.cancel()
        await asyncio.gather(*busy, return_exceptions=True)
        for one in (*self._known.values(), *self._gone.values()):
            await one.close()

    def _free(self, witness: Witness, _: asyncio.Task[str]) -> None:
        self._busy.pop(witness, None)

    async def _follow(self, witnesses: Sequence[Witness]) -> None:
        for witness in self._gone.keys() - self._busy.keys():
            await self._gone.pop(witness).close()
        if tuple(self._known) == tuple(witnesses):
            return
        # Here, not at the top: most recorders ask no witness, and to speak HTTP takes memory.
        from countersign.recorder.witnesses.asking import OneWitness
        from countersign.recorder.witnesses.way import Way

        before = {**self._gone, **self._known}
        self._known = {
            witness: before.get(witness) or OneWitness(witness, Way(witness.ca), self._clock_s) for witness in witnesses
        }
        self._gone = {witness: one for witness, one in before.items() if witness not in self._known}


async def _gathered(asked: Sequence[asyncio.Task[str]], needed: int) -> Sequence[str]:
    """Return the lines that were to be had: all, or what there is a little after ``needed`` were."""
    waiting = set(asked)
    deadline: float | None = None
    loop = asyncio.get_running_loop()
    while waiting:
        timeout = None if deadline is None else max(0.0, deadline - loop.time())
        done, waiting = await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            break
        if deadline is None and sum(_line(task) != "" for task in asked) >= needed:
            deadline = loop.time() + GRACE_S
    return [line for line in map(_line, asked) if line]


def _line(task: asyncio.Task[str]) -> str:
    return task.result() if task.done() and not task.cancelled() else ""
