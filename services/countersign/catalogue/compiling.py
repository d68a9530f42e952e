"""Services that start together compile the same rules: one of them does, and the others load what it kept."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO

# A process that stands still must not keep the others from starting: after that each compiles for itself.
LONGEST_WAIT_S = 30.0
_LOOK_S = 0.05


@contextmanager
def one_at_a_time(cache_dir: Path | None, package: str) -> Iterator[None]:
    """Run the block, which compiles the rules of ``package`` or loads them from ``cache_dir``.

    As long as it was never run there, one process runs it and the others wait, at most ``LONGEST_WAIT_S``; from then on
    all do at once. What this cannot write is no error: the others then only compile for themselves.
    """
    if cache_dir is None:
        yield
        return
    done = cache_dir / f"compiled-{package}-{version(package)}"
    with ExitStack() as held:
        with suppress(OSError):
            if not done.exists():
                _wait(held.enter_context((cache_dir / "compiling").open("wb")), done)
        yield
        with suppress(OSError):
            done.touch(mode=0o600)


def _wait(lock: BinaryIO, done: Path) -> None:
    """Return with the lock, which goes when the file is closed; or without, when it is not needed or not to be had."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not done.exists() and time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOOK_S)
        else:
            return
