"""The process that services are forked from, seen by ``up``: kept running, asked for services, heard of their ends."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from countersign.local.nursery import MOST_BYTES, written
from countersign.local.process import Process, Spawned, spawn

NAME = "nursery"
ANSWER_S = 60.0
"""How long a service waits for being forked, at most: the first time, all that it needs is imported meanwhile."""
WORD_S = 10.0
"""How long after a process's end the nursery may take to tell its exit status; then it runs again without."""
_STOP_S = 2.0


class CannotFork(Exception):
    """No process can be forked; the message says why."""


class Forked:
    """A process that the nursery forked, known by a descriptor: an id may be another's by now, that never is."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self._pid = pid
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._is_told, self._is_gone = True, False
        self._status: asyncio.Future[int] = self._loop.create_future()
        # Its end is seen here, also when nobody is left to tell of it, or whoever should stands still.
        self._loop.add_reader(descriptor, self._gone)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._pid

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""
        return self._status.done()

    async def ended(self) -> int:
        """Wait for the end; return the exit status (negative: the signal)."""
        return await asyncio.shield(self._status)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it is gone."""
        if not self.is_over:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def end(self, status: int) -> None:
        """Note how it ended, once; what comes later is ignored."""
        if not self.is_over:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._status.set_result(status)

    def orphan(self) -> None:
        """Expect nobody to tell how it ended."""
        self._is_told = False
        if self._is_gone:
            self._end_unheard()

    def _gone(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._is_gone = True
        self._loop.call_later(WORD_S if self._is_told else 0.0, self._end_unheard)

    def _end_unheard(self) -> None:
        # Of one that ended after its nursery nobody knows how, unless it became ours then: it was asked to end.
        if not self.is_over:
            status = -signal.SIGTERM
            with suppress(ChildProcessError):
                found = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG)
                if found is not None:
                    status = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
            self.end(status)


class _Nursery:
    """One nursery, from its start to its end."""

    def __init__(self, process: Spawned, control: socket.socket, on_ready: Callable[[int], None]) -> None:
        self.process = process
        self.is_lost = self.is_closing = False
        self._is_ready = False
        self._control = control
        self._on_ready = on_ready
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Forked]] = {}
        self._children: dict[int, Forked] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(control, self._hear)

    async def fork(self, name: str, env: Mapping[str, str], log: int) -> Forked:
        """Have ``name`` forked. Raises ``CannotFork``, ``OSError``."""
        number = next(self._numbers)
        answer: asyncio.Future[Forked] = self._loop.create_future()
        environment = os.memfd_create("environment", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(environment), "wb") as file:
                file.write(written(env))
            socket.send_fds(self._control, [f"{number} {name}".encode()], [log, environment])
        finally:
            os.close(environment)
        self._asked[number] = answer
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except BaseException as error:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                _abandon(answer.result())
            if isinstance(error, TimeoutError):
                raise CannotFork(f"no answer within {ANSWER_S:.0f} s") from None
            raise

    def _hear(self) -> None:
        while not self.is_lost:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._control, MOST_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            except OSError:
                data, descriptors = b"", []
            match data.decode().split(" ", 2):
                case ["ready"]:
                    self._is_ready = True
                    self._on_ready(self.process.pid)
                case ["born", number, pid] if descriptors:
                    self._born(int(number), Forked(int(pid), descriptors[0]))
                case ["refused", number, reason]:
                    self._settle(int(number), CannotFork(reason))
                case ["ended", pid, status]:
                    self._children.pop(int(pid)).end(int(status))
                case _:
                    # It hung up; or there is no room for the descriptor of what was born, which nobody else would end.
                    self.lose()

    def _born(self, number: int, child: Forked) -> None:
        self._children[child.pid] = child
        if not self._settle(number, child):
            _abandon(child)

    def _settle(self, number: int, result: Forked | CannotFork) -> bool:
        answer = self._asked.pop(number)
        if answer.done():
            return False
        if isinstance(result, CannotFork):
            answer.set_exception(result)
        else:
            answer.set_result(result)
        return True

    def lose(self) -> None:
        """Hear nothing of it any more: it ends, and with it what it forked."""
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for number in list(self._asked):
            self._settle(number, CannotFork("the nursery ended"))
        for child in self._children.values():
            child.orphan()

    async def close(self) -> None:
        """Return when it, and all that it forked, is gone; what was asked for and not yet born is not to live."""
        self.is_closing = True
        for answer in self._asked.values():
            answer.cancel()
        for child in self._children.values():
            child.send_signal(signal.SIGKILL)
        if not self._is_ready:
            # It still imports, and has nobody to end.
            self.process.send_signal(signal.SIGKILL)
        elif not self.is_lost:
            with suppress(OSError):  # it hung up
                self._control.shutdown(socket.SHUT_WR)
        try:
            await asyncio.wait_for(self.process.ended(), _STOP_S)
        except TimeoutError:
            self.process.send_signal(signal.SIGKILL)
            await self.process.ended()
        self.lose()
        await asyncio.gather(*(child.ended() for child in self._children.values()))


def _abandon(child: Forked) -> None:
    # Whoever asked for it waits no more, and nobody else would ever stop it.
    child.send_signal(signal.SIGKILL)


class Nurseries:
    """Starts services by having them forked; where that cannot be, as programs of their own. One nursery at a time.

    ``command`` is how one is run (the number of its descriptor and our id are appended), with ``env`` and ``log``.
    ``say`` is told, for people, what becomes of it.
    """

    def __init__(
        self, command: Sequence[str], env: Mapping[str, str], log: Path, say: Callable[[str, str], None]
    ) -> None:
        self._command = tuple(command)
        self._env = env
        self._log = log
        self._say = say
        self._current: _Nursery | None = None
        self._watched: dict[asyncio.Task[None], _Nursery] = {}
        """All that have not ended, and who waits for that."""

    async def begin(self) -> None:
        """Start one, unless one runs, to import while others do something else."""
        with suppress(CannotFork, OSError):  # which the first birth will tell
            await self._nursery()

    async def birth(self, name: str, command: Sequence[str], env: Mapping[str, str], log: int) -> Process:
        """Start the service ``name``, also after the nursery died; see :data:`countersign.local.process.Birth`."""
        try:
            nursery = await self._nursery()
            return await nursery.fork(name, env, log)
        except (CannotFork, OSError) as error:
            self._say(NAME, f"{_reason(error)}: {name} is run as a program of its own")
            return await spawn(name, command, env, log)

    async def close(self) -> None:
        """Return when nothing that was forked is left, and no nursery."""
        watched = dict(self._watched)
        await asyncio.gather(*(nursery.close() for nursery in watched.values()))
        await asyncio.gather(*watched)

    async def _nursery(self) -> _Nursery:
        if self._current is not None and not self._current.is_lost:
            return self._current
        if sys.platform != "linux":  # pragma: no cover - the packaged Envoy and the containers are Linux
            raise CannotFork("this system has no descriptors of processes")
        loop = asyncio.get_running_loop()
        began = loop.time()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        log = os.open(self._log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            # Nothing here waits, so that nobody else starts another one meanwhile.
            command = (*self._command, str(theirs.fileno()), str(os.getpid()))
            process = await spawn(NAME, command, self._env, log, inherited=(theirs.fileno(),))
        except OSError:
            ours.close()
            raise
        finally:
            os.close(log)
            theirs.close()
        nursery = self._current = _Nursery(
            process, ours, lambda pid: self._say(NAME, f"ready after {loop.time() - began:.1f} s (pid {pid})")
        )
        watching = asyncio.ensure_future(self._watch(nursery))
        self._watched[watching] = nursery
        watching.add_done_callback(self._watched.pop)
        return nursery

    async def _watch(self, nursery: _Nursery) -> None:
        status = await nursery.process.ended()
        nursery.lose()
        if not nursery.is_closing:
            how = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
            self._say(NAME, f"{how}, and with it what it forked (log: {self._log})")


def _reason(error: CannotFork | OSError) -> str:
    return (error.strerror or "cannot be started") if isinstance(error, OSError) else str(error)
