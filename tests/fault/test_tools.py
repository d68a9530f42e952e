"""What cannot be put on the record about tools is shown to nobody, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.fault.rig import RECOVERY_S, eventually
from tests.support.changing import Mall, Shop, running_mall
from tests.support.clients import MODERN, Rpc, messages
from tests.support.pins import tool

GOOD, EVIL = tool(), tool(description="Runs a query, and more.")
LISTING = Rpc("tools/list")


@pytest.fixture(scope="module")
def mall() -> Iterator[Mall]:
    with running_mall(targets=6) as running:
        yield running


class Lister:
    """A caller that lists again and again; ``shown`` are the descriptions that it ever saw."""

    def __init__(self, mall: Mall, target: str) -> None:
        self._url = mall.gateway.endpoint(target)
        self._token = mall.token(target)
        self.shown: set[str] = set()
        self.statuses: list[int] = []

    async def list(self, http: httpx.AsyncClient) -> int:
        """List once; return the status."""
        headers = {**LISTING.headers(MODERN), "authorization": f"Bearer {self._token}"}
        try:
            answer = await http.post(self._url, content=LISTING.body(MODERN), headers=headers)
        except httpx.TransportError:
            # A masker that dies in the middle of an answer cuts it.
            self.statuses.append(0)
            return 0
        self.statuses.append(answer.status_code)
        if answer.status_code == 200:
            (message,) = messages(answer)
            found = message["result"]
            assert isinstance(found, dict)
            self.shown |= {one["description"] for one in found["tools"]}
        return answer.status_code


async def first_listing(mall: Mall, target: str) -> None:
    assert await mall.list(target) == ["query"]


async def until_it_lists(lister: Lister) -> None:
    async with httpx.AsyncClient(timeout=30) as http:

        async def listed() -> bool:
            return await lister.list(http) == 200

        await eventually(listed, RECOVERY_S, "a listing")


@pytest.mark.parametrize("part", ["recorder", "masker", "postgres"])
async def test_no_unaccepted_tool_is_ever_shown_while_a_part_is_killed(mall: Mall, part: str) -> None:
    target = mall.take()
    versions = itertools.count()
    async with mall.shop(GOOD) as shop:
        await first_listing(mall, target)
        lister = Lister(mall, target)
        stop = asyncio.Event()

        async def keep_listing() -> None:
            async with httpx.AsyncClient(timeout=30) as http:
                while not stop.is_set():
                    # Every listing is news, so every one depends on the record.
                    shop.tools = (tool(description=f"version {next(versions)}"), GOOD | {"name": "twin"})
                    await lister.list(http)

        listing = [asyncio.ensure_future(keep_listing()) for _ in range(4)]
        await eventually(lambda: lister.statuses.count(200) >= 5, 30)
        dead = mall.gateway.kill(part)
        answered = len(lister.statuses)
        await eventually(lambda: not dead.is_running() and len(lister.statuses) > answered + 5, RECOVERY_S)
        served = lister.statuses.count(200)
        await eventually(lambda: lister.statuses.count(200) >= served + 5, RECOVERY_S, "listings after the kill")
        stop.set()
        await asyncio.gather(*listing)
        assert lister.shown == set()
        assert set(lister.statuses) <= {0, 200, 502, 503}
        shop.tools = (GOOD,)
        await until_it_lists(lister)
        assert lister.shown == {GOOD["description"]}


async def test_while_the_recorder_is_silent_nothing_is_listed_and_no_tool_is_called(mall: Mall) -> None:
    target = mall.take()
    async with mall.shop(GOOD) as shop:
        await first_listing(mall, target)
        recorder = mall.gateway.part("recorder")
        recorder.send_signal(signal.SIGSTOP)
        try:
            shop.tools = (EVIL,)
            assert await mall.list(target) == ["refused"]
            assert await mall.call(target, "query") == "refused"
            assert shop.called == []
        finally:
            recorder.send_signal(signal.SIGCONT)
        await until_it_lists(Lister(mall, target))
        assert await mall.list(target) == []


async def test_a_first_sight_that_could_not_be_recorded_is_none(mall: Mall) -> None:
    target = mall.take()
    async with mall.shop(EVIL) as shop:
        recorder = mall.gateway.part("recorder")
        recorder.send_signal(signal.SIGSTOP)
        try:
            assert await mall.list(target) == ["refused"]
        finally:
            recorder.kill()
        await _serves_again(mall, shop, target)
        assert await mall.list(target) == ["query"]


async def _serves_again(mall: Mall, shop: Shop, target: str) -> None:
    """Return when calls pass again: the first sight of ``target`` must be left to the caller of this."""
    other = mall.take()
    shown = list(shop.tools)

    async def listed() -> bool:
        return await mall.list(other) == [str(one["name"]) for one in shown]

    await eventually(listed, RECOVERY_S, f"a listing of another target than {target}")
