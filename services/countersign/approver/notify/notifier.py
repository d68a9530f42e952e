"""Tells people of approvals until they are told or it is given up. Whatever fails here touches no approval."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import httpx

from countersign.approver.notify import channels
from countersign.approver.notify.ports import Delivery, DeliveryStore, News
from countersign.approver.notify.summary import LinkFor, notice_of
from countersign.approver.notify.telling import NotTold, Telling
from countersign.approver.ports import NoSuchApproval
from countersign.config.types import Approvals, Channel
from countersign.model.approval import Approval, ApprovalState
from countersign.runtime import telemetry
from countersign.runtime.logs import place_of
from countersign.runtime.moments import now_us
from countersign.runtime.postgres import DatabaseError

_log = logging.getLogger(__name__)
_NEWS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Pace:
    """How often, how long and how much at once; in seconds where the name says so.

    A failed attempt waits ``first_s``, each further one twice as long, at most ``most_s``; of each wait a random half
    is left away. ``lease_s`` must be longer than ``send_s``. What is being sent when it is told to stop has
    ``stop_s`` left.
    """

    attempts: int = 10
    first_s: float = 1.0
    most_s: float = 300.0
    send_s: float = 20.0
    lease_s: float = 60.0
    poll_s: float = 1.0
    stop_s: float = 1.0
    at_once: int = 16
    at_once_each: int = 4


DEFAULT_PACE = Pace()


class Notifier:
    """Turns news of approvals into deliveries, and delivers them; any number of them may share one database.

    ``config`` is read for every delivery, so an edit of gateway.yaml takes force at once. ``load_approval`` raises
    ``NoSuchApproval`` and ``DatabaseUnavailable``. What is told is how the approval stands when it is told, and at
    least once: after a crash perhaps twice, with the same id. A :class:`countersign.approver.part.Room`.
    """

    def __init__(
        self,
        store: DeliveryStore,
        config: Callable[[], Approvals],
        load_approval: Callable[[str], Awaitable[Approval]],
        link_for: LinkFor = lambda _approval: "",
        *,
        clock_us: Callable[[], int] = now_us,
        chance: Callable[[], float] = random.random,
        pace: Pace = DEFAULT_PACE,
    ) -> None:
        self._store = store
        self._config = config
        self._load = load_approval
        self._link_for = link_for
        self._clock_us = clock_us
        self._chance = chance
        self._pace = pace
        self._client = httpx.AsyncClient(timeout=pace.send_s, follow_redirects=False)
        self._running: dict[asyncio.Task[None], str] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look for news now: a hint, for it is looked for anyway."""
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled; no error ends it."""
        away = False
        try:
            while True:
                try:
                    moved = await self._round()
                    away = False
                except DatabaseError as error:
                    moved = False
                    if not away:
                        _log.warning("notifications wait for the database", extra={"problem": str(error)})
                    away = True
                except Exception as error:
                    moved = False
                    _complain("notifications failed", error)
                if not moved:
                    await self._rest()
        finally:
            await self._stop()

    async def close(self) -> None:
        """Stop what is being sent, and let go of the database: what was not told is told after the next start."""
        await self._stop()
        await self._client.aclose()
        await self._store.close()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._pace.poll_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    async def _stop(self) -> None:
        if self._running:
            await asyncio.wait(list(self._running), timeout=self._pace.stop_s)
        tasks = list(self._running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _round(self) -> bool:
        """Address what is new and begin what is due; whether there was anything."""
        addressed = [await self._address(news) for news in await self._store.news(_NEWS_AT_ONCE)]
        free = self._pace.at_once - len(self._running)
        if free <= 0:
            return any(addressed)
        busy = [name for name, count in Counter(self._running.values()).items() if count >= self._pace.at_once_each]
        now = self._clock_us()
        claimed = await self._store.claim(
            at_most=free,
            each=self._pace.at_once_each,
            busy=busy,
            lease_until_us=now + _us(self._pace.lease_s),
            now_us=now,
        )
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery))
            self._running[task] = delivery.channel
            task.add_done_callback(self._ended)
        return any(addressed) or bool(claimed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        # Something else of its channel, or of its approval, may go now.
        self._woken.set()

    async def _address(self, news: News) -> bool:
        try:
            names = channels.addressed(self._config(), await self._load(news.approval_id), news.what)
        except NoSuchApproval:
            names = ()
        except DatabaseError:
            raise
        except Exception as error:
            # It is looked at again; what can be told meanwhile is.
            _complain("news of an approval cannot be read", error)
            return False
        await self._store.address(news, names, self._clock_us())
        return True

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            try:
                await self._attempt(delivery)
            except NotTold as failure:
                await self._failed(delivery, str(failure), failure.wait_s)
            except DatabaseError:
                raise
            except Exception as error:
                _complain("a notification could not be made", error)
                await self._failed(delivery, f"it could not be made ({type(error).__name__})")
        except DatabaseError as error:
            # Nobody can say what became of it; when its lease is over it is tried again.
            _log.warning("a notification waits for the database", extra={"problem": str(error)})
        except Exception as error:
            _complain("a notification could not be settled", error)

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            approval = await self._load(delivery.news.approval_id)
        except NoSuchApproval:
            await self._store.forget(delivery)
            return
        channel = next((one for one in self._config().channels if one.name == delivery.channel), None)
        if channel is None:
            await self._give_up(delivery, "gateway.yaml names no such channel")
            return
        if delivery.news.what in channels.WHILE_ASKING and approval.state is not ApprovalState.PENDING:
            if delivery.attempts > 1:
                await self._give_up(
                    delivery, f"{delivery.problem or 'it was not told'}; then nobody was asked any more"
                )
                return
            if not channels.hears_all(channel):
                await self._store.forget(delivery)
                return
        await self._store.delivered(delivery, await self._tell(delivery, channel, approval), self._clock_us())

    async def _tell(self, delivery: Delivery, channel: Channel, approval: Approval) -> str:
        now = self._clock_us()
        notice = notice_of(approval, delivery.news, now, self._link_for(approval))
        notice = replace(notice, alarm=notice.alarm and channel.name in channels.alerted(approval))
        memory = await self._store.memory(approval.id, channel.name)
        try:
            async with asyncio.timeout(self._pace.send_s):
                return await channels.tell(channel, Telling(delivery.id, notice, memory, now), self._client)
        except TimeoutError:
            raise NotTold(f"it took longer than {self._pace.send_s:g} s") from None

    async def _failed(self, delivery: Delivery, problem: str, wait_s: float = 0.0) -> None:
        if delivery.attempts >= self._pace.attempts:
            await self._give_up(delivery, problem)
            return
        now = self._clock_us()
        await self._store.failed(delivery, problem, now + self._wait_us(delivery.attempts, wait_s), now)

    def _wait_us(self, attempts: int, asked_s: float) -> int:
        wait_s = min(self._pace.most_s, self._pace.first_s * 2 ** min(attempts - 1, 30))
        return _us(max(wait_s * (0.5 + self._chance() / 2), min(asked_s, self._pace.most_s)))

    async def _give_up(self, delivery: Delivery, problem: str) -> None:
        if not await self._store.dead(delivery, problem, self._clock_us()):
            return
        telemetry.dead_notifications.add(1, {"channel": delivery.channel})
        about = {"channel": delivery.channel, "approval_id": delivery.news.approval_id, "what": delivery.news.what}
        _log.error("a notification was given up", extra={**about, "attempts": delivery.attempts, "problem": problem})


def _complain(what: str, error: Exception) -> None:
    # Not the error's text: it may quote a call, or a channel's credential.
    _log.error(what, extra={"at": place_of(error), "error": type(error).__name__})


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
