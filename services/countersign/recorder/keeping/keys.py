"""Who looks ahead whether bodies can be encrypted, so that nobody finds out at midnight on the first of a month."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from countersign.recorder.keeping.ports import Clock
from countersign.runtime.body_keys import BodyKeys, NoBodyKey, following

log = logging.getLogger(__name__)

EVERY_S = 60.0
AHEAD = timedelta(days=7)
SAID_AGAIN_AFTER = timedelta(days=1)


class KeyWatch:
    """Says which key is missing, a week ahead; ``folder`` is where they are now, empty without encryption."""

    def __init__(self, folder: Callable[[], str], clock_us: Clock) -> None:
        self._folder = folder
        self._clock_us = clock_us
        self._encrypts = False
        self._said: tuple[str, datetime] | None = None

    async def run(self) -> None:
        """Look about once a minute, until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except Exception as error:
                # Whatever it is, the record goes on: who appends finds out by itself.
                log.error("the keys of bodies cannot be looked at: %s", type(error).__name__)  # noqa: TRY400
            await asyncio.sleep(EVERY_S)

    def look(self) -> str:
        """Say what is missing; return it, empty when nothing is."""
        folder = self._folder()
        if folder and not self._encrypts:
            log.warning("bodies are encrypted from now on: full-text search does not cover what is recorded meanwhile")
        self._encrypts = bool(folder)
        now = datetime.fromtimestamp(self._clock_us() / 1_000_000, UTC)
        missing = _missing(BodyKeys(Path(folder)), now) if folder else ""
        if not missing:
            self._said = None
        elif self._said is None or self._said[0] != missing or now - self._said[1] >= SAID_AGAIN_AFTER:
            self._said = (missing, now)
            log.error("%s", missing)
        return missing


def _missing(keys: BodyKeys, now: datetime) -> str:
    month = now.date().replace(day=1)
    try:
        keys.of(month)
    except NoBodyKey as error:
        return f"nothing with a body can be recorded: {error}"
    begins = following(month)
    if begins - now.date() <= AHEAD:
        try:
            keys.of(begins)
        except NoBodyKey as error:
            return f"from {begins} on nothing with a body can be recorded: {error}"
    return ""
