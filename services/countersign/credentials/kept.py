"""A secret that is fetched: kept while it is good, fetched again before it is not, by one fetch for all who ask."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from countersign.config import Secret
from countersign.credentials.errors import CredentialUnavailable

log = logging.getLogger(__name__)

FETCH_TIMEOUT_S = 8.0
"""Authz's own caller waits ten seconds."""
FIRST_BACKOFF_S = 1.0
LONGEST_BACKOFF_S = 30.0
REFUSALS, REFUSALS_S = 3, 15.0
"""A target that refuses all that it is shown has it fetched anew only so often in so many seconds."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A secret; from ``renew_s`` seconds after it was asked for another is fetched, after ``life_s`` it is no good."""

    secret: Secret
    renew_s: float
    life_s: float


Fetch = Callable[[], Awaitable[Fetched]]


@dataclass(frozen=True, slots=True)
class Value:
    """A secret, and which one it is of those that its source gave."""

    secret: Secret
    serial: int


class Kept:
    """What ``fetch`` gives. ``clock`` gives monotonic seconds, ``chance`` numbers from 0 to 1; logs call it ``name``.

    ``fetch`` raises ``CredentialUnavailable``; after that nobody asks again for a while that doubles, up to half a
    minute, and what is still good stays in use.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Callable[[], float],
        chance: Callable[[], float],
        name: str = "a target's credential",
    ) -> None:
        self._name = name
        self._fetch = fetch
        self._clock = clock
        self._chance = chance
        self._value: Value | None = None
        self._serial = 0
        self._renew_at = self._good_until = self._retry_at = -math.inf
        self._refusals: deque[float] = deque(maxlen=REFUSALS)
        self._failures = 0
        self._why = "the target's credential cannot be had now"
        self._fetching: asyncio.Task[None] | None = None

    @property
    def good(self) -> bool:
        """Whether there is something to give without fetching."""
        return self._value is not None and self._clock() < self._good_until

    @property
    def idle(self) -> bool:
        """Whether nothing is kept, nothing is fetched and no failure is remembered."""
        return not self.good and self._fetching is None and self._clock() >= self._retry_at

    async def get(self) -> Value:
        """Return what is good now. Raises ``CredentialUnavailable``."""
        if self._value is not None and self.good:
            if self._clock() >= max(self._renew_at, self._retry_at):
                self._begin()
            return self._value
        if self._fetching is None and self._clock() < self._retry_at:
            raise CredentialUnavailable(self._why)
        # Whoever gives up waiting must not take the others' fetch along.
        await asyncio.shield(self._begin())
        if self._value is None or not self.good:
            raise CredentialUnavailable(self._why)
        return self._value

    def refused(self, serial: int) -> None:
        """Forget the value with this serial, which a target refused; not if that is said of one after the other."""
        now = self._clock()
        often = len(self._refusals) == REFUSALS and now - self._refusals[0] < REFUSALS_S
        if self._value is not None and self._value.serial == serial and not often:
            self._value = None
            self._refusals.append(now)

    def close(self) -> None:
        """Forget all; whoever waits hears that it cannot be had."""
        self._value = None
        if self._fetching is not None:
            self._fetching.cancel()

    def _begin(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._take())
            self._fetching.add_done_callback(self._ended)
        return self._fetching

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _take(self) -> None:
        asked_at = self._clock()
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                fetched = await self._fetch()
        except CredentialUnavailable as error:
            self._failed(str(error))
        except TimeoutError:
            self._failed("who gives the target's credential does not answer in time")
        except asyncio.CancelledError:
            # Of ``close``: whoever waits for a task of the house must not look cancelled itself.
            self._failed("the gateway is stopping, or its credentials were changed")
        except Exception as error:
            # The message of an unforeseen error may quote what was fetched.
            log.error("fetching %s failed: %s", self._name, type(error).__name__)  # noqa: TRY400
            self._failed("the target's credential cannot be had now")
        else:
            self._failures, self._retry_at = 0, -math.inf
            self._serial += 1
            self._value = Value(fetched.secret, self._serial)
            self._good_until = asked_at + fetched.life_s
            # Replicas that started together must not all ask together.
            self._renew_at = asked_at + fetched.renew_s * (1 - 0.1 * self._chance())

    def _failed(self, why: str) -> None:
        self._why = why
        self._retry_at = self._clock() + min(FIRST_BACKOFF_S * 2**self._failures, LONGEST_BACKOFF_S)
        if not self._failures:
            log.warning("%s could not be fetched: %s", self._name, why)
        self._failures = min(self._failures + 1, 10)
