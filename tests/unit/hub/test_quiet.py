"""A stream at the one door ends with its caller's token, also where no target has anything to say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import cast

import httpx
import pytest

from countersign.config import Limits, Target
from countersign.hub.inside import Caller, Inner, Inside
from countersign.hub.peers import Owner, Peers, Refused, Way
from countersign.hub.relay import Relay
from countersign.hub.streams import Streams, Wanted
from countersign.mcp import Era
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.live import Live
from tests.support.revoking import FakeRevocations, of_principal

CALLER = Caller(Principal("https://idp.test", "alice", (), PrincipalKind.PERSON, "token"), "Bearer x", "192.0.2.1")
TARGET = Target("t", "https://t.test/mcp", None, "https://gateway.test/t/mcp")
WANTED = Wanted(frozenset({"toolsListChanged"}), {}, "1")


class Silent:
    """A target without a stream: it is asked again after minutes."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    @asynccontextmanager
    async def ask(
        self, caller: Caller, target: str, verb: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Inner]:
        self.asked.set()
        yield Inner(httpx.Response(405), Limits())


class Legacy:
    """Knows the target for one of the legacy era."""

    def new_id(self) -> str:
        return "1"

    async def way(self, caller: Caller, owner: Owner, target: Target, era: Era) -> Way:
        return Way(Era.LEGACY, "2025-11-25")


def _of_session(streams: Streams) -> AsyncGenerator[bytes, None]:
    return streams.of_session(CALLER, Owner("k"), [TARGET], "")


def _listened(streams: Streams) -> AsyncGenerator[bytes, None]:
    return streams.listened(CALLER, Owner("k"), [TARGET], WANTED)


@pytest.mark.parametrize("begin", [_of_session, _listened])
async def test_the_quiet_stream_of_who_is_revoked_ends_at_once(
    begin: Callable[[Streams], AsyncGenerator[bytes, None]],
) -> None:
    target, revocations = Silent(), FakeRevocations()
    streams = Streams(cast(Inside, target), cast(Peers, Legacy()), cast(Relay, None), Live(revocations, lambda: 1))
    async with aclosing(begin(streams)) as stream, asyncio.timeout(10):
        coming = asyncio.ensure_future(anext(stream))
        await target.asked.wait()
        revocations.revoke(of_principal(CALLER.principal))
        with pytest.raises(Refused) as refused:
            await coming
    assert (refused.value.status, refused.value.code) == (401, 4010)


async def test_who_is_revoked_already_is_told_nothing() -> None:
    target, revocations = Silent(), FakeRevocations()
    revocations.revoke(of_principal(CALLER.principal))
    streams = Streams(cast(Inside, target), cast(Peers, Legacy()), cast(Relay, None), Live(revocations, lambda: 1))
    async with asyncio.timeout(10):
        with pytest.raises(Refused):
            await anext(_listened(streams))
    assert not target.asked.is_set()
