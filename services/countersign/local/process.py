"""What a child is to who keeps it: an id, a way to signal it, and its end."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol


class Process(Protocol):
    """A process that was started for us."""

    @property
    def pid(self) -> int:
        """The process's id."""

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""

    async def ended(self) -> int:
        """Wait for the end; return the exit status (negative: the signal). Any number may wait."""

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it is gone."""


Birth = Callable[[str, Sequence[str], Mapping[str, str], int], Awaitable[Process]]
"""Starts what has this name: the command, the whole environment, and the descriptor for its output and errors.

It is in a group of its own, reads nothing, and inherits no other descriptor. Raises ``OSError``.
"""


class Spawned:
    """A program that runs as our own child. Make one with ``spawn``."""

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ended = asyncio.ensure_future(self._wait(name))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""
        return self._ended.done()

    async def ended(self) -> int:
        """Wait for the end; return the exit status (negative: the signal)."""
        return await asyncio.shield(self._ended)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it is gone."""
        self._process.send_signal(number)

    async def _wait(self, name: str) -> int:
        # A thread a child, for its life: portable, and no signal handler to share. Not one of the loop's own threads:
        # those are few where processors are, and the end of whoever came too late to have one would not be seen.
        thread = ThreadPoolExecutor(1, f"{name} ends")
        try:
            return await asyncio.get_running_loop().run_in_executor(thread, self._process.wait)
        finally:
            thread.shutdown(wait=False)


async def spawn(
    name: str, command: Sequence[str], env: Mapping[str, str], log: int, *, inherited: Sequence[int] = ()
) -> Spawned:
    """Run ``command``; a :data:`Birth`. It gets the descriptors ``inherited``, too."""
    # A group of its own: Ctrl-C in the terminal reaches us only, and we stop the parts in order.
    process = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; the command is ours
        command,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=inherited,
        process_group=0,
    )
    return Spawned(name, process)
