"""A directory for what is slow to make again, which nobody else can have written to."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

log = logging.getLogger(__name__)


def private_cache(directory: Path | None) -> Path | None:
    """Return ``directory``, made when missing, if it is this user's alone; else ``None``: go without a cache.

    What lies there is loaded without being compiled again, so whoever can write to it could blind the detectors.
    """
    if directory is None:
        return None
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = directory.stat()
    except OSError as error:
        log.warning("no cache at %s: %s", directory, error.strerror)
        return None
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        log.warning("no cache at %s: others can write to it", directory)
        return None
    return directory
