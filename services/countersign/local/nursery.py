"""The process that services are forked from, seen from within: it has imported what they need, and is told nothing.

What a service is told (its environment) lies behind a descriptor that goes from ``up`` through this process to the
forked one, which alone reads it: nothing that is secret is ever in memory that two services share.

``up`` sends ``NUMBER NAME`` with two descriptors, the log and the environment (``NAME=VALUE``, each ended by a null
byte), over a socket of packets. It is answered ``born NUMBER PID`` with a descriptor of the process (pidfd_open(2)), or
``refused NUMBER REASON``; and told ``ready`` once, and ``ended PID STATUS`` of each process (negative: the signal).
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Mapping

from countersign.local.title import set_title
from countersign.runtime.parent import end_with_parent
from countersign.runtime.settings import PREFIX, replace_environment

MOST_BYTES = 4096
"""A message's greatest length."""
_TASKS = "/proc/self/task"
_ALONE_WITHIN_S = 2.0


class Nursery:
    """Forks when ``up`` asks for it at ``control``. ``state`` is named in the title of what was forked, for people."""

    def __init__(self, control: socket.socket, state: str) -> None:
        control.set_inheritable(False)
        self._control = control
        self._state = state
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._is_asked = True
        self._pid_of: dict[int, int] = {}
        """The id of each process that runs, by the descriptor that tells of its end."""

    def tend(self) -> str | None:
        """Fork whatever is asked for. Returns the service's name in the process that is to serve it.

        Here it returns ``None`` once ``up`` hung up and all that was forked, which it then tells to end, has ended.
        Raises ``OSError`` where the kernel has no descriptors of processes.
        """
        os.close(os.pidfd_open(os.getpid()))
        # What lives now lives as long as this process: no collection looks at it, and its pages stay shared.
        gc.collect()
        gc.freeze()
        _until_alone()
        try:
            self._control.send(b"ready")
            while self._is_asked or self._pid_of:
                for descriptor, _ in self._poll.poll():
                    if descriptor in self._pid_of:
                        self._bury(descriptor)
                    elif (service := self._listen()) is not None:
                        return service
        except ConnectionError:
            pass  # ``up`` died, and the kernel tells so those that were forked
        return None

    def _listen(self) -> str | None:
        """Do what ``up`` asks for. Returns the service's name in the forked process, else ``None``."""
        data, descriptors, _, _ = socket.recv_fds(self._control, MOST_BYTES, 2, socket.MSG_CMSG_CLOEXEC)
        if not data:
            self._is_asked = False
            self._poll.unregister(self._control)
            for pid in self._pid_of.values():
                os.kill(pid, signal.SIGTERM)
            return None
        number, _, service = data.decode().partition(" ")
        parent = os.getpid()
        try:
            if len(descriptors) != 2:  # there was no room for them: the kernel gives those that fit, and says nothing
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            _check_alone()
            pid = os.fork()
            if pid == 0:
                log, environment = descriptors
                self._become(service, log, environment, parent)
                return service
            watched = _watched(pid)
        except OSError as error:
            if os.getpid() != parent:
                raise
            self._control.send(f"refused {number} {error.strerror or error}".encode())
            return None
        finally:
            if os.getpid() == parent:
                for descriptor in descriptors:
                    os.close(descriptor)
        self._pid_of[watched] = pid
        self._poll.register(watched, select.POLLIN)
        socket.send_fds(self._control, [f"born {number} {pid}".encode()], [watched])
        return None

    def _bury(self, descriptor: int) -> None:
        pid = self._pid_of.pop(descriptor)
        self._poll.unregister(descriptor)
        os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        self._control.send(f"ended {pid} {os.waitstatus_to_exitcode(status)}".encode())

    def _become(self, service: str, log: int, environment: int, parent: int) -> None:
        """Make this process, just forked, what one would be that was started to serve ``service``."""
        os.setpgid(0, 0)
        end_with_parent(parent)
        os.dup2(log, 1)
        os.dup2(log, 2)
        with os.fdopen(environment, "rb") as file:
            file.seek(0)
            given = _parsed(file.read())
        self._control.close()
        _close_all_others()
        replace_environment({**given, PREFIX + "PARENT": str(parent)})
        sys.argv[1:] = ["serve", service]
        set_title(f"countersign --state {self._state} serve {service}")
        gc.enable()


def written(env: Mapping[str, str]) -> bytes:
    """Return an environment as it is handed over."""
    return b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in env.items())


def _parsed(data: bytes) -> dict[str, str]:
    pairs = (os.fsdecode(entry).partition("=") for entry in data.split(b"\0") if entry)
    return {name: value for name, _, value in pairs}


def _until_alone() -> None:
    """Wait for the end of threads that helped to import: they are known to have ended a moment before they have."""
    deadline = time.monotonic() + _ALONE_WITHIN_S
    while len(os.listdir(_TASKS)) > 1 and time.monotonic() < deadline:
        time.sleep(0.001)


def _check_alone() -> None:
    """Raise ``OSError`` when a thread runs: what it holds at that moment would be held in the fork for ever."""
    if (tasks := len(os.listdir(_TASKS))) > 1:
        raise OSError(f"{tasks} threads run")


def _watched(pid: int) -> int:
    """Return a descriptor of what was just forked. Raises ``OSError``, and it is gone."""
    try:
        # Nobody else waits for it, so the id is still its own.
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _close_all_others() -> None:
    """Close every descriptor but the standard ones, whoever opened it."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            try:
                os.close(int(name))
            except OSError:  # the one that listed them
                continue
