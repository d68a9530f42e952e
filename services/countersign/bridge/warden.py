"""Runs one server, keeps it within its bounds, and leaves nothing of it behind.

A program of its own, started by the bridge as ``python -I -S warden.py PARENT LIMITS -- PROGRAM ARGUMENTS``, where
``LIMITS`` is JSON (see :class:`Limits`). Standard input, output and error and the environment are the server's; the
warden itself uses none of them. It ends with the server's exit code (128 and the signal's number when one ended it),
or with one of the codes below, and only once every process that came of the server is gone, also those that left its
group. It asks them to end first when it is sent SIGTERM, or when the bridge dies.

Nothing but the standard library is imported, and little of that: it runs before every server, and beside it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time
from typing import NamedTuple, NoReturn

CANNOT_START, TOO_MUCH_MEMORY, TOO_MANY_TASKS = 126, 241, 242
"""Exit codes of the warden's own; a server may use them too."""

GRACE_S = 2.0
LOOK_S = 2.0
# What a run-time reserves and never touches counts for this limit: V8 takes half a GiB.
_RESERVED_BYTES = 1024 * 1024 * 1024
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38


class Limits(NamedTuple):
    """Of the server and all that came of it; ``cpu_s`` is of each process, 0 for no bound.

    ``home`` is a folder that is swept away at the end. ``user`` is whom the server runs as, empty for who we are.
    """

    memory_bytes: int
    tasks: int
    open_files: int
    cpu_s: int
    cwd: str
    home: str
    user: str = ""


def main(arguments: list[str]) -> int:
    """Run the server to its end; see above."""
    parent, limits, command = int(arguments[0]), Limits(**json.loads(arguments[1])), arguments[3:]
    watched = {signal.SIGCHLD, signal.SIGTERM}
    # Blocked, they wait until they are asked for: none is missed.
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        return 0
    server = os.fork()
    if server == 0:
        _become(command, limits, watched)
    _let_go()
    code = _watch(server, limits, watched)
    # Here, as the bridge may be gone; imported now, as it takes a while.
    import shutil

    shutil.rmtree(limits.home, ignore_errors=True)
    return code


def _become(command: list[str], limits: Limits, watched: set[signal.Signals]) -> NoReturn:
    try:
        os.setpgid(0, 0)
        if limits.user:
            _be(limits.user)
        # After that: another user's process is not told of its parent's end any more.
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        os.umask(0o077)
        _bound(resource.RLIMIT_CORE, 0)
        _bound(resource.RLIMIT_NOFILE, limits.open_files)
        _bound(resource.RLIMIT_DATA, limits.memory_bytes + _RESERVED_BYTES)
        if limits.cpu_s:
            _bound(resource.RLIMIT_CPU, limits.cpu_s)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, watched)
        os.chdir(limits.cwd)
        os.execvp(command[0], command)  # noqa: S606 - without a shell is the point
    except (OSError, KeyError):
        os.write(2, b"the server cannot be started\n")
    finally:
        os._exit(CANNOT_START)


def _be(user: str) -> None:
    import pwd

    account = pwd.getpwnam(user)
    os.initgroups(user, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _watch(server: int, limits: Limits, watched: set[signal.Signals]) -> int:
    code: int | None = None
    while code is None:
        caught = signal.sigtimedwait(watched, LOOK_S)
        if caught is not None and caught.si_signo == signal.SIGTERM:
            return _end(server, 0)
        code = _reap(server)
        if code is None:
            code = _excess(limits)
            if code is not None:
                return _end(server, code, at_once=True)
    return _end(server, code)


def _end(server: int, code: int, *, at_once: bool = False) -> int:
    """Have everything end, and return ``code`` once it did; what does not within some seconds is killed."""
    deadline = time.monotonic() + (0 if at_once else GRACE_S)
    asked: set[int] = set()
    while alive := [pid for pid, _ in _family(os.getpid())]:
        kill = time.monotonic() >= deadline
        for pid in alive:
            if kill or pid not in asked:
                asked.add(pid)
                _send(pid, signal.SIGKILL if kill else signal.SIGTERM)
        found = _reap(server)
        if not kill:
            signal.sigtimedwait({signal.SIGCHLD}, 0.02)
        elif found is None:
            time.sleep(0.002)
    _reap(server)
    return code


def _reap(server: int) -> int | None:
    """Take the exit codes of those that ended; return the server's, if it is among them."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == server:
            ended = os.waitstatus_to_exitcode(status)
            code = ended if ended >= 0 else 128 - ended


def _excess(limits: Limits) -> int | None:
    family = _family(os.getpid())
    if len(family) > limits.tasks:
        return TOO_MANY_TASKS
    return TOO_MUCH_MEMORY if sum(size for _, size in family) > limits.memory_bytes else None


def _family(of: int) -> list[tuple[int, int]]:
    """All processes below this one, and the resident bytes of each; those that ended and were not reaped have none."""
    children = _children_of if os.path.exists(f"/proc/{of}/task/{of}/children") else _all_parents().get
    found: list[tuple[int, int]] = []
    waiting = [of]
    while waiting:
        for pid in children(waiting.pop()) or ():
            waiting.append(pid)
            found.append((pid, _resident(pid)))
    return found


def _children_of(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                children += map(int, file.read().split())
    except OSError:  # it ended meanwhile
        pass
    return children


def _all_parents() -> dict[int, list[int]]:
    """The children of every process, for kernels that list them nowhere."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    # What stands in parentheses is the program's name, which may hold anything.
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
    return children


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def _send(pid: int, number: signal.Signals) -> None:
    try:  # noqa: SIM105 - contextlib takes a millisecond to import, before every server
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _let_go() -> None:
    """Hold none of the server's pipes: its ends must be seen when it ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _bound(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(which, (most, most))


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), zero, zero, zero) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
