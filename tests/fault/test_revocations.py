"""While it cannot be known who is revoked, nobody is let in and nothing goes on; once it is known, all is well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import grpc
import httpx
import psutil
import psycopg
import pytest

from countersign.api.access.v1 import revocations_pb2
from countersign.local.state import StateDir
from tests.fault.rig import RECOVERY_S, eventually
from tests.support.biting import Biting, Revoker, biting_of, callers
from tests.support.clients import call
from tests.support.in_turn import InTurn

# The bound is short, so that these tests are: what is silent so long is not believed.
BOUND = "3s"
DEADLINE_S = 20.0
PRINCIPAL = revocations_pb2.REVOCATION_KIND_PRINCIPAL


@pytest.fixture(scope="module")
def place(in_turn: InTurn) -> Iterator[Biting]:
    with biting_of(in_turn.take, unknown_after=BOUND) as running:
        yield running


async def _status(place: Biting, http: httpx.AsyncClient, token: str, *statuses: int) -> bool:
    # A tool that no rule allows: denied, with status 200, and never sent.
    return (await place.post(http, token, call("other"))).status_code in statuses


async def _revoked(revoker: Revoker, subject: str) -> bool:
    """Revoke, unless the recorder is itself not there yet."""
    try:
        await revoker.revoke(PRINCIPAL, subject)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return True


@contextmanager
def _stopped(place: Biting, part: str) -> Iterator[None]:
    """Have a part stand still, with all its processes: connections to it stay open, and nothing comes."""
    process = place.gateway.part(part)
    stopped = [process, *process.children(recursive=True)]
    for one in stopped:
        one.suspend()
    try:
        yield
    finally:
        for one in stopped:
            with suppress(psutil.NoSuchProcess):
                one.resume()


@pytest.mark.parametrize("part", ["recorder", "postgres"])
async def test_what_falls_silent_has_everybody_refused_and_everything_cut_until_it_speaks(
    place: Biting, part: str
) -> None:
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        one = await place.open(http, owner)
        token = place.token(one.subject)
        try:
            with _stopped(place, part):
                async with asyncio.timeout(DEADLINE_S):
                    await one.ending
                    _, answer = await one.held
                assert answer.status_code == 503
                assert await _status(place, http, token, 503)
        finally:
            await one.close()
        await eventually(lambda: _status(place, http, token, 200), RECOVERY_S)
        # And it bites as before.
        again = await place.open(http, owner)
        try:
            await eventually(lambda: _revoked(revoker, again.subject), RECOVERY_S)
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(again.ending, again.held)
        finally:
            await again.close()


async def test_what_was_revoked_stays_so_when_the_recorder_is_killed(place: Biting) -> None:
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        one = await place.open(http, owner)
        token = place.token(one.subject)
        try:
            await revoker.revoke(PRINCIPAL, one.subject)
            place.gateway.kill("recorder")
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(one.ending, one.held)
            seen: set[int] = set()

            async def known_again() -> bool:
                seen.add((await place.post(http, token, call("other"))).status_code)
                return await _status(place, http, place.token("somebody"), 200)

            await eventually(known_again, RECOVERY_S)
            seen.add((await place.post(http, token, call("other"))).status_code)
            assert seen <= {401, 503}
            assert await _status(place, http, token, 401)
        finally:
            await one.close()


async def test_a_notification_that_nobody_hears_costs_no_more_than_a_moment(place: Biting) -> None:
    """The connections that listen are broken off again and again while somebody is revoked."""
    async with callers(place) as http, place.owner() as owner, place.revoker() as revoker:
        one = await place.open(http, owner)
        try:
            breaking = asyncio.ensure_future(asyncio.to_thread(_break_listening, place))
            await revoker.revoke(PRINCIPAL, one.subject)
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.gather(one.ending, one.held)
            await breaking
            token = place.token(one.subject)
            await eventually(lambda: _status(place, http, token, 401), RECOVERY_S)
        finally:
            await one.close()


def _break_listening(place: Biting) -> None:
    dsn = f"host={StateDir(place.gateway.state.resolve()).sockets / 'pg'} user=countersign dbname=postgres"
    with psycopg.connect(dsn, connect_timeout=5, autocommit=True) as connection:
        for _ in range(5):
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'countersign-revocations-eye'"
            )
            connection.execute("SELECT pg_sleep(0.05)")
