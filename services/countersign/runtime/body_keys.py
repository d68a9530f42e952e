"""The keys by which bodies are encrypted at rest: a file for each month, in a folder of their own.

``2026-11.key`` holds 32 random bytes in base64. Who takes the file away has erased the bodies of that month, here and
in every backup of the database: so keys are kept apart from it, and are backed up, if at all, elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from countersign.config import files

KEY_BYTES = 32
LOOKED_AT_EVERY_S = 5.0
"""How long a key that was taken away may still be used, in seconds."""

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_FILE_LIMIT_BYTES = 1024


class NoBodyKey(Exception):
    """The key of a month cannot be had. The message says which and what to do, and never shows one."""

    def __init__(self, month: date, what: str) -> None:
        self.month = month
        super().__init__(f"the key of bodies of {month_text(month)} {what}")


def month_text(month: date) -> str:
    """Return a month as the name of its key has it: ``2026-11``."""
    return f"{month:%Y-%m}"


def parse_month(text: str) -> date:
    """Return the first day of a month that is written as ``2026-11``. Raises ``ValueError``."""
    found = _MONTH.fullmatch(text)
    if found is None or found[1] == "0000":
        raise ValueError("no month: write it as 2026-11")
    return date(int(found[1]), int(found[2]), 1)


def following(month: date) -> date:
    """Return the first day of the month after."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def key_file(folder: Path, month: date) -> Path:
    """Return where the key of a month belongs."""
    return folder / f"{month_text(month)}.key"


def write_key(folder: Path, month: date, random: Callable[[int], bytes] = os.urandom) -> Path:
    """Make the key of a month, readable by its owner alone, and return its file.

    Raises ``FileExistsError`` when there is one, which is never written over, and ``OSError``.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = key_file(folder, month)
    descriptor, beside = tempfile.mkstemp(dir=folder, prefix=".new-key-")
    try:
        with open(descriptor, "wb") as file:
            file.write(base64.b64encode(random(KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all, and only where there is none.
        os.link(beside, path)
    finally:
        os.unlink(beside)
    return path


class BodyKeys:
    """The keys in a folder, read when they are needed. ``monotonic`` gives seconds."""

    def __init__(self, folder: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._monotonic = monotonic
        self._known: dict[date, tuple[float, bytes]] = {}

    def of(self, month: date) -> bytes:
        """Return the key of a month (its first day). Raises ``NoBodyKey``."""
        known, now = self._known.get(month), self._monotonic()
        if known is not None and now - known[0] < LOOKED_AT_EVERY_S:
            return known[1]
        self._known.pop(month, None)
        key = self._read(month)
        self._known[month] = (now, key)
        return key

    def _read(self, month: date) -> bytes:
        try:
            content = files.read(key_file(self._folder, month), _FILE_LIMIT_BYTES)
        except files.BadFile as error:
            remedy = f"make it by `countersign keep new-key {month_text(month)}`, or put it back"
            raise NoBodyKey(month, f"cannot be had: {error}; {remedy}") from None
        if content.open_to_all:
            raise NoBodyKey(month, "is in a file that everyone on this machine can use: chmod o-rwx it")
        try:
            key = base64.b64decode(content.data.strip(), validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_BYTES:
            raise NoBodyKey(month, f"is not {KEY_BYTES} bytes in base64: put the right file in its place")
        return key
