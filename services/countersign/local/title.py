"""What `ps` shows as the command line of a process that was forked and runs no program of its own."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_ARG_START, _ARG_END = 45, 46
"""Fields 48 and 49 of proc(5)'s stat, counted from the one after the program's name."""


def set_title(title: str) -> None:
    """Show ``title``, cut to the room that the command line has had. Where that cannot be, nothing changes.

    Linux shows the text up to its null byte where the last byte of the command line is none (fs/proc/base.c,
    ``get_mm_proctitle``).
    """
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    except (OSError, IndexError, ValueError):
        return
    room = end - start
    if start <= 0 or room < 2:
        return
    shown = os.fsencode(title)[: room - 2] + b"\0"
    ctypes.memmove(start, shown.ljust(room, b" "), room)
