"""Children that end with their parent, also when it is killed with -9 (Linux: ``prctl(PR_SET_PDEATHSIG)``).

A Python child calls ``end_with_parent``. For a foreign program this module is a launcher that replaces itself:
``python -m countersign.runtime.parent --parent PID --signal NAME [--user NAME [--keep-access]] -- PROGRAM ARGS``.

Kept free of heavy imports: it runs before every child.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import resource
import signal
import struct
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def end_with_parent(parent: int, how: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to send ``how`` to this process when the process ``parent`` that started it dies."""
    if sys.platform != "linux":  # pragma: no cover - the packaged Envoy and the containers are Linux
        return
    prctl(_PR_SET_PDEATHSIG, how.value)
    if os.getppid() != parent:  # it died before we asked
        os.kill(os.getpid(), how)


def open_many_files() -> None:
    """Let this process open as many files as this machine permits it: shells give a thousand and permit many more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def launch(parent: int, how: signal.Signals, user: str | None, keep_access: bool, command: list[str]) -> None:
    """Become ``command``, as ``user`` when one is given, and end with ``parent``. Does not return.

    It may open as many files as this machine permits it.

    ``keep_access`` leaves root's access to files (CAP_DAC_OVERRIDE) with the otherwise unprivileged user, for a user
    who cannot even enter the directories on the way to the program or its data.
    """
    if user is not None:
        account = pwd.getpwnam(user)
        if keep_access:
            prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        if keep_access:
            _keep_capability(_CAP_DAC_OVERRIDE)
    # Two for each connection of a caller, in Envoy.
    open_many_files()
    # After setuid: a change of credentials clears the parent-death signal.
    end_with_parent(parent, how)
    os.execv(command[0], command)  # noqa: S606 - replacing ourselves without a shell is the point


def _keep_capability(capability: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    data = struct.pack("=6I", bit, bit, bit, 0, 0, 0)
    if libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(data)) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def prctl(option: int, *arguments: int) -> None:
    """Call prctl(2). Raises ``OSError``."""
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    if libc.prctl(option, *padded) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def launcher_command(
    command: list[str], *, how: signal.Signals, user: str | None = None, keep_access: bool = False
) -> list[str]:
    """Return the command line that runs ``command`` as a child that ends with this process."""
    extra = ["--user", user] if user else []
    if keep_access:
        extra.append("--keep-access")
    launcher = [sys.executable, "-m", "countersign.runtime.parent", "--parent", str(os.getpid()), "--signal", how.name]
    return [*launcher, *extra, "--", *command]


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", required=True)
    parser.add_argument("--user")
    parser.add_argument("--keep-access", action="store_true")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    how = signal.Signals[arguments.signal]
    launch(arguments.parent, how, arguments.user, arguments.keep_access, arguments.command)


if __name__ == "__main__":
    _main()
