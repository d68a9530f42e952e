"""Single keys from a terminal, without waiting for the end of a line."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final


class Key(Enum):
    """What a person may want of a list."""

    UP = auto()
    DOWN = auto()
    SHOW = auto()
    APPROVE = auto()
    DENY = auto()
    QUIT = auto()


_KEYS: Final = {
    b"\x1b[A": Key.UP,
    b"\x1bOA": Key.UP,
    b"k": Key.UP,
    b"\x1b[B": Key.DOWN,
    b"\x1bOB": Key.DOWN,
    b"j": Key.DOWN,
    b"\r": Key.SHOW,
    b"\n": Key.SHOW,
    b"a": Key.APPROVE,
    b"d": Key.DENY,
    b"q": Key.QUIT,
    b"\x04": Key.QUIT,
}


def are_there() -> bool:
    """Whether a person sits at both ends: keys come from a terminal, and what is printed goes to one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def single_keys() -> Iterator[None]:
    """Let keys come at once and unechoed; interrupts stay what they are."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield
    finally:
        # Keys that were hit while nothing was asked must not answer what is asked next.
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)


def pressed(wait_s: float) -> list[Key]:
    """Return the keys that are pressed within that time and mean something. Only within :func:`single_keys`."""
    fd = sys.stdin.fileno()
    if not select.select([fd], [], [], wait_s)[0]:
        return []
    data = os.read(fd, 64)
    # Nothing comes any more once the terminal is gone.
    return list(_read(data)) if data else [Key.QUIT]


def _read(data: bytes) -> Iterator[Key]:
    at = 0
    while at < len(data):
        written = next((each for each in _KEYS if data.startswith(each, at)), data[at : at + 1])
        if written in _KEYS:
            yield _KEYS[written]
        at += len(written)
