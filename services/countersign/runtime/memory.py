"""How this process uses the system's memory."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 1024 * 1024


def give_back_large_blocks() -> None:
    """Have blocks of a MiB and more go back to the system as soon as they are free.

    By itself, glibc keeps those that are as large as any that was freed before (mallopt(3), ``M_MMAP_THRESHOLD``): what
    one answer took then lies about in pieces too small for the next. Where there is no ``mallopt``, nothing changes.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:
        adjust(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # What smaller ones leave behind is needed again at once, so that much of it stays.
        adjust(_M_TRIM_THRESHOLD, _LARGE_BYTES)
