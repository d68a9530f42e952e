"""One server's process: started under a warden, written to and read by lines, ended with all that came of it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from countersign.bridge import warden
from countersign.bridge.lines import Line, LineReader
from countersign.config import Secret
from countersign.config.types import Stdio

log = logging.getLogger(__name__)

_CHUNK_BYTES = 64 * 1024
_PASSED = ("PATH", "TZ")
_LEAVE_S = 1.0
"""How long a server has to end by itself once its input ended, as MCP has it be told (2025-11-25, Lifecycle)."""
_MOST_WRITERS = 64
_WARDEN_S = warden.GRACE_S + 3.0


class CannotStart(Exception):
    """The server's process cannot be made. The message is safe to show."""


@dataclass(frozen=True, slots=True)
class End:
    """How a process ended: ``why`` is safe to show."""

    code: int

    @property
    def why(self) -> str:
        """What to tell people."""
        match self.code:
            case warden.CANNOT_START:
                return "the server's program cannot be run"
            case warden.TOO_MUCH_MEMORY:
                return "the server used more memory than it may"
            case warden.TOO_MANY_TASKS:
                return "the server had more processes than it may"
        return "the server's process ended"


class Process:
    """A running server; make one with ``start``. ``on_line`` is awaited for each line before the next is read."""

    def __init__(self, child: asyncio.subprocess.Process, home: Path, name: str) -> None:
        self._child = child
        self._home = home
        self._name = name
        self._writing = asyncio.Lock()
        self._writers = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping: asyncio.Task[None] | None = None
        self._waiting: asyncio.Task[None] | None = None
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    @classmethod
    async def start(
        cls,
        name: str,
        stdio: Stdio,
        environment: Mapping[str, str],
        on_line: Callable[[Line], Awaitable[None]],
        *,
        most_bytes: int,
    ) -> Process:
        """Start the server of the target ``name``; ``environment`` is ours, of which it is given next to nothing.

        ``most_bytes`` bounds a line. Raises ``CannotStart``.
        """
        home = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="countersign-"))
        limits = stdio.limits
        bounds = warden.Limits(
            limits.memory_bytes,
            limits.tasks,
            limits.open_files,
            limits.cpu_s or 0,
            stdio.cwd or str(home),
            str(home),
            stdio.user,
        )
        try:
            if stdio.user:
                await asyncio.to_thread(shutil.chown, home, stdio.user)
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", warden.__file__, str(os.getpid()), json.dumps(bounds._asdict()), "--", *stdio.command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment_of(stdio, environment, home),
                start_new_session=True,
                limit=_CHUNK_BYTES,
            )
        except (OSError, LookupError) as error:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
            log.error("%s: no process can be made: %s", name, type(error).__name__)  # noqa: TRY400 - it may tell secrets
            raise CannotStart("the server's process cannot be started") from None
        process = cls(child, home, name)
        process._tasks = [
            asyncio.ensure_future(process._read(on_line, most_bytes)),
            asyncio.ensure_future(process._skip_errors()),
        ]
        process._waiting = asyncio.ensure_future(process._wait())
        return process

    @property
    def pid(self) -> int:
        """The warden's id."""
        return self._child.pid

    @property
    def crowded(self) -> bool:
        """Whether so many wait for the server to read that nobody else should."""
        return self._writers >= _MOST_WRITERS

    async def write(self, line: bytes) -> None:
        """Write one line, once the server takes it. What is written to one that ended is lost."""
        assert self._child.stdin is not None
        self._writers += 1
        try:
            async with self._writing:
                with suppress(ConnectionError, RuntimeError):
                    # First for what others left who were cancelled: else it would pile up.
                    await self._child.stdin.drain()
                    self._child.stdin.write(line + b"\n")
                    await self._child.stdin.drain()
        finally:
            self._writers -= 1

    def stop(self) -> asyncio.Task[None]:
        """Have it end, with all that came of it: by the end of its input, then by signals. Await what is returned."""
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
        return self._stopping

    async def _stop(self) -> None:
        if self._child.stdin is not None:
            self._child.stdin.close()
        for ask, wait_s in ((None, _LEAVE_S), (signal.SIGTERM, _WARDEN_S), (signal.SIGKILL, None)):
            if ask is not None:
                with suppress(ProcessLookupError):
                    self._child.send_signal(ask)
            try:
                await asyncio.wait_for(asyncio.shield(self.ended), wait_s)
            except TimeoutError:
                continue
            return

    async def _read(self, on_line: Callable[[Line], Awaitable[None]], most_bytes: int) -> None:
        assert self._child.stdout is not None
        reader = LineReader(most_bytes)
        try:
            while data := await self._child.stdout.read(_CHUNK_BYTES):
                for line in reader.feed(data):
                    await on_line(line)
        except Exception as error:
            # What it says may hold what no log may.
            log.error("%s: reading the server failed: %s", self._name, type(error).__name__)  # noqa: TRY400
        finally:
            # Nothing can be heard of it any more, and nobody is to wait for it.
            self.stop()

    async def _skip_errors(self) -> None:
        # Read, lest the server waits for us; what it says may hold what no log may.
        assert self._child.stderr is not None
        size = 0
        while data := await self._child.stderr.read(_CHUNK_BYTES):
            size += len(data)
        if size:
            log.info("%s: the server wrote %d bytes of diagnostics, which are not kept", self._name, size)

    async def _wait(self) -> None:
        code = await self._child.wait()
        # What it wrote last is still to be read; its pipes end with the last process that came of it.
        _, left = await asyncio.wait(self._tasks, timeout=_LEAVE_S)
        for task in left:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(shutil.rmtree, self._home, ignore_errors=True)
        end = End(code)
        log.info("%s: the server's process ended with %d", self._name, code)
        self.ended.set_result(end)


def environment_of(stdio: Stdio, ours: Mapping[str, str], home: Path) -> dict[str, str]:
    """Return all that the server finds in its environment: nothing of the gateway's but where programs are."""
    env = {name: ours[name] for name in _PASSED if name in ours}
    env |= {"HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}
    for name, value in stdio.env.items():
        env[name] = value.reveal() if isinstance(value, Secret) else value
    return env
