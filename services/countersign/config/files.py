"""Reading small files that somebody names, without being held up or filled up by them."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path


class BadFile(Exception):
    """A file that is not read. ``str`` says why, without the path, which may be a credential by mistake."""


@dataclass(frozen=True, slots=True)
class Content:
    """A file's bytes, and whether users other than its owner and group have any right to it."""

    data: bytes
    open_to_all: bool


def read(path: Path, limit_bytes: int) -> Content:
    """A regular file's content. Raises ``BadFile`` when there is none, when it is larger, or cannot be read."""
    try:
        # Without blocking, for a named pipe would hold the gateway for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise BadFile("this is not a file")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(limit_bytes + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BadFile(f"the file cannot be read ({os.strerror(error.errno or errno.EIO)})") from None
    except ValueError:
        raise BadFile("the file cannot be read (no usable path)") from None
    if len(data) > limit_bytes:
        raise BadFile(f"the file is larger than {limit_bytes} bytes")
    return Content(data, bool(mode & stat.S_IRWXO))
