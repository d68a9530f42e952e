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
    import httpx

    from countersign.recorder.witnesses.asking import OneWitness

GRACE_S: Final = 0.25
"""How long others are waited for once as many cosigned as are needed."""
_CONNECT_S: Final = 3.0


class Witnesses:
    """A ``Cosigner`` for the witnesses that ``recording`` returns now, which may change. ``clock_s``: POSIX seconds.

    One that is slow is not waited for once enough others cosigned: it goes on beside, and is not asked again meanwhile.
    """

    def __init__(
        self, recording: Callable[[], Recording], clock_s: Callable[[], int] = lambda: int(time.time())
    ) -> None:
        self._recording = recording
        self._clock_s = clock_s
        self._client: httpx.AsyncClient | None = None
        self._known: Mapping[Witness, OneWitness] = {}
        self._busy: dict[Witness, asyncio.Task[str]] = {}

    async def cosign(self, note: str, size: int, prove: Prove) -> Sequence[str]:
        """See ``Cosigner``."""
        recording = self._recording()
        self._follow(recording.witnesses)
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
        if self._client is not None:
            await self._client.aclose()

    def _free(self, witness: Witness, _: asyncio.Task[str]) -> None:
        self._busy.pop(witness, None)

    def _follow(self, witnesses: Sequence[Witness]) -> None:
        if tuple(self._known) == tuple(witnesses):
            return
        # Here, not at the top: most recorders ask no witness, and to speak HTTP takes memory.
        import httpx

        from countersign.recorder.witnesses.asking import TIMEOUT_S, OneWitness

        if self._client is None:
            timeout = httpx.Timeout(TIMEOUT_S, connect=_CONNECT_S)
            self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False)
        self._known = {
            witness: self._known.get(witness) or OneWitness(witness, self._client, self._clock_s)
            for witness in witnesses
        }


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
