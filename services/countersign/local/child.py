"""One child process: started, probed until ready, stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from countersign.local.process import Birth, Process, spawn

_PROBE_S = 0.05


class CannotStart(RuntimeError):
    """A part did not become ready; the message is one line with the reason."""


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run: ``command`` ends with this process; ``ready`` says whether it serves; ``stop`` asks it to end.

    ``birth`` is how it is started.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[], Awaitable[bool]]
    stop: signal.Signals = signal.SIGTERM
    start_within_s: float = 30.0
    birth: Birth = spawn


class Child:
    """A running child. Make one with ``start``."""

    def __init__(self, spec: ChildSpec, process: Process) -> None:
        self.spec = spec
        self._process = process

    @classmethod
    async def start(cls, spec: ChildSpec) -> Child:
        """Start and wait until ready; ``CannotStart`` when it ends before or takes too long, and it is gone then."""
        log_start = spec.log.stat().st_size if spec.log.exists() else 0
        descriptor = os.open(spec.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            process = await spec.birth(spec.name, spec.command, spec.env, descriptor)
        except OSError as error:
            raise CannotStart(f"{spec.name} cannot be started: {error.strerror}") from error
        finally:
            os.close(descriptor)
        child = cls(spec, process)
        try:
            await child._become_ready(log_start)
        except BaseException:
            await child.stop(within_s=2.0)
            raise
        return child

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def ended(self) -> int:
        """Wait for the end; return the exit status (negative: the signal)."""
        return await self._process.ended()

    async def stop(self, *, within_s: float) -> None:
        """Ask it to end, and end it after ``within_s``. Returns when it is gone."""
        if self._process.is_over:
            return
        self._process.send_signal(self.spec.stop)
        try:
            await asyncio.wait_for(self.ended(), within_s)
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            await self.ended()

    async def _become_ready(self, log_start: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.spec.start_within_s
        over = asyncio.ensure_future(self.ended())
        try:
            while loop.time() < deadline:
                if self._process.is_over:
                    raise CannotStart(f"{self.spec.name} cannot start: {_last_words(self.spec.log, log_start)}")
                if await self.spec.ready():
                    return
                await asyncio.wait({over}, timeout=_PROBE_S)
        finally:
            over.cancel()
        seconds = f"{self.spec.start_within_s:.0f} s"
        raise CannotStart(f"{self.spec.name} was not ready within {seconds}: see {self.spec.log}")


def _last_words(log: Path, start: int) -> str:
    """Return the last line that the child wrote since ``start``, as text."""
    with log.open("rb") as file:
        file.seek(start)
        lines = [line for line in file.read()[-16384:].decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return "it ended without a word"
    line = lines[-1].strip()
    with suppress(ValueError, KeyError, TypeError):
        line = json.loads(line)["message"]
    return f"{line} (log: {log})"
